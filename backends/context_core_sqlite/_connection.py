"""Connections to one database file: one that writes, a pool of those that read, safe across threads and forks."""

import os
import random
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar, cast
from urllib.parse import quote

import attrs

from context_core.errors import BackendClosedError, BackendUnavailableError, ContextCoreError, OutcomeUnknownError
from context_core_sqlite._errors import primary_code, translated
from context_core_sqlite._group import Write, WriteQueue
from context_core_sqlite._history import Packer

A = TypeVar("A")
T = TypeVar("T")

MAX_IDLE_READERS: Final = 8
"""Reading connections kept for the next reader; more are opened as threads need them, and closed after use."""

CACHED_STATEMENTS: Final = 256
"""Prepared statements kept by each connection: preparing costs as much as running one."""

FORK_PATIENCE_S: Final = 10.0
"""How long a fork waits for reads under way."""

SHORTEST_PAUSE_S: Final = 0.0005
LONGEST_PAUSE_S: Final = 0.002
"""How long a writer pauses before it looks again whether those of other processes are done."""


@attrs.frozen(kw_only=True)
class Options:
    """How a database file is used.

    Attributes:
        path: Absolute, so that a later change of directory moves nothing.
        synchronous: FULL survives power loss; NORMAL survives a killed process and may lose the last saves with power.
        busy_timeout_s: How long a call waits for other writers.
        read_only: Write and create nothing.
    """

    path: Path
    synchronous: str
    busy_timeout_s: float
    read_only: bool

    @property
    def location(self) -> str:
        """The path as it is shown in messages."""
        return str(self.path)


def connect(options: Options, *, create: bool = False) -> sqlite3.Connection:
    """Open a connection; without *create* a missing file is an error, so that a vanished database stays noticed."""
    mode = "ro" if options.read_only else ("rwc" if create else "rw")
    connection = sqlite3.connect(
        f"file:{quote(os.fsencode(options.path))}?mode={mode}",
        uri=True,
        timeout=options.busy_timeout_s,
        isolation_level=None,  # transactions begin where this package says BEGIN
        check_same_thread=False,  # a connection is used by one thread at a time, not by one thread only
        cached_statements=CACHED_STATEMENTS,
    )
    try:
        # An acknowledged save survives power loss: the WAL is synced at each commit, not only at checkpoints.
        connection.execute(f"PRAGMA synchronous = {options.synchronous}")
        # A database file is data: a function hidden in its schema must not run with our rights.
        connection.execute("PRAGMA trusted_schema = OFF")
    except BaseException:
        connection.close()
        raise
    return connection


