"""The SQLite backend keeps the contract."""

from builtin_doors import SqliteDoors

from context_core_conformance import BackendContract


class TestSqlite(SqliteDoors, BackendContract):
    """Every law, and every door behind the driver."""
