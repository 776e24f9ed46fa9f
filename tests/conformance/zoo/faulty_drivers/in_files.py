"""Faults of a driver that keeps: shown on SQLite, where there are files, processes and plans."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

from context_core.maintenance import BackupRequest
from context_core.records import BatchRequest, Outcome, QueryRequest, SavedVersion, SaveRequest
from context_core_sqlite import SqliteBackend
from faulty_drivers.fault import breaks


def _path(backend: SqliteBackend) -> Path:
    return backend._options.path


class _Altered(SqliteBackend):
    """A database in which `statement` was run when it was made."""

    statement: ClassVar[str]

    def __init__(self, path: Any, **options: Any) -> None:
        super().__init__(path, **options)
        if not options.get("read_only"):
            with closing(sqlite3.connect(_path(self))) as connection, connection:
                connection.execute(self.statement)


@breaks("QU13")
class FeaturesHaveNoIndex(_Altered):
    """A search by feature reads the whole table."""

    statement = "DROP INDEX IF EXISTS workflow_context_by_feature"


@breaks("QU13")
class PlanIsAWord(SqliteBackend):
    """It explains every query with the same sentence."""

    def explain(self, request: QueryRequest) -> str:
        del request
        return "this query is fast"


@breaks("ER06")
class ReadOnlyWritesAllTheSame(SqliteBackend):
    """It opens its file for writing, whatever it was told."""

    def __init__(self, path: Any, **options: Any) -> None:
        super().__init__(path, **options | {"read_only": False})


@breaks("CO02", "CA03", "CA04")
class BusyIsToldAtOnce(SqliteBackend):
    """It does not wait for writers of other processes."""

    def __init__(self, path: Any, **options: Any) -> None:
        super().__init__(path, **options | {"busy_timeout_s": 0.0})


@breaks("ER05", "CO09")
class CloseLeavesAConnection(SqliteBackend):
    """One connection stays open behind a close."""

    _left: ClassVar[list[sqlite3.Connection]] = []

    def close(self) -> None:
        connection = sqlite3.connect(_path(self))
        connection.execute("SELECT 1 FROM sqlite_schema").fetchall()
        self._left.append(connection)
        super().close()


@breaks("CO08")
class ForkSharesItsPlace(SqliteBackend):
    """A child goes on with what its parent had counted."""

    _counts: ClassVar[dict[str, int]] = {}

    def save(self, request: SaveRequest) -> SavedVersion:
        saved = super().save(request)
        version = self._counts.get(request.record.workflow_id, saved.version - 1) + 1
        self._counts[request.record.workflow_id] = version
        return type(saved)(version=version, saved_at=saved.saved_at, is_replay=saved.is_replay)


@breaks("MO02")
class BackupIsEmpty(SqliteBackend):
    """A backup is a database without rows."""

    def backup(self, request: BackupRequest) -> None:
        super().backup(request)
        with closing(sqlite3.connect(request.target)) as connection, connection:
            connection.execute("DELETE FROM workflow_context")


@breaks("MO02", "ER01")
class BackupOverwrites(SqliteBackend):
    """A backup replaces the file that is there."""

    def backup(self, request: BackupRequest) -> None:
        request.target.unlink(missing_ok=True)
        super().backup(request)


@breaks("DE01")
class DeletedRowsAreCopied(SqliteBackend):
    """A delete leaves a copy of each row in a table of its own."""

    def batch(self, request: BatchRequest) -> list[Outcome]:
        with closing(sqlite3.connect(_path(self))) as connection, connection:
            connection.execute("CREATE TABLE IF NOT EXISTS trash AS SELECT * FROM workflow_context_versions WHERE 0")
            for operation in request.operations:
                if hasattr(operation, "workflow_id"):
                    connection.execute(
                        "INSERT INTO trash SELECT * FROM workflow_context_versions WHERE workflow_id = ?",
                        (operation.workflow_id,),
                    )
        return super().batch(request)


@breaks("MI01", "VE01")
class AdoptedHistoriesBeginAtOne(SqliteBackend):
    """A row of an older schema loses the number that it had."""

    def __init__(self, path: Any, **options: Any) -> None:
        if Path(path).exists():
            with closing(sqlite3.connect(path)) as connection, connection:
                if connection.execute(
                    "SELECT 1 FROM pragma_table_info('workflow_context') WHERE name = 'id'"
                ).fetchall():
                    connection.execute("UPDATE workflow_context SET version = 1")
        super().__init__(path, **options)


@breaks("MI04")
class NewerStoreIsOpenedAllTheSame(SqliteBackend):
    """What a later version wrote is taken for its own."""

    def __init__(self, path: Any, **options: Any) -> None:
        if Path(path).exists():
            with closing(sqlite3.connect(path)) as connection, connection:
                if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'context_core_schema'").fetchall():
                    connection.execute("DELETE FROM context_core_schema WHERE version = 99")
        super().__init__(path, **options)


@breaks("MI05")
class MigratedStoreTellsItsAge(SqliteBackend):
    """A store that was migrated keeps a table of what it was."""

    def __init__(self, path: Any, **options: Any) -> None:
        is_old = Path(path).exists() and not self._is_ours(path)
        super().__init__(path, **options)
        if is_old:
            with closing(sqlite3.connect(_path(self))) as connection, connection:
                connection.execute("CREATE TABLE workflow_context_original (id INTEGER)")

    def _is_ours(self, path: Any) -> bool:
        with closing(sqlite3.connect(path)) as connection:
            return bool(connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'context_core_schema'").fetchall())


@breaks("CR05", "CR04")
class VanishedFileIsMadeAnew(SqliteBackend):
    """Where its file is gone, it starts with an empty one."""

    def save(self, request: SaveRequest) -> SavedVersion:
        if _path(self).exists():
            return super().save(request)
        with closing(SqliteBackend(_path(self))) as anew:
            return anew.save(request)


@breaks("CO11", "CR05")
class ItNeverWaitsAsDeclared(SqliteBackend):
    """It waits as long as it likes, whatever its address says."""

    def __init__(self, path: Any, **options: Any) -> None:
        super().__init__(path, **options | {"busy_timeout_s": min(options.get("busy_timeout_s", 30.0), 30.0) * 3})


@breaks("DE01")
class LargeDocumentsStayInASideTable(SqliteBackend):
    """A copy of each document over a megabyte lies in a table of its own, which a delete does not look at."""

    def batch(self, request: BatchRequest) -> list[Outcome]:
        outcomes = super().batch(request)
        for operation in request.operations:
            if isinstance(operation, SaveRequest):
                self._keep(operation)
        return outcomes

    def save(self, request: SaveRequest) -> SavedVersion:
        saved = super().save(request)
        self._keep(request)
        return saved

    def _keep(self, request: SaveRequest) -> None:
        if len(request.record.document) > 1_000_000:
            with closing(sqlite3.connect(_path(self))) as connection, connection:
                connection.execute("CREATE TABLE IF NOT EXISTS large_documents (document BLOB)")
                connection.execute("INSERT INTO large_documents VALUES (?)", (request.record.document,))
