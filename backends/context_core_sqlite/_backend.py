"""`SqliteBackend`: the verbs, each a transaction or a single statement over one database file."""

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from os import PathLike
from pathlib import Path
from typing import Final, Self, TypeVar

from context_core.errors import BackendUnavailableError, ConfigurationError, ForeignDatabaseError
from context_core.forking import outside_forks
from context_core.hookspecs import ContextBackend
from context_core.maintenance import (
    BackupRequest,
    PruneRequest,
    PruneResult,
    RehashRequest,
    RepairRequest,
    RepairResult,
    RepairStep,
    VerifyReport,
    in_batches,
)
from context_core.model import utc_now
from context_core.options import BOOLEANS, choice, seconds
from context_core.records import (
    BackendDescription,
    BatchRequest,
    Capability,
    Clock,
    Limits,
    LoadRequest,
    Outcome,
    QueryRequest,
    SavedVersion,
    SaveRequest,
    Selection,
    StoredDocument,
    VersionRequest,
)
from context_core.url import BackendURL
from context_core.zones import zone_name
from context_core_sqlite import _maintenance, _naive_times, _read, _rehashing, _repair, _schema
from context_core_sqlite._connection import Connections
from context_core_sqlite._database import Options, connect
from context_core_sqlite._errors import primary_code, translating
from context_core_sqlite._files import check_files
from context_core_sqlite._objects import Difference, restoring
from context_core_sqlite._read_only import ReadOnlyConnections
from context_core_sqlite._snapshot import SqliteSnapshot
from context_core_sqlite._write import Writer

_LOG: Final = logging.getLogger("context_core_sqlite")

OLDEST_SQLITE: Final = (3, 37, 0)
"""The first with STRICT tables."""

SMALLEST_DATABASE_BYTES: Final = 512
"""One page of the smallest size. SQLite takes some shorter files for empty ones, and would write over them."""

_SYNCHRONOUS: Final[Mapping[str, str]] = {"full": "FULL", "normal": "NORMAL"}
_RETRY_PAUSE_S: Final = 0.02
T = TypeVar("T")

_CAPABILITIES: Final = frozenset(
    {
        Capability.DURABLE,
        Capability.MULTI_PROCESS,
        Capability.READ_ONLY,
        Capability.IDEMPOTENCY,
        Capability.JSON_PATHS,
        Capability.EXPLAIN,
        Capability.PRUNE,
        Capability.VERIFY,
        Capability.SNAPSHOT,
        Capability.BACKUP,
        Capability.MIGRATE,
        Capability.REPAIR,
    }
)


