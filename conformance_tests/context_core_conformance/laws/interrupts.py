"""Laws of calls that fail, are interrupted, or lose their store while others are at the same work."""

import itertools
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

import attrs
import pytest

from context_core import (
    Capability,
    ContextCoreError,
    ContextNotFoundError,
    IdempotencyConflictError,
    LimitExceededError,
    Save,
    UnserializableValueError,
    VersionConflictError,
)
from context_core.model import utc_now
from context_core.records import SaveRequest
from context_core_conformance.faults.interruption import (
    InterruptibleSession,
    interrupting,
    on_signal,
    skip_where_traced,
)
from context_core_conformance.linearizability.checker import linearize
from context_core_conformance.linearizability.histories import Call, Outcome
from context_core_conformance.linearizability.recorder import Session
from context_core_conformance.linearizability.workload import RACING, Racer, look_at_all, refusals
from context_core_conformance.promises import promise
from context_core_conformance.racing import in_processes, in_threads
from context_core_conformance.samples import a_context
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Store, a_save
from context_core_conformance.workers.fork_workers import fork_among_threads

THREADS: Final = 8
WITHOUT_DELETES: Final = {action: weight for action, weight in RACING.items() if action not in ("delete", "renew")}
"""If an interrupted save is deleted later, no reader can tell whether the save took place."""


class ClockBrokenError(Exception):
    """What a broken clock raises; no error of ours or of an engine."""


def lingering_clock() -> datetime:
    """Gives others the time to queue up behind the transaction that asks it."""
    for _ in range(20):
        time.sleep(0)
    return utc_now()


class FailingClock:
    """Raises *kind* at every so many calls."""

    def __init__(self, kind: type[BaseException], every: int) -> None:
        self.failures = 0
        self._kind = kind
        self._every = every
        self._calls = itertools.count(1)

    def __call__(self) -> datetime:
        """The time, most of the time."""
        if next(self._calls) % self._every == 0:
            self.failures += 1
            raise self._kind
        return lingering_clock()


class InterruptLaws:
    @promise("CO10", "CO01", "CA01", "RT15", "BA01", "ID02", "CA08")
    def test_each_of_many_at_once_gets_its_own_outcome(self, subject: Subject) -> None:
        """Saves that fail, each in its way, take nothing from their neighbours, and get no neighbour's error."""
        backend = subject.backend(clock=lingering_clock)
        store = subject.around(backend)
        has_keys = Capability.IDEMPOTENCY in backend.describe().capabilities
        store.save_context(a_context("w"), idempotency_key="k" if has_keys else None)
        oversized = a_save("large")
        document = bytes(backend.describe().limits.document_bytes + 1)
        oversized = SaveRequest(record=attrs.evolve(oversized.record, document=document))
        unserializable = a_context("bad", metadata={"value": object()})
        attempts: list[tuple[Callable[[int], Any], type[ContextCoreError] | None]] = [
            (lambda _: store.save_context(a_context("w"), expected_version=9), VersionConflictError),
            (lambda _: store.save_context(unserializable), UnserializableValueError),
            (lambda _: backend.save(oversized), LimitExceededError),
            (lambda _: store.update_context(a_context("missing")), ContextNotFoundError),
            (
                lambda _: store.batch([Save(a_context("missing")), Save(a_context("w"), expected_version=9)]),
                VersionConflictError,
            ),
            (lambda turn: store.save_context(a_context("one", epic_num=turn)), None),
            (lambda turn: store.save_contexts([a_context("two", epic_num=turn)])[0], None),
        ]
        if has_keys:
            other = a_context("w", feature="other")
            attempts.append((lambda _: store.save_context(other, idempotency_key="k"), IdempotencyConflictError))
        turns = range(1, 16)
        for turn in turns:
            outcomes = in_threads(len(attempts), lambda number: _outcome(attempts[number][0], turn))  # noqa: B023  # called within the turn
            assert outcomes == [turn if kind is None else kind for _, kind in attempts]
        kept = {name: len(store.history(name)) for name in ("w", "one", "two", "large", "bad", "missing")}
        assert kept == {"w": 1, "one": len(turns), "two": len(turns), "large": 0, "bad": 0, "missing": 0}
        for turn in turns:
            assert [store.load_context(name, version=turn).epic_num for name in ("one", "two")] == [turn, turn]

    @promise("CO10", "CO06")
    def test_an_interrupted_main_thread_leaves_the_store_usable(self, subject: Subject) -> None:
        """Signals strike while it writes beside others: each write is there whole or not, and everybody goes on."""
        skip_where_traced()
        if threading.current_thread() is not threading.main_thread():
            pytest.skip("signals strike the main thread, and the suite does not run in it")
        store = subject.open(clock=lingering_clock)
        session = InterruptibleSession(store, "main")
        is_over = threading.Event()
        others = _Background(store, is_over)
        racer = Racer(session, "main", weights=WITHOUT_DELETES)
        with others, on_signal(session.strike_by_signal) as send, interrupting(send, seed=1):
            try:
                for _ in range(250):
                    with suppress(KeyboardInterrupt):
                        racer.step()
            finally:
                is_over.set()
        _check(subject, [*session.calls, *others.calls], interrupted="main")

    @promise("CO10", "CO06")
    def test_interrupted_threads_leave_the_store_usable(self, subject: Subject) -> None:
        """The same where any of the threads is interrupted, also one that waits for another."""
        skip_where_traced()
        store = subject.open(clock=lingering_clock)
        sessions = [InterruptibleSession(store, f"thread {number}") for number in range(4)]

        def race(number: int) -> None:
            racer = Racer(sessions[number], number, weights=WITHOUT_DELETES)
            for _ in range(80):
                with suppress(KeyboardInterrupt):
                    racer.step()

        targets = itertools.cycle(sessions)
        with interrupting(lambda: next(targets).strike(), seed=2):
            in_threads(len(sessions), race)
        _check(subject, [call for session in sessions for call in session.calls], interrupted="thread")

    @promise("CO10")
    @pytest.mark.parametrize("kind", [ClockBrokenError, KeyboardInterrupt])
    def test_a_clock_that_fails_for_one_fails_that_one_only(self, subject: Subject, kind: type[BaseException]) -> None:
        """What is raised in the transaction of one caller reaches it, undoes its write, and no neighbour's."""
        clock = FailingClock(kind, every=9)
        store = subject.open(clock=clock)

        def race(number: int) -> list[Call]:
            session = Session(store, f"thread {number}")
            racer = Racer(session, number, weights=WITHOUT_DELETES)
            for _ in range(40):
                with suppress(kind):
                    racer.step()
            return session.calls

        history = list(itertools.chain(*in_threads(THREADS, race)))
        failed = [call for call in history if call.reason == kind.__name__]
        if kind is ClockBrokenError:
            assert 0 < len(failed) <= clock.failures  # fewer where a driver tries again
            history = [_undone(call) if call in failed else call for call in history]
        else:
            assert failed
        _check(subject, history, interrupted="thread")

    @promise("ER05", "CO01", "CO06", "CO10")
    def test_what_was_acknowledged_before_a_close_is_there(self, subject: Subject) -> None:
        """A store is closed under eight threads, again and again: each call was done, or is refused, or tells neither."""
        held = subject.open()
        history = [call for turn in range(5) for call in _close_under_way(subject.open(clock=lingering_clock), turn)]
        assert held.is_closed is False
        _check(subject, history, allowed={"BackendClosedError", "OutcomeUnknownError"})

    @promise("CO08", "CO06")
    def test_a_fork_among_saving_threads_harms_neither_side(self, subject: Subject) -> None:
        """A process forks while its threads write; children and threads go on, and all of it has one order."""
        subject.requires(Capability.MULTI_PROCESS)
        (history,) = in_processes(1, fork_among_threads, subject.url, 6)
        assert len({call.who for call in history}) == 6 + 4
        _check(subject, history)


