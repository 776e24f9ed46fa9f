"""How long a call waits for a server: one that keeps its connection open and stops answering ends the call (CO12).

psycopg waits in steps of a tenth of a second, to notice signals. Each step looks at the deadline of the call here: no
thread is needed that watches, and no system call that the wait would not make anyway.
"""

import contextlib
import threading
import time
import weakref
from collections.abc import Generator, Iterator
from typing import Any, Final, TypeVar

import psycopg

T = TypeVar("T")


class NoAnswerError(psycopg.OperationalError):
    """The server did not answer within the time that the call had; its connection was closed."""


class Deadline:
    """When the waiting on one connection ends.

    Attributes:
        call_timeout_s: How long a call, or a round trip of a long call, may take.
        has_passed: Whether the connection was closed since the server did not answer in time.
        ended_by: The SQLSTATE with which the server ended the session while it was idle, which psycopg takes for a
            notice.
    """

    __slots__ = ("_ends_at", "call_timeout_s", "ended_by", "has_passed")

    def __init__(self, call_timeout_s: float) -> None:
        self.call_timeout_s = call_timeout_s
        self.has_passed = False
        self.ended_by: str | None = None
        self._ends_at: float | None = None

    def begin(self, ends_at: float | None) -> None:
        """Begin a call that ends at a moment of `time.monotonic`; None: each round trip has the whole time."""
        self._ends_at = ends_at

    def note(self, notice: psycopg.errors.Diagnostic) -> None:
        """Look through what the server says without being asked."""
        if notice.severity_nonlocalized in ("FATAL", "PANIC"):
            self.ended_by = notice.sqlstate

    def over(self, exchange: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        """Pass through one exchange of psycopg with the server, until the deadline."""
        ends_at = time.monotonic() + self.call_timeout_s if self._ends_at is None else self._ends_at
        try:
            wanted = next(exchange)
            while True:
                ready = yield wanted
                wanted = exchange.send(ready)
                if time.monotonic() >= ends_at:
                    self.has_passed = True
                    raise NoAnswerError(f"no answer within {self.call_timeout_s:g} s: the connection was closed")
        except StopIteration as end:
            result: T = end.value
            return result


class _BoundedWait:
    """psycopg's `Connection.wait`, up to a deadline."""

    __slots__ = ("_connection", "_deadline")

    def __init__(self, connection: psycopg.Connection[Any], deadline: Deadline) -> None:
        self._connection = weakref.ref(connection)  # a cycle would keep connections open that nobody uses
        self._deadline = deadline

    def __call__(self, exchange: Generator[Any, Any, T], *arguments: Any, **options: Any) -> T:
        connection = self._connection()
        assert connection is not None, "it is its own connection that waits"  # for the type checker
        try:
            return type(connection).wait(connection, self._deadline.over(exchange), *arguments, **options)
        except NoAnswerError:
            # Without a word to the server: libpq's goodbye is sent without waiting, and the socket is gone.
            connection.pgconn.finish()
            raise


def bind(connection: psycopg.Connection[Any], deadline: Deadline) -> None:
    """Have all that *connection* waits for end at *deadline*; an application's own connection keeps its class."""
    vars(connection)["wait"] = _BoundedWait(connection, deadline)
    connection.add_notice_handler(deadline.note)


def unbind(connection: psycopg.Connection[Any], deadline: Deadline) -> None:
    """Let *connection* wait as before."""
    vars(connection).pop("wait", None)
    connection.remove_notice_handler(deadline.note)


class _Connecting(threading.local):
    """The moment at which the connection that this thread opens must stand."""

    ends_at: float = float("inf")


_connecting: Final = _Connecting()


@contextlib.contextmanager
def connecting_until(ends_at: float) -> Iterator[None]:
    """Bound what `until` passes through, in this thread."""
    _connecting.ends_at = ends_at
    try:
        yield
    finally:
        del _connecting.ends_at


def until_connected(exchange: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
    """Pass through the opening of a connection, until the moment that `connecting_until` names."""
    ends_at = _connecting.ends_at
    try:
        wanted = next(exchange)
        while time.monotonic() < ends_at:
            ready = yield wanted
            wanted = exchange.send(ready)
    except StopIteration as end:
        result: T = end.value
        return result
    raise psycopg.errors.ConnectionTimeout("the server did not answer in time")
