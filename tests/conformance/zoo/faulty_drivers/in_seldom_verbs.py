"""Faults of the verbs that run once a year: shown on SQLite, whose file can vanish, be damaged, or be locked."""

import sqlite3
from contextlib import closing

import orjson

from context_core.maintenance import BackupRequest, PruneRequest, PruneResult, VerifyReport
from context_core.records import QueryRequest
from context_core_sqlite import SqliteBackend
from faulty_drivers.fault import breaks


def _own_connection(backend: SqliteBackend) -> "closing[sqlite3.Connection]":
    """A connection past the driver's own, and past its errors; it makes no file."""
    uri = f"{backend._options.path.as_uri()}?mode=rw"
    return closing(sqlite3.connect(uri, uri=True, timeout=0.0, isolation_level=None))


@breaks("ER01")
class VerifyLeaksTheEnginesError(SqliteBackend):
    """Where the file is gone, verify raises what sqlite3 raises."""

    def verify(self) -> VerifyReport:
        with _own_connection(self) as connection:
            connection.execute("PRAGMA quick_check").fetchall()
        return super().verify()


@breaks("ER01")
class PlanLeaksTheEnginesError(SqliteBackend):
    """Where the file is gone, explain raises what sqlite3 raises."""

    def explain(self, request: QueryRequest) -> str:
        with _own_connection(self) as connection:
            connection.execute("PRAGMA optimize").fetchall()
        return super().explain(request)


@breaks("ER01")
class BackupLeaksAnOsError(SqliteBackend):
    """Where the file is gone, a backup raises what the system raises."""

    def backup(self, request: BackupRequest) -> None:
        self._options.path.stat()
        super().backup(request)


@breaks("ER01", "CR06")
class MigrateParsesWhatIsDamaged(SqliteBackend):
    """A document that is no JSON ends a migrate with an error of the parser."""

    def migrate(self) -> int:
        with _own_connection(self) as connection:
            for (document,) in connection.execute(
                "SELECT document FROM workflow_context_versions WHERE base_version IS NULL"
            ):
                orjson.loads(document)
        return super().migrate()


@breaks("ER01", "CO11")
class PruneIsBusyInTheEnginesWords(SqliteBackend):
    """Where another writer holds the lock, a prune raises what sqlite3 raises."""

    def prune(self, request: PruneRequest) -> PruneResult:
        with _own_connection(self) as connection:
            connection.execute("BEGIN IMMEDIATE")
        return super().prune(request)
