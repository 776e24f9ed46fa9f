"""The SQLite driver, the reference: one file, many threads and processes, every acknowledged save on disk."""

from context_core_sqlite._backend import SqliteBackend

__all__ = ["SqliteBackend"]
