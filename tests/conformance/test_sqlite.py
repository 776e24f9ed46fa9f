"""The SQLite backend keeps the contract."""

from builtin_doors import SqliteDoors

from context_core_conformance import BackendContract


class TestSqlite(SqliteDoors, BackendContract):
    deviations = {  # noqa: RUF012  # read, never changed
        "test_a_damaged_row_hides_no_other_version": "packed versions that lean on a damaged one go with it",
    }
