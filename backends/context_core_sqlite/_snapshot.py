"""A consistent view: one connection inside one read transaction, which WAL keeps as it was."""

import sqlite3
import threading
from collections.abc import Callable
from typing import TypeVar

from context_core.errors import BackendClosedError, BackendUnavailableError
from context_core.forking import follow_forks, outside_forks
from context_core.records import (
    BackendDescription,
    LoadRequest,
    QueryRequest,
    Selection,
    StoredDocument,
    VersionRequest,
)
from context_core.snapshots import SnapshotBackend
from context_core_sqlite import _read
from context_core_sqlite._database import Options, connect
from context_core_sqlite._errors import translating
from context_core_sqlite._files import wal_bytes
from context_core_sqlite._inheritance import keep_for_ever
from context_core_sqlite._wal import TRUNCATE_ABOVE_BYTES, truncate

T = TypeVar("T")


class SqliteSnapshot(SnapshotBackend):
    """Reads the database as it was when this was opened; the WAL cannot shrink before it is closed."""

    scheme = "sqlite"

    def __init__(self, options: Options, description: BackendDescription) -> None:
        super().__init__(description)
        self._options = options
        self._lock = threading.Lock()
        self._is_inherited = False
        outside_forks(self._begin)
        follow_forks(self)

    def _begin(self) -> None:
        options = self._options
        with translating(options.location, options.busy_timeout_s):
            connection = connect(options)
            try:
                connection.execute("BEGIN")
                # A read transaction begins with its first read, not with BEGIN.
                connection.execute("SELECT 1 FROM workflow_context LIMIT 1").fetchall()
            except BaseException:
                connection.close()
                raise
            self._connection: sqlite3.Connection | None = connection

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        """As the store, at the moment of the snapshot."""
        return self._run(lambda connection: _read.load(connection, request))

    def version(self, request: VersionRequest) -> Selection:
        """As the store, at the moment of the snapshot."""
        return self._run(lambda connection: _read.version(connection, request))

    def query(self, request: QueryRequest) -> Selection:
        """As the store, at the moment of the snapshot."""
        return self._run(lambda connection: _read.query(connection, request))

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._connection is None

    def close(self) -> None:
        """End the read transaction."""
        outside_forks(self._close)

    def before_fork(self) -> None:
        """Nothing is to be done: the transaction goes on in the parent."""

    def after_fork_in_child(self) -> None:
        """Leave the connection to the parent."""
        self._lock = threading.Lock()
        if self._connection is not None:
            keep_for_ever(self._connection)
            self._is_inherited = True

    def _close(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is None or self._is_inherited:
                return
            try:
                connection.rollback()
                if wal_bytes(self._options.path) > TRUNCATE_ABOVE_BYTES:  # it kept the WAL from being emptied
                    truncate(connection, 0)
            finally:
                connection.close()

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return outside_forks(self._run_alone, work)

    def _run_alone(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock, translating(self._options.location, self._options.busy_timeout_s):
            if self._connection is None:
                raise BackendClosedError
            if self._is_inherited:
                raise BackendUnavailableError("this snapshot belongs to the process that forked this one: take another")
            return work(self._connection)
