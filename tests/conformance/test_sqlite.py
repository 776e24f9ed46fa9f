"""The SQLite backend keeps the contract."""

from builtin_access import SqliteAccess

from context_core_conformance import BackendContract


class TestSqlite(SqliteAccess, BackendContract):
    """Every law, and every storage access hook."""