class Connections:
    """The open connections of one store.

    Writes take turns on one connection, or go together: SQLite lets one write at a time anyway, and waiting here is
    fair and costs no sleep. Reads take a connection from the pool and put it back. A fork closes the idle connections first, so that
    parent and child each open their own (CO08).
    """

    def __init__(self, options: Options, packer: Packer) -> None:
        self._options = options
        self._packer = packer
        self._is_closed = False
        self._queue = WriteQueue(self._together, options.busy_timeout_s)
        self._writer: sqlite3.Connection | None = None
        self._writer_identity: tuple[int, int] | None = None
        self._idle: list[sqlite3.Connection] = []
        self._at_work: list[None] = []  # one for each read under way
        self._is_forking = False
        self._fork_gate = threading.Lock()
        _live.add(self)

    def check_open(self) -> None:
        """Raise BackendClosedError after `close`."""
        if self._is_closed:
            raise BackendClosedError

    def read(self, work: Callable[[sqlite3.Connection, A], T], argument: A) -> T:
        """Run *work* on a reading connection. It must leave no statement open."""
        if self._is_closed:
            raise BackendClosedError
        while True:
            self._at_work.append(None)  # first the note, then the look: see before_fork
            if not self._is_forking:
                break
            self._at_work.pop()
            with self._fork_gate:
                pass
        try:
            return self._read(work, argument)
        except sqlite3.Error as error:
            raise self._translated(error) from error
        finally:
            self._at_work.pop()

    def _read(self, work: Callable[[sqlite3.Connection, A], T], argument: A) -> T:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = connect(self._options)
        try:
            result = work(connection, argument)
        except BaseException:
            # A statement that was broken off may still be open, and what is read beside it is of its moment (CO05).
            connection.close()
            raise
        self._idle.append(connection)
        if self._is_closed or len(self._idle) > MAX_IDLE_READERS:
            self._close_surplus()
        return result

    def write(self, work: Callable[[sqlite3.Connection, A], T], argument: A) -> T:
        """Run *work* in a transaction: committed when this returns, rolled back when it raises (CO10).

        Those who write at the same time share a transaction; *work* must raise before it writes, or not at all, unless
        something goes wrong that concerns them all.
        """
        return cast("T", self._queue.write(self._alone, work, argument))

    def _alone(self, work: Callable[[sqlite3.Connection, A], T], argument: A) -> T:
        """Do one write in a transaction of its own."""
        self.check_open()
        try:
            connection = self._open_writer()
            try:
                self._begin(connection)
                result = work(connection, argument)
                self._commit(connection)
            except BaseException:
                self._roll_back(connection)
                raise
        except sqlite3.Error as error:
            raise self._translated(error) from error
        return result

    def _together(self, writes: Sequence[Write]) -> None:
        """Do several writes in one transaction, each with its own result or error."""
        if len(writes) > 1 and self._try_together(writes):
            return
        for write in writes:
            try:
                write.result = self._alone(write.work, write.argument)
            except Exception as error:  # noqa: BLE001  # whatever it is, the caller's own thread raises it
                write.error = error
            except BaseException:
                # An interrupt of the thread that this runs in. It may have come right after the commit: to do the write
                # again would make a second version of one save.
                write.error = OutcomeUnknownError("another thread, which did this save too, was interrupted")
                raise

    def _try_together(self, writes: Sequence[Write]) -> bool:
        """Tell whether every write was judged; where one failed half-way, all is rolled back and each is on its own."""
        try:
            self.check_open()
            connection = self._open_writer()
            self._begin(connection)
        except (sqlite3.Error, ContextCoreError):
            return False  # each meets this by itself, and gets an error of its own
        try:
            for write in writes:
                if not self._try(connection, write):
                    self._roll_back(connection)
                    _reset(writes)
                    return False
            self._commit(connection)
        except (sqlite3.Error, OutcomeUnknownError) as error:
            # Even who was refused is told: it was judged beside writes that are no more.
            self._roll_back(connection)
            for write in writes:
                write.error = self._copied(error)
        except BaseException:
            # An interrupt, or the like, of the thread that this runs in.
            if connection.in_transaction:
                self._roll_back(connection)
                _reset(writes)
            raise
        return True

    def _try(self, connection: sqlite3.Connection, write: Write) -> bool:
        """Do one write of several. False: it failed after it had written something."""
        before = connection.total_changes
        try:
            write.result = write.work(connection, write.argument)
        except Exception as error:  # noqa: BLE001  # whatever it is, the caller's own thread raises it
            if connection.total_changes != before or not connection.in_transaction:
                return False
            write.error = self._translated(error) if isinstance(error, sqlite3.Error) else error
        return True

    def _copied(self, error: sqlite3.Error | OutcomeUnknownError) -> Exception:
        """An error of its own for each thread: a traceback grows wherever its exception is raised."""
        copy = self._translated(error) if isinstance(error, sqlite3.Error) else OutcomeUnknownError(str(error))
        copy.__cause__ = error
        return copy

    def close(self) -> None:
        """Close every connection; those in use by other threads are closed when they are put back."""
        self._is_closed = True
        with self._queue.turn:
            self.drop_idle()

    def drop_idle(self) -> None:
        """Close the writer and the idle readers; the next call opens new ones. Needs the turn to write."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
        while self._idle:
            self._idle.pop().close()

    def before_fork(self) -> None:
        """Wait for what is under way to end, and leave no connection open for the child to inherit.

        Reads too: a thread inside of SQLite may hold locks of the library, which nobody would ever open in the child.
        """
        self._queue.turn.acquire()
        self._fork_gate.acquire()
        self._is_forking = True
        deadline = time.monotonic() + FORK_PATIENCE_S
        while self._at_work and time.monotonic() < deadline:
            time.sleep(SHORTEST_PAUSE_S)
        self.drop_idle()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._is_forking = False
        self._fork_gate.release()
        self._queue.release()

    def after_fork_in_child(self) -> None:
        """Start afresh. What was inherited all the same is never touched: SQLite forbids even closing it here."""
        _inherited.extend(self._idle)
        if self._writer is not None:
            _inherited.append(self._writer)
        self._writer = None
        self._idle = []
        self._queue = WriteQueue(self._together, self._options.busy_timeout_s)
        self._at_work = []
        self._is_forking = False
        self._fork_gate = threading.Lock()

    def _close_surplus(self) -> None:
        """Close idle readers down to what is kept; all of them once the store is closed."""
        while len(self._idle) > (0 if self._is_closed else MAX_IDLE_READERS):
            try:
                self._idle.pop().close()
            except IndexError:  # another thread was faster
                return

    def _open_writer(self) -> sqlite3.Connection:
        """Return the writing connection, having looked that its file still lies at its path.

        SQLite goes on writing to a deleted file without a word; such saves would be acknowledged and lost.
        """
        if self._writer is not None and self._writer.in_transaction:
            self._roll_back(self._writer)  # an interrupt broke off the one before
        if self._writer is None:
            self._writer = connect(self._options)
            self._writer.execute("PRAGMA busy_timeout = 0")  # from here on `_begin` does the waiting
            self._writer_identity = self._identity()
        elif self._identity() != self._writer_identity:
            self.drop_idle()
            raise BackendUnavailableError(
                f"the database {self._options.location} was removed or replaced while it was open: nothing was "
                f"written; put it back and try again, or open a new store"
            )
        return self._writer

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self._options.path)  # noqa: PTH116  # Path.stat costs twice as much, at each save
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _begin(self, connection: sqlite3.Connection) -> None:
        """Begin a transaction that writes, once writers of other processes are out of the way.

        IMMEDIATE takes the write lock at once: a transaction that reads first and writes later would fail with "database
        is locked" whenever another process wrote in between. Waiting is done here, since SQLite's own pauses grow to a
        tenth of a second, in which the others get in many times over: short and uneven ones leave nobody behind.
        """
        deadline = None
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if primary_code(error) != sqlite3.SQLITE_BUSY:
                    raise
                now = time.monotonic()
                deadline = deadline or now + self._options.busy_timeout_s
                if now >= deadline:
                    raise
            else:
                return
            time.sleep(random.uniform(SHORTEST_PAUSE_S, LONGEST_PAUSE_S))  # noqa: S311  # chance, not secrets

    def _commit(self, connection: sqlite3.Connection) -> None:
        try:
            connection.execute("COMMIT")
            self._packer.commit()
        except sqlite3.Error as error:
            if primary_code(error) == sqlite3.SQLITE_IOERR:
                # The commit may have reached the disk before the failure was seen.
                raise OutcomeUnknownError(f"the disk failed under {self._options.location} during a commit") from error
            raise

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        """Undo what is open. A connection that cannot even do that is given up, and with it its transaction."""
        self._packer.roll_back()
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._writer = None
            connection.close()

    def _translated(self, error: sqlite3.Error) -> Exception:
        if self._is_closed and isinstance(error, sqlite3.ProgrammingError):
            return BackendClosedError()
        return translated(error, self._options.location, self._options.busy_timeout_s)


def _reset(writes: Sequence[Write]) -> None:
    for write in writes:
        write.reset()


_live: Final[weakref.WeakSet[Connections]] = weakref.WeakSet()
_inherited: Final[list[sqlite3.Connection]] = []
_held: Final[list[Connections]] = []


def _before_fork() -> None:
    _held.extend(_live)
    for connections in _held:
        connections.before_fork()


def _after_fork_in_parent() -> None:
    while _held:
        _held.pop().after_fork_in_parent()


def _after_fork_in_child() -> None:
    _held.clear()
    for connections in list(_live):
        connections.after_fork_in_child()


if hasattr(os, "register_at_fork"):  # where there is no fork there is nothing to do
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