class SqliteBackend(ContextBackend):
    """Contexts in one SQLite file, shared by any number of threads and processes of one machine.

    Args:
        path: The database file; made if it does not exist, its folder is not. The file may hold other tables too.
        clock: Where `saved_at` times come from.
        synchronous: "full": an acknowledged save survives power loss. "normal": it survives a killed process, and a
            power loss may take the last ones; saves are faster.
        busy_timeout_s: How long a call waits for writers of other processes before BackendBusyError.
        read_only: Write and create nothing; the database must exist.
        naive_times: The zone of the times without one in an original database that is adopted now: a name as
            Europe/Berlin, "local" for this machine's zone, or "UTC". It is stored with the database, and holds from then
            on. None stands for the one that is stored, UTC for a new one.

    Raises:
        ConfigurationError: An argument cannot be used.
        BackendUnavailableError: The file cannot be opened.
        ForeignDatabaseError: The file is not a SQLite database, or has tables of our names that we did not make.
        NewerDatabaseError: A newer driver made it. In both cases nothing was changed.
    """

    scheme = "sqlite"
    limits: Final = Limits(document_bytes=64 * 2**20)

    def __init__(  # noqa: PLR0913  # options, all but the first by name
        self,
        path: str | PathLike[str],
        *,
        clock: Clock = utc_now,
        synchronous: str = "full",
        busy_timeout_s: float = 30.0,
        read_only: bool = False,
        naive_times: str | None = None,
    ) -> None:
        _check_library()
        asked = None if naive_times is None else zone_name(naive_times)
        self._options = Options(
            path=_absolute(path),
            synchronous=choice("synchronous", synchronous, _SYNCHRONOUS),
            busy_timeout_s=seconds("busy_timeout", busy_timeout_s),
            read_only=read_only,
        )
        self._writer = Writer(clock, self.limits.document_bytes)
        with translating(self._options.location, self._options.busy_timeout_s):
            self._schema_version, self._naive_times = (
                outside_forks(_open_read_only, self._options, asked)
                if read_only
                else outside_forks(_open, self._options, clock, asked)
            )
        self._connections: Connections | ReadOnlyConnections = (
            ReadOnlyConnections(self._options) if read_only else Connections(self._options, self._writer.packer)
        )

    @classmethod
    def from_url(cls, url: BackendURL, *, clock: Clock = utc_now) -> Self:
        """Open `sqlite:///relative.db` or `sqlite:////absolute.db`; options are those of the constructor.

        `?synchronous=normal&busy_timeout=5&read_only=true&naive_times=Europe/Berlin`, the time-out in seconds.
        """
        url.check_options(("synchronous", "busy_timeout", "read_only", "naive_times"))
        if url.host or url.username:
            raise ConfigurationError(
                "a SQLite URL has no host: write three slashes, sqlite:///relative.db, or four, sqlite:////absolute.db"
            )
        return cls(
            url.path,
            clock=clock,
            synchronous=url.options.get("synchronous", "full"),
            busy_timeout_s=seconds("busy_timeout", url.options.get("busy_timeout", "30")),
            read_only=choice("read_only", url.options.get("read_only", "false"), BOOLEANS),
            naive_times=url.options.get("naive_times"),
        )

    def save(self, request: SaveRequest) -> SavedVersion:
        """One transaction: look at the head, replace it, append the version."""
        return self._connections.write(self._writer.save, request)

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        """One statement by primary key, or by one array of keys."""
        return self._connections.read(_read.load, request)

    def version(self, request: VersionRequest) -> Selection:
        """One statement over the versions table, in the order of an index."""
        return self._connections.read(_read.version, request)

    def query(self, request: QueryRequest) -> Selection:
        """One statement over the head table; what only documents can tell is left to the evaluator."""
        return self._connections.read(_read.query, request)

    def batch(self, request: BatchRequest) -> list[Outcome]:
        """One transaction."""
        operations = list(request.operations)
        if not operations:
            self._connections.check_open()
            return []
        return self._connections.write(self._writer.apply, operations)

    def explain(self, request: QueryRequest) -> str:
        """Return SQLite's query plan, a line a step."""
        return self._connections.read(_read.explain, request)

    def prune(self, request: PruneRequest) -> PruneResult:
        """Name the versions in one statement, and remove them a bounded transaction at a time."""
        ranges = self._connections.read(_maintenance.prunable, request)
        for batch in () if request.dry_run else in_batches(ranges, request.batch_size):
            self._connections.write(_maintenance.forget, batch)
        return PruneResult(ranges=tuple(ranges))

    def verify(self) -> VerifyReport:
        """Check SQLite's structures, every row, and that heads and histories agree."""
        return self._connections.read(_maintenance.verify, None)

    def repair(self, request: RepairRequest) -> RepairResult:
        """Make missing tables, indexes and triggers anew; then name what is to be mended, and mend it a transaction each."""
        objects = self._connections.read(_schema.plan_repair, None)
        actions = [restoring(difference) for difference in objects]
        if objects and not request.dry_run:
            actions = self._connections.write(_schema.repair, objects)
        steps = [RepairStep(workflow_id=None, version=None, action=action) for action in actions]
        if request.dry_run and any(difference.is_missing_table for difference in objects):
            return RepairResult(steps=tuple(steps))  # what the rows need can be told once the tables are there
        mendings = self._connections.read(_repair.plan, None)
        for mending in () if request.dry_run else mendings:
            self._connections.write(_repair.mend, mending)
        return RepairResult(steps=(*steps, *(mending.step for mending in mendings)))

    def snapshot(self) -> ContextBackend:
        """Open a read transaction on a connection of its own."""
        self._connections.check_open()
        return SqliteSnapshot(self._options, self.describe())

    def backup(self, request: BackupRequest) -> None:
        """Copy the database with SQLite's online backup; the copy opens as a store of its own."""
        self._connections.read(_maintenance.back_up, request.target)

    def migrate(self) -> int:
        """Pack the versions that are stored as they are, a bounded transaction at a time; a killed run goes on."""
        place: tuple[str, int] | None = ("", 0)
        while place is not None:
            place = self._connections.write(self._writer.repack, place)
        return self._schema_version

    def rehash(self, request: RehashRequest) -> None:
        """One transaction."""
        self._connections.write(_rehashing.rehash, request.hashes)

    def describe(self) -> BackendDescription:
        """Say what this driver can do, and where the file lies."""
        return BackendDescription(
            name=self.scheme,
            location=self._options.location,
            capabilities=_CAPABILITIES,
            limits=self.limits,
            schema_version=self._schema_version,
            path=self._options.path,
            naive_times=self._naive_times,
        )

    def close(self) -> None:
        """Close every connection. The last one to close, of all processes, folds the WAL into the file."""
        self._connections.close()


