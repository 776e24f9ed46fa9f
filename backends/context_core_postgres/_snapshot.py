"""A consistent view: one session inside one read transaction, which PostgreSQL keeps as it was."""

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg

from context_core.errors import BackendClosedError, BackendUnavailableError
from context_core.forking import follow_forks
from context_core.records import (
    BackendDescription,
    LoadRequest,
    QueryRequest,
    Selection,
    StoredDocument,
    VersionRequest,
)
from context_core.snapshots import SnapshotBackend
from context_core_postgres import _read
from context_core_postgres._errors import translated, unanswered
from context_core_postgres._pool import Pool
from context_core_postgres._session import Session

A = TypeVar("A")
T = TypeVar("T")


class PostgresSnapshot(SnapshotBackend):
    """Reads the database as it was when this was opened; the server keeps what goes meanwhile until it is closed.

    It takes one session of the store's pool.
    """

    scheme = "postgresql"

    def __init__(self, pool: Pool, description: BackendDescription) -> None:
        super().__init__(description)
        self._pool = pool
        self._lock = threading.Lock()
        self._session: Session | None = pool.take(self._ends_at())
        try:
            # The moment of the snapshot is that of its first statement, not of BEGIN.
            self._run(_begin, None)
        except BaseException:
            self.close()
            raise
        follow_forks(self)

    def before_fork(self) -> None:
        """Nothing is to be done: the transaction goes on in the parent."""

    def after_fork_in_child(self) -> None:
        """Start with a fresh lock. The session is the parent's, and its pool has cut it off here."""
        self._lock = threading.Lock()

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        """As the store, at the moment of the snapshot."""
        return self._run(_read.load, request)

    def version(self, request: VersionRequest) -> Selection:
        """As the store, at the moment of the snapshot."""
        return self._run(_read.version, request)

    def query(self, request: QueryRequest) -> Selection:
        """As the store, at the moment of the snapshot."""
        return self._run(_read.query, request)

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._session is None

    def close(self) -> None:
        """End the read transaction and give the session back."""
        with self._lock:
            session, self._session = self._session, None
            if session is not None:
                session.deadline.begin(self._ends_at())
                self._pool.give_up(session)

    def _ends_at(self) -> float:
        return time.monotonic() + self._pool.call_timeout_s

    def _run(self, work: Callable[[Session, A], T], argument: A) -> T:
        began, ends_at = time.monotonic(), self._ends_at()
        with self._lock:
            if self._session is None:
                raise BackendClosedError
            if self._pool.is_closed:
                raise BackendClosedError
            self._session.deadline.begin(ends_at)
            try:
                return work(self._session, argument)
            except psycopg.Error as error:
                if self._session.deadline.has_passed:
                    self._pool.drop_idle()
                    raise unanswered(self._pool.location, self._pool.call_timeout_s, is_lost=False) from error
                code = error.sqlstate or self._session.deadline.ended_by
                if self._session.is_broken and code is None:
                    raise BackendUnavailableError(
                        f"the connection to {self._pool.location} broke, and the snapshot with it: take another"
                    ) from error
                raise translated(error, self._pool.location, time.monotonic() - began, code) from error


def _begin(session: Session, _: Any) -> None:
    with session.pipeline():
        session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        session.execute("SELECT FROM our.workflow_context LIMIT 1")
