"""A child process of the SQLite tests that copies a store: run as ``python copier.py VERB DATABASE TARGET``."""

import sys

from context_core import ContextPersistence


def copy_at_signal(verb: str, database: str, target: str) -> None:
    """Wait for a line on standard input, then export or back up, and tell."""
    with ContextPersistence(db_path=database) as store:
        print("ready", flush=True)
        sys.stdin.readline()
        getattr(store, verb)(target)
        print("done", flush=True)


if __name__ == "__main__":
    copy_at_signal(*sys.argv[1:])
