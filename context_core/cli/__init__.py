"""The `context-core` command, for whoever runs a store. Needs the extra `cli`; nothing else imports this package."""

from context_core.cli._entry import main

__all__ = ["main"]