def _open(options: Options, clock: Clock, naive_times: str | None) -> tuple[int, str]:
    """Make or migrate the database, having looked first: a file that is not ours is left as it is."""
    check_files(options.path)
    existed = options.path.exists()
    size_bytes = options.path.stat().st_size if existed else 0
    with closing(connect(options, create=not existed)) as connection:
        state, _ = _schema.inspect(connection, options.location)
        if state is _schema.State.EMPTY and 0 < size_bytes < SMALLEST_DATABASE_BYTES:
            raise ForeignDatabaseError(f"{options.location} is not a SQLite database; nothing was changed")
        version = _schema.migrate(connection, options.location, clock, naive_times)
        # Readers go on while a writer writes, and a commit is one sync. The mode stays with the file; it comes last,
        # so that a file that could not be made ours is left as it was.
        _retrying(lambda: connection.execute("PRAGMA journal_mode = WAL"), options.busy_timeout_s)
        _warn(options.location, _schema.differences(connection))
        # Another process may have made the database meanwhile, with another zone.
        return version, _naive_times.agreed(connection, naive_times, options.location)


def _warn(location: str, differences: Sequence[Difference]) -> None:
    ours = [str(difference) for difference in differences if not difference.is_foreign]
    if ours:
        _LOG.warning("%s: %s; store.repair() restores what can be restored", location, "; ".join(ours))


def _open_read_only(options: Options, naive_times: str | None) -> tuple[int, str]:
    check_files(options.path)
    if not options.path.exists():
        raise BackendUnavailableError(f"there is no database {options.location}: open it once for writing")
    connections = ReadOnlyConnections(options)
    try:
        version = connections.read(_schema.check_readable, options.location)
        _warn(options.location, connections.read(lambda connection, _: _schema.differences(connection), None))
        return version, connections.read(
            lambda connection, asked: _naive_times.agreed(connection, asked, options.location), naive_times
        )
    finally:
        connections.close()


def _retrying(action: Callable[[], object], budget_s: float) -> None:
    """Repeat *action* while others are in the way: SQLite does not wait by itself to change the journal mode."""
    deadline = time.monotonic() + budget_s
    while True:
        try:
            action()
        except sqlite3.OperationalError as error:
            if primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(_RETRY_PAUSE_S)
        else:
            return


def _check_library() -> None:
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        raise ConfigurationError(
            f"Python's sqlite3 uses SQLite {sqlite3.sqlite_version}, this driver needs {oldest} or newer: "
            f"use a Python that is linked with a newer one"
        )


def _absolute(path: str | PathLike[str]) -> Path:
    text = os.fspath(path)
    if not isinstance(text, str) or not text or "\0" in text:
        raise ConfigurationError("a SQLite store needs the path of a file, as text without NUL")
    return Path(os.path.abspath(text))  # noqa: PTH100  # Path.resolve would follow links, which may move later
