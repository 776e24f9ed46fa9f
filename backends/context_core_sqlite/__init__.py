"""The SQLite driver, the reference: one file, many threads and processes, every acknowledged save on disk.

PYTEST_DONT_REWRITE: pytest would warn where this package was imported before it (ER09).
"""

from context_core_sqlite._backend import SqliteBackend

__all__ = ["SqliteBackend"]
