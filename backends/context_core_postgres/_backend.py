"""`PostgresBackend`: the verbs, each a statement or a short transaction on one database."""

from typing import Any, Final, Self

from psycopg_pool import ConnectionPool

from context_core.hookspecs import ContextBackend
from context_core.maintenance import (
    PruneRequest,
    PruneResult,
    RehashRequest,
    RepairRequest,
    RepairResult,
    VerifyReport,
    in_batches,
)
from context_core.model import utc_now
from context_core.options import seconds
from context_core.records import (
    BackendDescription,
    BatchRequest,
    Capability,
    Clock,
    Limits,
    LoadRequest,
    Operation,
    Outcome,
    QueryRequest,
    SavedVersion,
    SaveRequest,
    Selection,
    StoredDocument,
    VersionRequest,
)
from context_core.url import BackendURL
from context_core_postgres import _maintenance, _read, _repacking, _repair, _schema
from context_core_postgres._connection import Connections
from context_core_postgres._pool import BorrowedPool, Options, OwnPool, Pool
from context_core_postgres._session import Qualifier, Session
from context_core_postgres._snapshot import PostgresSnapshot
from context_core_postgres._url import SHORTEST_CALL_S, address_of, schema_name
from context_core_postgres._write import Writer

_CAPABILITIES: Final = frozenset(
    {
        Capability.DURABLE,
        Capability.MULTI_PROCESS,
        Capability.READ_ONLY,
        Capability.IDEMPOTENCY,
        Capability.JSON_PATHS,
        Capability.EXPLAIN,
        Capability.PRUNE,
        Capability.REPAIR,
        Capability.VERIFY,
        Capability.SNAPSHOT,
        Capability.MIGRATE,
    }
)


