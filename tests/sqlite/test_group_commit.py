"""Writers that overlap share a transaction, and none of them can tell."""

import sqlite3
import threading
import time
from concurrent.futures import Future
from typing import Any

import pytest

from context_core import (
    BackendBusyError,
    BackendClosedError,
    ContextPersistence,
    Delete,
    InvalidContextError,
    OutcomeUnknownError,
    Save,
    StorageError,
    VersionConflictError,
    WorkflowContext,
)
from context_core.model import utc_now
from context_core_sqlite import SqliteBackend, _group
from context_core_sqlite._group import MAX_GROUP, WriteQueue

PATIENCE_S = 30


def a_context(workflow_id, **metadata):
    return WorkflowContext(workflow_id, 1, 1, "f", "w").copy_with(metadata=metadata)


class Store:
    """A store whose turn to write can be held, so that those who come meanwhile form a group."""

    def __init__(self, path, **options):
        backend: Any = SqliteBackend(path, **options)
        self.store = ContextPersistence(backend)
        self.connections = backend._connections
        self.statements: list[str] = []
        self.store.save_context(a_context("first"))
        self.connections._writer.set_trace_callback(self.statements.append)

    @property
    def queue(self):
        return self.connections._queue

    def together(self, *actions, meanwhile=lambda: None):
        """Run actions in threads that all wait for the turn to write, then *meanwhile*; return how each ended."""
        ended: list[Future[Any]] = [Future() for _ in actions]
        threads = []
        with self.queue.turn:
            for action, future in zip(actions, ended, strict=True):
                count = len(self.queue._waiting)
                thread = threading.Thread(target=self._run, args=(action, future), daemon=True)
                thread.start()
                threads.append(thread)
                deadline = time.monotonic() + PATIENCE_S
                while len(self.queue._waiting) == count and not future.done():
                    assert time.monotonic() < deadline
            self.statements.clear()
            meanwhile()
        self.queue._waiting[0].notify()
        for thread in threads:
            thread.join(PATIENCE_S)
        return [future.exception(0) or future.result(0) for future in ended]

    @staticmethod
    def _run(action, future):
        try:
            future.set_result(action())
        except BaseException as error:  # noqa: BLE001  # it is looked at in the test's thread
            future.set_exception(error)

    def count(self, statement):
        return sum(text.startswith(statement) for text in self.statements)

    def saving(self, workflow_id, **options):
        return lambda: self.store.save_context(a_context(workflow_id), **options)


@pytest.fixture
def shared(tmp_path):
    shared = Store(tmp_path / "engine.db")
    yield shared
    shared.store.close()


def test_writers_that_wait_are_committed_together(shared):
    """One BEGIN and one COMMIT for all, in the order in which they came."""
    assert shared.together(*[shared.saving("w") for _ in range(8)]) == list(range(1, 9))
    assert (shared.count("BEGIN"), shared.count("COMMIT")) == (1, 1)
    assert [header.version for header in shared.store.history("w")] == list(range(1, 9))


def test_more_writers_than_fit_into_a_group_are_committed_in_turn(shared):
    """Whoever leads a group that its own write does not fit into goes on until that is done."""
    count = MAX_GROUP + 5
    assert shared.together(*[shared.saving("w") for _ in range(count)]) == list(range(1, count + 1))
    assert shared.count("COMMIT") == 2


def test_a_leader_that_is_interrupted_wakes_the_next_writer(tmp_path, monkeypatch):
    """The interrupted leader leaves the queue first: otherwise it would wake itself, and the others would wait."""
    monkeypatch.setattr(_group, "_LOOK_AGAIN_S", 3_600)

    def interrupt(*_):
        raise KeyboardInterrupt

    shared = Store(tmp_path / "engine.db", busy_timeout_s=3_600)
    leader, follower = shared.together(lambda: shared.connections.write(interrupt, None), shared.saving("w"))
    assert isinstance(leader, KeyboardInterrupt)
    assert follower == 1
    shared.store.close()


def test_one_writer_alone_waits_for_nobody(shared):
    """It writes in its own thread, without a queue, where waiting would begin."""
    shared.statements.clear()
    shared.queue._wait = lambda _: pytest.fail("a lone caller took its place in a queue")
    writers = []
    shared.connections._packer.commit = lambda: writers.append(threading.get_ident())
    shared.store.save_context(a_context("w"))
    assert writers == [threading.get_ident()]
    assert (shared.count("BEGIN"), shared.count("COMMIT")) == (1, 1)


@pytest.mark.promise("CA08", "CO10")
def test_a_refused_writer_harms_no_neighbour(shared):
    """A conflict, a missing workflow and a bad value are their callers' own; one transaction does the rest."""
    ended = shared.together(
        shared.saving("a"),
        shared.saving("first", expected_version=7),
        lambda: shared.store.update_context(a_context("missing")),
        lambda: shared.store.save_context(a_context("bad", x={1, 2})),
        shared.saving("b"),
    )
    assert [ended[0], ended[4]] == [1, 1]
    assert [type(error).__name__ for error in ended[1:4]] == [
        "VersionConflictError",
        "ContextNotFoundError",
        "UnserializableValueError",
    ]
    assert isinstance(ended[3], InvalidContextError)
    assert shared.count("COMMIT") == 1
    assert shared.store.count_contexts() == 3


