"""Connections to one database file: one that writes, a pool of those that read, safe across threads and forks."""

import random
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeVar, cast

from context_core.errors import (
    BackendBusyError,
    BackendClosedError,
    BackendUnavailableError,
    ContextCoreError,
    OutcomeUnknownError,
)
from context_core.forking import follow_forks, outside_forks
from context_core_sqlite import _foreign_keys
from context_core_sqlite._database import Options, connect, connect_to_write
from context_core_sqlite._errors import primary_code, translated
from context_core_sqlite._files import Change, FileWatch
from context_core_sqlite._group import Write, WriteQueue
from context_core_sqlite._history import Packer
from context_core_sqlite._inheritance import keep_for_ever
from context_core_sqlite._wal import WalLimit, fold

A = TypeVar("A")
T = TypeVar("T")

MAX_IDLE_READERS: Final = 8
"""Reading connections kept for the next reader; more are opened as threads need them, and closed after use."""


SHORTEST_PAUSE_S: Final = 0.0005
LONGEST_PAUSE_S: Final = 0.002
"""How long a writer pauses before it looks again whether those of other processes are done."""


class Connections:
    """The open connections of one store.

    Writes take turns on one connection, or go together: SQLite lets one write at a time anyway, and waiting here is
    fair and costs no sleep. Reads take a connection from the pool and put it back. A fork waits for calls under way and
    closes the idle connections first, so that parent and child each open their own (CO08).
    """

    def __init__(self, options: Options, packer: Packer) -> None:
        self._options = options
        self._packer = packer
        self._is_closed = False
        self._queue = WriteQueue(self._together, options.busy_timeout_s)
        self._writer: sqlite3.Connection | None = None
        self._files = FileWatch(options.path)
        self._wal_limit = WalLimit(options.location)
        self._generation = 0  # of the connections: those of an older one are closed after use
        self._idle: list[sqlite3.Connection] = []
        follow_forks(self)

    def check_open(self) -> None:
        """Raise BackendClosedError after `close`."""
        if self._is_closed:
            raise BackendClosedError

    def read(self, work: Callable[[sqlite3.Connection, A], T], argument: A) -> T:
        """Run *work* on a reading connection. It must leave no statement open."""
        return outside_forks(self._read, work, argument)

    def _read(self, work: Callable[[sqlite3.Connection, A], T], argument: A) -> T:
        self.check_open()
        try:
            return self._read_open(work, argument)
        except sqlite3.Error as error:
            raise self._translated(error) from error

    def _read_open(self, work: Callable[[sqlite3.Connection, A], T], argument: A) -> T:
        if time.monotonic() >= self._files.next_look_s:
            self._look()
        generation = self._generation
        try:
            connection = self._idle.pop()
        except IndexError:
            self._files.check_not_abandoned()
            connection = connect(self._options)
        try:
            result = work(connection, argument)
        except BaseException:
            # A statement that was broken off may still be open, and what is read beside it is of its moment (CO05).
            connection.close()
            raise
        if not self._files.is_known:
            self._files.remember()
        if self._files.wal_bytes > self._wal_limit.truncate_above_bytes and not connection.in_transaction:
            self._wal_limit.keep(connection, self._files.wal_bytes, int(self._options.busy_timeout_s * 1000))
        if generation != self._generation:
            connection.close()
            return result
        self._idle.append(connection)
        if self._is_closed or len(self._idle) > MAX_IDLE_READERS:
            self._close_surplus()
        return result

    def write(self, work: Callable[[sqlite3.Connection, A], T], argument: A) -> T:
        """Run *work* in a transaction: committed when this returns, rolled back when it raises (CO10).

        Those who write at the same time share a transaction; *work* must raise before it writes, or not at all, unless
        something goes wrong that concerns them all.
        """
        try:
            return cast("T", outside_forks(self._queue.write, self._alone, work, argument))
        finally:
            if self._is_closed:
                self._close(wait_s=0)

    def _alone(self, work: Callable[[sqlite3.Connection, A], T], argument: A, deadline: float) -> T:
        """Do one write in a transaction of its own."""
        self.check_open()
        try:
            try:
                return self._transact(work, argument, deadline)
            except sqlite3.OperationalError as error:
                if self._writer is None or not _foreign_keys.give_way(self._writer, self._options.location, error):
                    raise
                return self._transact(work, argument, deadline)
        except sqlite3.Error as error:
            raise self._translated(error) from error

    def _transact(self, work: Callable[[sqlite3.Connection, A], T], argument: A, deadline: float) -> T:
        connection = self._open_writer()
        try:
            self._begin(connection, deadline)
            result = work(connection, argument)
            self._commit(connection)
            return result  # noqa: TRY300  # an interrupt right behind the commit is handled as one before it
        except BaseException:
            self._roll_back(connection)
            raise

    def _together(self, writes: Sequence[Write], deadline: float) -> None:
        """Do several writes in one transaction, each with its own result or error.

        What could not begin before the leader's *deadline* has neither, and is left to the next leader.
        """
        if len(writes) > 1 and self._try_together(writes, deadline):
            return
        for write in writes:
            if not write.claim():
                continue
            try:
                write.result = self._alone(write.work, write.argument, min(deadline, write.deadline))
            except BackendBusyError as error:
                if time.monotonic() < write.deadline:  # it was the leader's time that ended
                    return
                write.error = error
            except Exception as error:  # noqa: BLE001  # whatever it is, the caller's own thread raises it
                write.error = error
            except BaseException:
                # An interrupt of the thread that this runs in. It may have come right after the commit: to do the write
                # again would make a second version of one save.
                write.error = OutcomeUnknownError("another thread, which did this save too, was interrupted")
                raise

    def _try_together(self, writes: Sequence[Write], deadline: float) -> bool:
        """Tell whether there is no more to do; where one failed half-way, all is rolled back and each is on its own."""
        try:
            self.check_open()
            connection = self._open_writer()
            self._begin(connection, deadline)
        except (sqlite3.Error, ContextCoreError) as error:
            # Each meets this by itself, and gets an error of its own; but to wait for others each has time of its own.
            return isinstance(error, sqlite3.Error) and primary_code(error) == sqlite3.SQLITE_BUSY
        try:
            for write in writes:
                if write.claim() and not self._try(connection, write):
                    self._roll_back(connection)
                    _reset(writes)
                    return False
            self._commit(connection)
        except (sqlite3.Error, OutcomeUnknownError) as error:
            # Even who was refused is told: it was judged beside writes that are no more.
            self._roll_back(connection)
            for write in writes:
                if not write.is_withdrawn:
                    write.error = self._copied(error)
        except ContextCoreError:  # a foreign key of someone else refused one of them; which one shows each by itself
            self._roll_back(connection)
            _reset(writes)
            return False
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
        outside_forks(self._close, wait_s=0 if self._queue.is_led_here else self._options.busy_timeout_s)

    def _close(self, *, wait_s: float) -> None:
        """Close what is open. Where another call is at it for longer, that call does it when it ends."""
        turn, taken = self._queue.turn, list[bool]()
        try:
            taken.extend(map(turn.acquire, (True,), (wait_s,)))  # in one step, which no interrupt can split
            if taken[0]:
                self._drop_idle()
        finally:
            if taken and taken[0]:
                turn.release()

    def _drop_idle(self) -> None:
        """Close the writer and the idle readers; the next call opens new ones. Needs the turn to write."""
        self._generation += 1
        self._files.forget()
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
        while self._idle:
            self._idle.pop().close()

    def before_fork(self) -> None:
        """Leave no idle connection open for the child to inherit."""
        if self._queue.turn.acquire(blocking=False):
            try:
                self._drop_idle()
            finally:
                self._queue.turn.release()

    def after_fork_in_child(self) -> None:
        """Start afresh. What was inherited all the same is never touched: SQLite forbids even closing it here."""
        for connection in [*self._idle, *([self._writer] if self._writer is not None else [])]:
            keep_for_ever(connection)
        self._writer = None
        self._idle = []
        self._files.forget()
        self._queue = WriteQueue(self._together, self._options.busy_timeout_s)
        self._packer.roll_back()

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
        if self._writer is None and not self._idle:
            self._files.forget()
        change = self._files.look()
        if change is not None:
            raise self._give_up(change)
        if self._writer is None:
            self._files.check_not_abandoned()
            self._writer = connect_to_write(self._options)
        if not self._files.is_known:
            self._files.remember()
        if self._files.wal_bytes > self._wal_limit.truncate_above_bytes:
            self._wal_limit.keep(self._writer, self._files.wal_bytes, busy_timeout_ms=0)
        return self._writer

    def _give_up(self, change: Change) -> BackendUnavailableError:
        """Close connections to files that are no longer at their path; a removed WAL is copied into the main file first.

        Needs the turn to write. Nobody has opened the database since a WAL was removed: that would make a new one.
        """
        if change is Change.REPLACED:
            self._files.abandon(self._writer, *self._idle)
            self._writer, self._idle = None, []
            self._generation += 1
            return self._files.error(change, is_folded=False)
        is_folded = change is Change.MAIN or self._fold()
        if is_folded:
            self._drop_idle()
        return self._files.error(change, is_folded=is_folded)

    def _fold(self) -> bool:
        if self._writer is not None:
            return fold(self._writer)
        readers = self._idle[:1]  # others may read with it meanwhile: SQLite lets them take turns
        return fold(readers[0]) if readers else True  # nothing is open that holds it

    def _look(self) -> None:
        """Look, before a read, at the files and at the size of the WAL."""
        if self._writer is None and not self._idle:
            self._files.forget()
        change = self._files.look()
        if change is not None:
            if not self._queue.turn.acquire(blocking=False):
                raise self._files.error(change, is_folded=False)
            try:
                raise self._give_up(change)
            finally:
                self._queue.turn.release()

    def _begin(self, connection: sqlite3.Connection, deadline: float) -> None:
        """Begin a transaction that writes, once writers of other processes are out of the way.

        IMMEDIATE takes the write lock at once: a transaction that reads first and writes later would fail with "database
        is locked" whenever another process wrote in between. Waiting is done here, since SQLite's own pauses grow to a
        tenth of a second, in which the others get in many times over: short and uneven ones leave nobody behind.
        """
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                    raise
            else:
                return
            time.sleep(random.uniform(SHORTEST_PAUSE_S, LONGEST_PAUSE_S))  # noqa: S311  # chance, not secrets

    def _commit(self, connection: sqlite3.Connection) -> None:
        try:
            connection.execute("COMMIT")
            self._packer.commit()
        except sqlite3.IntegrityError as error:  # only a deferred foreign key speaks up that late
            raise _foreign_keys.refused_commit(connection) from error
        except sqlite3.Error as error:
            if primary_code(error) == sqlite3.SQLITE_IOERR:
                # The commit may have reached the disk before the failure was seen.
                raise OutcomeUnknownError(f"the disk failed under {self._options.location} during a commit") from error
            raise
        if self._files.has_lost_wal():
            raise OutcomeUnknownError(f"the WAL of {self._options.location} was removed or replaced during a commit")

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
