"""Where sessions come from: a pool of this package's own, or one that the application brought along."""

import contextlib
import itertools
import math
import os
import queue
import time
import weakref
from collections.abc import Generator, Mapping
from typing import Any, Final, Protocol

import attrs
import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from context_core.errors import BackendBusyError, BackendClosedError, ConfigurationError
from context_core.forking import follow_forks
from context_core_postgres._deadline import connecting_until, until_connected
from context_core_postgres._errors import POOLER, parameters_refused, translated
from context_core_postgres._refusal import sqlstate_of_refusal
from context_core_postgres._session import Qualifier, Raw, Session

_PING_S: Final = 2
"""How long libpq may look at a server, of which only the look at its own parameters matters; it takes no less."""

IDLE_S: Final = 300.0
"""How long a session beyond the smallest number stays open without use."""


class Pool(Protocol):
    """What `Connections` needs of a pool."""

    location: str
    is_closed: bool
    call_timeout_s: float
    qualified: Qualifier

    def take(self, ends_at: float = math.inf) -> Session:
        """Return a session that nobody else uses, before the moment of `time.monotonic` at which the call ends."""

    def give_back(self, session: Session) -> None:
        """Take a session back that is fit for the next."""

    def give_up(self, session: Session) -> None:
        """Take a session back that something went wrong on."""

    def drop_idle(self) -> None:
        """Forget the sessions that nobody uses: they are broken, or lead to the wrong server."""

    def close(self) -> None:
        """Close whatever is open, and refuse what comes after."""


@attrs.frozen(kw_only=True)
class Options:
    """How a database is used.

    Attributes:
        parameters: libpq's, the password among them.
        location: Where the database is, as it is shown in messages.
        pool_min: How many sessions stay open, once they were needed.
        pool_max: How many there are at most.
        pool_timeout_s: How long a call waits for one of them.
        connect_timeout_s: How long opening one may take, for each host.
        prepare_threshold: After how many runs a statement is prepared on the server; None for never.
    """

    parameters: Mapping[str, str] = attrs.field(repr=False)
    location: str
    pool_min: int = 1
    pool_max: int = 10
    pool_timeout_s: float = 30.0
    connect_timeout_s: float = 10.0
    prepare_threshold: int | None = 5


class QuietConnection(psycopg.Connection[Any]):
    """A connection that closes without a warning when it is dropped, as an interrupt may do to it anywhere."""

    def __del__(self, *_: object) -> None:
        with contextlib.suppress(AttributeError):  # it was not even made
            self.close()

    @classmethod
    def _connect_gen(cls, *arguments: Any, **options: Any) -> Generator[Any, Any, Any]:
        # psycopg's own limit is one for each host, in whole seconds, and two of them at least.
        return until_connected(super()._connect_gen(*arguments, **options))


def connect(options: Options, ends_at: float) -> Raw:
    """Open a connection, before a moment of `time.monotonic`.

    Raises:
        BackendUnavailableError: Nobody answers, or not now.
        StorageError: The server refuses this user, or has no such database.
        ConfigurationError: libpq does not understand the parameters.
    """
    began = time.monotonic()
    conninfo = make_conninfo(**options.parameters)
    try:
        with connecting_until(ends_at):
            return QuietConnection.connect(conninfo, autocommit=True, prepare_threshold=options.prepare_threshold)
    except psycopg.Error as error:
        # By its words: psycopg's own object holds the connection, and with it the password.
        refusal = type(error)(str(error))
    sqlstate = None
    if not isinstance(refusal, psycopg.errors.ConnectionTimeout):  # a server that does not answer says no more now
        sqlstate = sqlstate_of_refusal(conninfo, min(options.connect_timeout_s, ends_at - time.monotonic()))
    if sqlstate is None and ends_at - time.monotonic() > _PING_S and _is_no_attempt(conninfo):
        raise ConfigurationError(f"the options in the URL of {options.location} make no connection") from refusal
    if sqlstate == POOLER and _is_about_parameters(options, ends_at):
        raise parameters_refused(options.location) from refusal
    raise translated(refusal, options.location, time.monotonic() - began, sqlstate) from refusal


def remaining_s(timeout_s: float, ends_at: float) -> float:
    """How long a wait may be within a call that ends at a moment of `time.monotonic`."""
    return max(0.0, min(timeout_s, ends_at - time.monotonic()))


def _is_about_parameters(options: Options, ends_at: float) -> bool:
    """Whether a pooler that refuses a connection, by the one code that it has, would take one that asks for less."""
    less = {name: value for name, value in options.parameters.items() if name != "options"}
    timeout_s = min(options.connect_timeout_s, ends_at - time.monotonic())
    return len(less) < len(options.parameters) and sqlstate_of_refusal(make_conninfo(**less), timeout_s) != POOLER


def _is_no_attempt(conninfo: str) -> bool:
    return pq.PGconn.ping(make_conninfo(conninfo, connect_timeout=_PING_S).encode()) == pq.Ping.NO_ATTEMPT


class Permit:
    """The right to use one session; where it is dropped, by an interrupt, the room gets another one."""

    __slots__ = ("_room",)

    def __init__(self, room: "weakref.ref[queue.SimpleQueue[Permit]]") -> None:
        self._room = room

    def __del__(self) -> None:
        room = self._room()
        if room is not None:
            room.put(Permit(self._room))