@pytest.mark.promise("BA01", "CO10")
def test_a_writer_that_fails_half_way_leaves_nothing(shared):
    """A batch fails at its end: its own saves are gone, and its neighbours' are there."""

    def failing_batch():
        return shared.store.batch([Save(a_context("half")), Delete("first", expected_version=9)])

    ended = shared.together(shared.saving("a"), failing_batch, shared.saving("b"), shared.saving("a"))
    assert [ended[0], ended[2], ended[3]] == [1, 1, 2]
    assert isinstance(ended[1], VersionConflictError)
    assert sorted(context.workflow_id for context in shared.store.search_contexts()) == ["a", "b", "first"]


@pytest.mark.promise("CO10")
def test_a_clock_that_fails_is_its_own_callers_news(tmp_path):
    """Whatever a caller's code raises inside the transaction is raised in that caller's thread."""
    failures: list[Exception] = []

    def clock():
        if failures:
            raise failures.pop()
        return utc_now()

    shared = Store(tmp_path / "engine.db", clock=clock)
    failures.append(LookupError("no time"))
    ended = shared.together(*[shared.saving(name) for name in "abc"])
    assert [type(end) for end in ended].count(LookupError) == 1
    assert [end for end in ended if not isinstance(end, LookupError)] == [1, 1]
    shared.store.close()


@pytest.mark.promise("CR05", "ER01")
def test_a_failed_commit_is_told_to_all_in_it(shared, monkeypatch):
    """Each gets an error of its own, nothing is stored, and the store goes on."""

    def failing(connection):
        connection.execute("ROLLBACK")
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(shared.connections, "_commit", failing)
        ended = shared.together(shared.saving("a"), shared.saving("b"), shared.saving("first", expected_version=9))
    assert [type(error) for error in ended] == [StorageError] * 3
    assert len(set(map(id, ended))) == 3
    assert all(isinstance(error.__cause__, sqlite3.OperationalError) for error in ended)
    assert shared.store.count_contexts() == 1
    assert shared.together(shared.saving("a"), shared.saving("b")) == [1, 1]


@pytest.mark.promise("CO11")
def test_waiting_ends_in_time(tmp_path):
    """A writer whose turn does not come is told so, and has written nothing."""
    shared = Store(tmp_path / "engine.db")
    shared.queue._budget_s = 0.05
    with shared.queue.turn, pytest.raises(BackendBusyError) as caught:
        shared.store.save_context(a_context("late"))
    assert caught.value.waited_s == 0.05
    assert not shared.store.context_exists("late")
    assert shared.store.save_context(a_context("late")) == 1
    shared.store.close()


@pytest.mark.promise("ER05")
def test_who_waits_when_the_store_is_closed_is_told(shared):
    """Nothing of theirs is written."""

    def close():
        shared.connections._is_closed = True

    ended = shared.together(shared.saving("a"), shared.saving("b"), meanwhile=close)
    assert [type(error) for error in ended] == [BackendClosedError] * 2


class Interrupt(BaseException):
    """What a signal handler may raise."""


@pytest.mark.promise("CO10")
def test_an_interrupt_in_the_leading_thread_harms_no_neighbour(shared):
    """It ends in the thread that it hit; nothing of the others' was stored yet, and they go on by themselves."""
    begin = shared.connections._open_writer
    hits: list[object] = []

    def open_writer():
        if not hits:
            hits.append(threading.get_ident())
            raise Interrupt
        return begin()

    shared.connections._open_writer = open_writer
    ended = shared.together(*[shared.saving(name) for name in "abcd"])
    assert [type(end) for end in ended].count(Interrupt) == 1
    assert [end for end in ended if not isinstance(end, Interrupt)] == [1, 1, 1]
    assert shared.store.count_contexts() == 4


@pytest.mark.promise("CO10")
def test_an_interrupt_behind_the_commit_takes_nothing_back(shared, monkeypatch):
    """What was committed is told to those who waited for it, and is not done twice."""
    commit = shared.connections._packer.commit
    hits: list[object] = []

    def interrupted():
        commit()
        if not hits:
            hits.append(True)
            raise Interrupt

    monkeypatch.setattr(shared.connections._packer, "commit", interrupted)
    ended = shared.together(*[shared.saving("w") for _ in range(4)])
    assert [type(end) for end in ended].count(Interrupt) + [type(end) for end in ended].count(OutcomeUnknownError) == 1
    assert len(shared.store.history("w")) == 4


@pytest.mark.promise("CO10")
def test_an_interrupted_wait_is_withdrawn_or_unknown():
    """Before others have begun with it nothing was done; from then on its outcome is not known."""
    done: list[int] = []
    queue: Any = WriteQueue(lambda writes, deadline: done.append(len(writes)), budget_s=PATIENCE_S)

    def interrupted(write):
        raise Interrupt

    queue._wait = interrupted
    with queue.turn, pytest.raises(Interrupt):
        queue.write(lambda work, argument, deadline: None, lambda connection, argument: None, None)
    assert not queue._waiting

    def taken(write):
        assert write.claim()
        queue._waiting.clear()
        raise Interrupt

    queue._wait = taken
    with queue.turn, pytest.raises(OutcomeUnknownError) as caught:
        queue.write(lambda work, argument, deadline: None, lambda connection, argument: None, None)
    assert isinstance(caught.value.__cause__, Interrupt)
