"""The `context-core` command, for operators of a store. It needs the extra `cli`; no other package imports it."""

from context_core.cli._entry import main

__all__ = ["main"]
