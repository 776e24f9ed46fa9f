"""Connections to one database: a pool of sessions, safe across threads and forks, that outlives a server's restart."""

import time
from collections.abc import Callable
from typing import TypeVar

import psycopg

from context_core.errors import (
    BackendClosedError,
    BackendUnavailableError,
    OutcomeUnknownError,
    ReadOnlyError,
)
from context_core_postgres._errors import OTHERS_WERE_FASTER, READ_ONLY, SURELY_UNDONE, translated, unanswered, unknown
from context_core_postgres._pool import Pool
from context_core_postgres._session import Session

A = TypeVar("A")
T = TypeVar("T")


class Connections:
    """The open sessions of one store.

    A call takes a session, or opens one, and gives it back; at most as many as the pool allows are out at once. A
    session that broke while it lay idle is noticed before anything is sent on it.
    """

    def __init__(self, pool: Pool, *, busy_timeout_s: float, is_read_only: bool = False) -> None:
        self._pool = pool
        self._call_timeout_s = pool.call_timeout_s
        self._busy_timeout_s = busy_timeout_s
        self._is_read_only = is_read_only

    @property
    def location(self) -> str:
        """Where the database is, as it is shown in messages."""
        return self._pool.location

    def check_open(self) -> None:
        """Raise BackendClosedError after `close`."""
        if self._pool.is_closed:
            raise BackendClosedError

    def read(self, work: Callable[[Session, A], T], argument: A, *, is_long: bool = False) -> T:
        """Run *work* on a session; once more on a fresh one if the connection broke meanwhile."""
        return self._run(work, argument, is_repeatable=True, is_long=is_long)

    def write(
        self, work: Callable[[Session, A], T], argument: A, *, is_repeatable: bool = False, is_long: bool = False
    ) -> T:
        """Run *work*, which commits as the last thing it does; what it left open is rolled back (CO10).

        It is run again, within the busy time-out, where it certainly wrote nothing: others were faster, or the
        connection broke before the commit was sent. A conflict is no such thing (CA08).

        Args:
            work: What to do.
            argument: Its argument.
            is_repeatable: Running it twice is as good as once, so that a lost reply is no reason to give up.
            is_long: The call time-out bounds each round trip of *work*, and not the whole (CO12).

        Raises:
            OutcomeUnknownError: The connection broke, or the call's time was over, after the commit was sent.
        """
        if self._is_read_only:
            self.check_open()
            raise ReadOnlyError(f"{self.location} was opened with read_only: open it without, to write")
        return self._run(work, argument, is_repeatable=is_repeatable, is_long=is_long)

    def close(self) -> None:
        """Close every session; those in use by other threads are closed when they are given back."""
        self._pool.close()

    def _run(self, work: Callable[[Session, A], T], argument: A, *, is_repeatable: bool, is_long: bool) -> T:
        began = time.monotonic()
        ends_at = began + self._call_timeout_s
        lost: psycopg.Error | None = None  # the first connection that broke with the commit already sent
        attempts, was_lost = 0, False
        while True:
            session = self._take(lost, time.monotonic() + self._call_timeout_s if is_long else ends_at)
            session.deadline.begin(None if is_long else ends_at)
            session.is_stepwise, session.is_careful = was_lost, attempts > 0
            attempts += 1
            try:
                result = work(session, argument)
            except psycopg.Error as error:
                was_lost = is_lost = session.is_broken
                code = error.sqlstate or session.deadline.ended_by
                # A session that ended while it was idle read nothing of what was sent then.
                if is_lost and session.has_sent_commit and not session.deadline.ended_by and code not in SURELY_UNDONE:
                    lost = lost or error
                self._pool.give_up(session)
                if session.deadline.has_passed:
                    raise self._unanswered(lost) from lost or error
                if lost is not None and not is_repeatable:
                    raise unknown(lost, self.location) from lost
                waited_s = time.monotonic() - began
                if not self._may_run_again(error, attempts, waited_s, is_lost=is_lost):
                    if lost is not None:
                        raise unknown(lost, self.location) from lost
                    raise translated(error, self.location, waited_s, code) from error
            except Exception:  # a refusal: the session is as good as before
                self._pool.give_up(session)
                raise
            except BaseException:
                session.raw.close()  # an interrupt: what it broke off nobody knows
                self._pool.give_up(session)
                raise
            else:
                self._pool.give_back(session)
                return result

    def _unanswered(self, lost: psycopg.Error | None) -> BackendUnavailableError | OutcomeUnknownError:
        self._pool.drop_idle()  # they lead to the same server, most likely
        return unanswered(self.location, self._call_timeout_s, is_lost=lost is not None)

    def _take(self, lost: psycopg.Error | None, ends_at: float) -> Session:
        try:
            return self._pool.take(ends_at)
        except BackendUnavailableError:
            if lost is not None:
                raise unknown(lost, self.location) from lost
            raise

    def _may_run_again(self, error: psycopg.Error, attempts: int, waited_s: float, *, is_lost: bool) -> bool:
        if error.sqlstate in OTHERS_WERE_FASTER:
            return waited_s < min(self._busy_timeout_s, self._call_timeout_s)
        if is_lost:
            self._pool.drop_idle()  # what broke one has most likely broken all
            return attempts == 1
        if error.sqlstate == READ_ONLY:
            # After a failover the server behind this session may be a standby now; a new one finds the primary.
            self._pool.drop_idle()
            return attempts == 1
        return False