def _close_under_way(store: Store, turn: int) -> list[Call]:
    """Let threads race on *store* until one of them closes it; return what they did."""
    calls_told = threading.Semaphore(0)

    def race(number: int) -> list[Call]:
        if number == 0:
            for _ in range(60):
                calls_told.acquire()
            store.close()
            return []
        session = Session(store, f"thread {turn}.{number}", lambda _: calls_told.release())
        racer = Racer(session, (turn, number), weights=WITHOUT_DELETES)
        while not (session.calls and session.calls[-1].reason == "BackendClosedError"):
            racer.step()
        return session.calls

    return list(itertools.chain(*in_threads(THREADS, race)))


class _Background:
    """Three threads that write until they are told to stop."""

    def __init__(self, store: Store, is_over: threading.Event) -> None:
        self._sessions = [Session(store, f"other {number}") for number in range(3)]
        self._is_over = is_over
        self._threads = [threading.Thread(target=self._run, args=(session,), daemon=True) for session in self._sessions]

    def _run(self, session: Session) -> None:
        racer = Racer(session, "other", weights=WITHOUT_DELETES)
        while not self._is_over.is_set():
            racer.step()

    @property
    def calls(self) -> list[Call]:
        """What they did."""
        return [call for session in self._sessions for call in session.calls]

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()


def _outcome(attempt: Callable[[int], Any], turn: int) -> Any:
    try:
        return attempt(turn)
    except ContextCoreError as error:
        return type(error)


def _undone(call: Call) -> Call:
    """A call of which nothing may be there."""
    return attrs.evolve(call, outcome=Outcome.REFUSED, reason="", ended_ns=time.monotonic_ns())


def _check(
    subject: Subject,
    history: list[Call],
    *,
    interrupted: str = "nobody",
    allowed: frozenset[str] | set[str] = frozenset(),
) -> None:
    """Everybody was told what they may be told, the store is usable, and all of it has an order."""
    last = Session(subject.open(), "the last look")
    for workflow_id in ("red", "green", "blue"):
        last.save(workflow_id)
    look_at_all(last)
    told = {"KeyboardInterrupt", "OutcomeUnknownError"} if interrupted != "nobody" else set()
    assert refusals([*history, *last.calls]) <= told | allowed
    foreign_errors = {
        call.who for call in history if call.reason == "KeyboardInterrupt" and not call.who.startswith(interrupted)
    }
    assert foreign_errors == set()
    linearize([*history, *last.calls])