class PostgresBackend(ContextBackend):
    """Contexts in one schema of a PostgreSQL database, shared by any number of hosts, processes and threads.

    Args:
        database: How sessions are opened, as `from_url` makes it of a URL; or a `psycopg_pool.ConnectionPool` of the
            application's own, which is used as it is and never closed.
        clock: Where `saved_at` times come from.
        schema: Where the tables are; by default where names without a schema lead. Made if it does not exist.
        busy_timeout_s: How long a call goes on trying while others are faster, before BackendBusyError. How long it
            waits for a single lock is for the session's `lock_timeout` to say.
        call_timeout_s: How long a call may take as a whole, with all that it waits for; and a round trip of verify,
            prune, migrate and of opening (CO12).
        read_only: Write and create nothing; the tables must exist.

    Raises:
        ConfigurationError: An argument cannot be used.
        BackendUnavailableError: The server cannot be reached now.
        StorageError: The server refuses: a wrong password, no such database, a missing right.
        ForeignDatabaseError: The schema has tables of our names that we did not make.
        NewerDatabaseError: A newer driver made them. In both cases nothing was changed.
    """

    scheme = "postgresql"
    limits: Final = Limits(document_bytes=64 * 2**20)

    def __init__(  # noqa: PLR0913  # each is an option of the URL
        self,
        database: "ConnectionPool[Any] | Options",
        *,
        clock: Clock = utc_now,
        schema: str | None = None,
        busy_timeout_s: float = 30.0,
        call_timeout_s: float = 60.0,
        read_only: bool = False,
    ) -> None:
        seconds("busy_timeout", busy_timeout_s)
        seconds("call_timeout", call_timeout_s, least=SHORTEST_CALL_S)
        self._clock = clock
        self._read_only = read_only
        self._writer = Writer(clock, self.limits.document_bytes)
        self._pool = self._open(database, schema_name(schema), busy_timeout_s, call_timeout_s)
        self._connections = Connections(self._pool, busy_timeout_s=busy_timeout_s, is_read_only=read_only)

    def _open(
        self,
        database: "ConnectionPool[Any] | Options",
        schema: str | None,
        busy_timeout_s: float,
        call_timeout_s: float,
    ) -> Pool:
        """Look at the database, and bring its tables to the newest form."""
        qualified = Qualifier(schema or "")
        pool: Pool = (
            OwnPool(database, qualified, call_timeout_s)
            if isinstance(database, Options)
            else BorrowedPool(database, qualified, call_timeout_s)
        )
        try:
            connections = Connections(pool, busy_timeout_s=busy_timeout_s)
            default = connections.read(_schema.default_schema, pool.location, is_long=True)
            if schema is None:
                pool.qualified.lead_to(default)
            self._schema_version = connections.read(self._migrate, pool.location, is_long=True)
        except BaseException:
            pool.close()
            raise
        return pool

    def _migrate(self, session: Session, location: str) -> int:
        if self._read_only:
            return _schema.check_readable(session, location)
        return _schema.migrate(session, location, self._clock)

    @classmethod
    def from_url(cls, url: BackendURL, *, clock: Clock = utc_now) -> Self:
        """Open `postgresql://user:password@host:port/database?schema=…`.

        Of this driver are `schema`, `pool_min`, `pool_max`, `pool_timeout`, `busy_timeout`, `call_timeout` (all three
        in seconds), `prepare_threshold` and `read_only`; every other option is libpq's.
        """
        address = address_of(url)
        return cls(
            address.options,
            clock=clock,
            schema=address.schema,
            busy_timeout_s=address.busy_timeout_s,
            call_timeout_s=address.call_timeout_s,
            read_only=address.read_only,
        )

    def save(self, request: SaveRequest) -> SavedVersion:
        """One statement where the workflow exists and nothing stands against it, else one transaction."""
        return self._connections.write(self._writer.save, request, is_repeatable=request.idempotency is not None)

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
        """One transaction, its rows locked in the order of their ids before anything is judged."""
        operations = list(request.operations)
        if not operations:
            self._connections.check_open()
            return []
        is_repeatable = all(_is_repeatable(operation) for operation in operations)
        return self._connections.write(self._writer.apply, operations, is_repeatable=is_repeatable)

    def explain(self, request: QueryRequest) -> str:
        """Return PostgreSQL's query plan, a line a step."""
        return self._connections.read(_read.explain, request)

    def prune(self, request: PruneRequest) -> PruneResult:
        """Name the versions in one statement, and remove them a bounded transaction at a time."""
        ranges = self._connections.read(_maintenance.prunable, request, is_long=True)
        for batch in () if request.dry_run else in_batches(ranges, request.batch_size):
            self._connections.write(_repacking.forget, batch, is_repeatable=True, is_long=True)
        return PruneResult(ranges=tuple(ranges))

    def verify(self) -> VerifyReport:
        """Check every row, and that heads and histories agree."""
        return self._connections.read(_maintenance.verify, None, is_long=True)

    def repair(self, request: RepairRequest) -> RepairResult:
        """Name what is to be mended, and mend it a transaction each."""
        steps = self._connections.read(_repair.plan, None, is_long=True)
        if not request.dry_run:
            steps = [self._connections.write(_repair.mend, step, is_repeatable=True, is_long=True) for step in steps]
        return RepairResult(steps=tuple(steps))

    def snapshot(self) -> ContextBackend:
        """Open a read transaction on a session of the pool."""
        return PostgresSnapshot(self._pool, self.describe())

    def migrate(self) -> int:
        """Pack the versions that are stored as they are, a bounded transaction at a time; a killed run goes on."""
        place: tuple[str, int] | None = ("", 0)
        while place is not None:
            place = self._connections.write(_repacking.repack, place, is_repeatable=True, is_long=True)
        return self._schema_version

    def rehash(self, request: RehashRequest) -> None:
        """One transaction."""
        self._connections.write(_repacking.rehash, request.hashes, is_repeatable=True)

    def describe(self) -> BackendDescription:
        """Say what this driver can do, and where the database is."""
        return BackendDescription(
            name=self.scheme,
            location=self._pool.location,
            capabilities=_CAPABILITIES,
            limits=self.limits,
            schema_version=self._schema_version,
        )

    def close(self) -> None:
        """Close every session that this store opened."""
        self._connections.close()


def _is_repeatable(operation: Operation) -> bool:
    """Whether doing it twice is as good as once."""
    return isinstance(operation, SaveRequest) and operation.idempotency is not None