class OwnPool:
    """Sessions that are opened as calls need them, in the thread of the call, whose error then tells why it failed.

    Idle ones wait in a stack, so that few are used often and the surplus grows old; there is no thread that tends them.
    No lock is held while Python code runs, and what a call has taken goes when its frame does: an interrupt may strike
    anywhere (CO10).
    """

    def __init__(self, options: Options, qualified: Qualifier, call_timeout_s: float) -> None:
        self.location = options.location
        self.call_timeout_s = call_timeout_s
        self.is_closed = False
        self._options = options
        self.qualified = qualified
        self._start_afresh()
        follow_forks(self)

    def _start_afresh(self) -> None:
        self._room: queue.SimpleQueue[Permit] = queue.SimpleQueue()
        for _ in range(self._options.pool_max):
            self._room.put(Permit(weakref.ref(self._room)))
        self._idle: list[Session] = []
        # Without callbacks, unlike a WeakSet: an interrupt that strikes one is lost.
        self._all: dict[int, weakref.ref[Session]] = {}

    def take(self, ends_at: float = math.inf) -> Session:
        """Return an idle session, or open one.

        Raises:
            BackendBusyError: All sessions stayed in use for the whole time-out (CO11).
            PersistenceError: As `connect`.
        """
        if self.is_closed:
            raise BackendClosedError
        timeout_s = remaining_s(self._options.pool_timeout_s, ends_at)
        try:
            permit = self._room.get(timeout=timeout_s)
        except queue.Empty:
            raise BackendBusyError(waited_s=round(timeout_s, 3)) from None
        try:
            session = self._idle_one() or self._open(ends_at)
            session.permit = permit
        except BaseException:
            self._room.put(permit)  # now, and not when the error's frames go
            raise
        return session

    def _idle_one(self) -> Session | None:
        while self._idle:
            with contextlib.suppress(IndexError):  # another thread was faster
                session = self._idle.pop()
                if not session.is_stale:
                    session.has_sent_commit = False
                    return session
                session.raw.close()
        return None

    def _open(self, ends_at: float) -> Session:
        session = Session(connect(self._options, ends_at), self.qualified, self.call_timeout_s)
        self._all[next(_numbers)] = weakref.ref(session)
        for number, other in list(self._all.items()):
            if other() is None:
                self._all.pop(number, None)
        return session

    def give_back(self, session: Session) -> None:
        """Keep the session for the next call; close one that was too long without."""
        now = session.idle_since = time.monotonic()
        permit, session.permit = session.permit, None
        self._idle.append(session)
        self._room.put(permit)
        if self.is_closed:
            self.drop_idle()
        elif len(self._idle) > self._options.pool_min and now - self._idle[0].idle_since > IDLE_S:
            with contextlib.suppress(IndexError):
                self._idle.pop(0).raw.close()

    def give_up(self, session: Session) -> None:
        """Keep what can be used again, close what cannot."""
        session.end()
        if session.is_broken:
            permit, session.permit = session.permit, None
            self._room.put(permit)
        else:
            self.give_back(session)

    def drop_idle(self) -> None:
        """Close the idle sessions."""
        while self._idle:
            with contextlib.suppress(IndexError):
                self._idle.pop().raw.close()

    def close(self) -> None:
        """Close every session; those in use by other threads are closed when they are given back."""
        self.is_closed = True
        self.drop_idle()

    def before_fork(self) -> None:
        """Nothing is to be done: a call that waits for the server holds no lock of this process."""

    def after_fork_in_child(self) -> None:
        """Leave the parent's sockets alone, and start with none.

        What psycopg may still send on them, saying goodbye when a connection is collected, goes nowhere.
        """
        nowhere = os.open(os.devnull, os.O_RDWR)
        for session in filter(None, [each() for each in self._all.values()]):
            with contextlib.suppress(psycopg.Error, OSError):
                os.dup2(nowhere, session.raw.fileno())
            _inherited.append(session.raw)
        os.close(nowhere)
        self._start_afresh()


class BorrowedPool:
    """An application's own `psycopg_pool.ConnectionPool`: sessions are borrowed from it, and it is never closed."""

    def __init__(self, pool: ConnectionPool[Any], qualified: Qualifier, call_timeout_s: float) -> None:
        self.location = f"the pool {pool.name!r}"
        self.is_closed = False
        self._pool = pool
        self.call_timeout_s = call_timeout_s
        self.qualified = qualified

    def take(self, ends_at: float = math.inf) -> Session:
        """Borrow a connection.

        Raises:
            BackendBusyError: The pool gave none within its time-out (CO11).
        """
        while not self.is_closed:
            raw = self._borrow(ends_at)
            session = Session(raw, self.qualified, self.call_timeout_s)
            if not session.is_stale:
                raw.autocommit = True
                return session
            raw.close()
            session.unbind()
            self._pool.putconn(raw)
        raise BackendClosedError

    def _borrow(self, ends_at: float) -> Raw:
        timeout_s = remaining_s(self._pool.timeout, ends_at)
        try:
            raw: Raw = self._pool.getconn(timeout=timeout_s)
        except PoolClosed as error:
            raise BackendClosedError from error
        except (PoolTimeout, TooManyRequests) as error:
            raise BackendBusyError(waited_s=round(timeout_s, 3)) from error
        return raw

    def give_back(self, session: Session) -> None:
        """Return the connection as it was lent."""
        session.unbind()
        self._pool.putconn(session.raw)

    def give_up(self, session: Session) -> None:
        """Return the connection; the pool replaces a broken one."""
        session.end()
        self.give_back(session)

    def drop_idle(self) -> None:
        """Have the pool replace its idle connections, without a word to a server that may not answer."""
        self._pool.drain()

    def close(self) -> None:
        """Borrow no more; the pool is its owner's to close."""
        self.is_closed = True


_inherited: Final[list[Raw]] = []
_numbers: Final = itertools.count()
