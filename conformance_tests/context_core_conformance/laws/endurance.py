"""Laws of long use and of interruption: nothing is leaked, and what breaks off leaves nothing behind."""

import gc
import math
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from context_core import ContextNotFoundError
from context_core.model import utc_now
from context_core_conformance.promises import promise
from context_core_conformance.racing import in_threads
from context_core_conformance.samples import a_context
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Store

DESCRIPTORS = Path("/proc/self/fd")


class ClockBrokenError(Exception):
    """What a broken clock raises; no error of ours or of an engine."""


class BreakingClock:
    """The wall clock, until it raises *kind* at a call that it is told to."""

    def __init__(self, kind: type[BaseException]) -> None:
        self.kind = kind
        self.calls_left = math.inf

    def break_at(self, call: float) -> None:
        """Raise at that call, 1 for the next, and at all after it; never, at infinity."""
        self.calls_left = call - 1

    def __call__(self) -> datetime:
        """Return the time, or raise."""
        if self.calls_left <= 0:
            raise self.kind
        self.calls_left -= 1
        return utc_now()


INTERRUPTIONS = pytest.mark.parametrize("kind", [ClockBrokenError, KeyboardInterrupt])


class EnduranceLaws:
    @promise("CO09")
    def test_operations_leak_nothing(self, store: Store) -> None:
        """After 2,000 operations, failing ones among them, there are as many threads and handles as before."""

        def operate(rounds: int) -> None:
            for number in range(rounds):
                name = f"w{number % 7}"
                store.save_context(a_context(name))
                store.save_contexts([a_context(name), a_context("x")])
                store.load_context(name)
                store.load_contexts([name, "missing"])
                store.history(name, limit=2)
                store.search_contexts({"workflow_id": name}, limit=2)
                store.context_exists("missing")
                store.get_version_count(1, 2)
                store.delete_context("x")
                with pytest.raises(ContextNotFoundError):
                    store.load_context("missing")

        assert growth(lambda: operate(20), lambda: operate(180)) == (0, 0)

    @promise("CO09", "CO01")
    def test_threads_that_come_and_go_leak_nothing(self, store: Store) -> None:
        """What a store holds for a thread goes when the thread does."""
        store.save_context(a_context("w"))

        def visit(number: int) -> None:
            store.load_context("w")
            store.save_context(a_context(f"w{number}"))

        def visits(rounds: int) -> None:
            for _ in range(rounds):
                in_threads(4, visit)

        threads, handles = growth(lambda: visits(2), lambda: visits(50))
        assert threads == 0
        assert handles < 100  # a pool may fill up; 200 visits that leave one each may not

    @promise("CO09", "ER05")
    def test_handles_that_come_and_go_leak_nothing(self, subject: Subject) -> None:
        """A store that was opened, used by several threads and closed holds nothing any more."""

        def come_and_go(rounds: int) -> None:
            for _ in range(rounds):
                store = subject.open()
                store.save_context(a_context("w"))
                in_threads(3, lambda _, store=store: store.load_context("w"))  # type: ignore[misc]  # bound now
                store.close()

        subject.open()
        assert growth(lambda: come_and_go(2), lambda: come_and_go(15)) == (0, 0)

    @promise("CO10")
    @INTERRUPTIONS
    def test_interrupted_save_writes_nothing(self, subject: Subject, kind: type[BaseException]) -> None:
        """What is raised inside the transaction reaches the caller, and leaves the store as it was and usable."""
        clock = BreakingClock(kind)
        store = subject.open(clock=clock)
        store.save_context(a_context("w", epic_num=1))
        clock.break_at(1)
        with pytest.raises(kind):
            store.save_context(a_context("w", epic_num=2))
        with pytest.raises(kind):
            store.save_context(a_context("new"))
        clock.break_at(math.inf)
        assert [header.version for header in store.history("w")] == [1]
        assert [found.workflow_id for found in store.search_contexts()] == ["w"]
        assert store.save_context(a_context("w", epic_num=3)) == 2
        assert store.save_context(a_context("new")) == 1
        assert store.load_context("w").epic_num == 3

    @promise("CO10", "BA01")
    @INTERRUPTIONS
    def test_interrupted_batch_writes_nothing(self, subject: Subject, kind: type[BaseException]) -> None:
        """An interruption in the middle of a batch takes the part before it along, wherever the driver asks the time."""
        clock, were_interrupted = BreakingClock(kind), []
        store = subject.open(clock=clock)
        for call in range(1, 5):
            names = [f"batch{call}-{number}" for number in range(3)]
            clock.break_at(call)
            try:
                store.save_contexts([a_context(name) for name in names])
            except kind:
                were_interrupted.append(call)
            clock.break_at(math.inf)
            written = [found.workflow_id for found in store.search_contexts({"workflow_id__prefix": f"batch{call}-"})]
            assert sorted(written) == ([] if call in were_interrupted else names)
        assert were_interrupted[:1] == [1]

    @promise("CO10", "DE05")
    @INTERRUPTIONS
    def test_interrupted_delete_deletes_nothing(self, subject: Subject, kind: type[BaseException]) -> None:
        """A delete that breaks off leaves every version."""
        clock = BreakingClock(kind)
        store = subject.open(clock=clock)
        for epic in (1, 2):
            store.save_context(a_context("w", epic_num=epic))
        clock.break_at(1)
        with pytest.raises(kind):
            store.delete_context("w")
        clock.break_at(math.inf)
        assert [header.version for header in store.history("w")] == [1, 2]
        assert store.load_context("w").epic_num == 2
        assert store.delete_context("w") is True

    @promise("CO10")
    @INTERRUPTIONS
    def test_interruption_frees_the_store_for_others(self, subject: Subject, kind: type[BaseException]) -> None:
        """After it another handle and another thread write at once, with no lock to wait out."""
        clock = BreakingClock(kind)
        store, other = subject.open(clock=clock), subject.open()
        clock.break_at(1)
        with pytest.raises(kind):
            store.save_context(a_context("w"))
        assert other.save_context(a_context("w")) == 1
        clock.break_at(math.inf)
        assert in_threads(1, lambda _: store.save_context(a_context("w"))) == [2]


def growth(warm_up: Callable[[], object], work: Callable[[], object]) -> tuple[int, int]:
    """How many threads and open handles there are more after *work*, what *warm_up* took apart."""
    warm_up()
    before = _held()
    work()
    after = _held()
    return after[0] - before[0], max(0, after[1] - before[1])


def _held() -> tuple[int, int]:
    gc.collect()
    return threading.active_count(), sum(1 for _ in DESCRIPTORS.iterdir()) if DESCRIPTORS.exists() else 0
