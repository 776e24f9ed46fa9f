"""Laws of waiting: each caller waits as long as was declared, and no fork leaves anybody waiting for ever."""

import os
import threading
import time
from collections.abc import Callable
from datetime import datetime
from types import FrameType
from typing import Final

import pytest

from context_core import BackendBusyError, Capability, OutcomeUnknownError
from context_core.model import utc_now
from context_core_conformance.faults.interruption import on_signal, skip_where_traced
from context_core_conformance.promises import promise
from context_core_conformance.racing import PATIENCE_S, in_processes, in_threads
from context_core_conformance.samples import a_context
from context_core_conformance.subject import Subject, needed
from context_core_conformance.workers.fork_workers import fork_in_two_threads

WAIT_S: Final = 0.5
CROWD: Final = 6
FORKS: Final = 8


class HeldClock:
    """A clock that blocks each caller until the law releases it, one caller after another."""

    def __init__(self) -> None:
        self.is_held = True
        self.inside = threading.Semaphore(0)
        self._may_go_on = threading.Semaphore(0)

    def __call__(self) -> datetime:
        """Return the time, once this caller may go on."""
        if self.is_held:
            self.inside.release()
            assert self._may_go_on.acquire(timeout=PATIENCE_S)
        return utc_now()

    def let_one_go(self) -> None:
        """Let one caller go on."""
        self._may_go_on.release()

    def let_all_go(self) -> None:
        """Stop blocking callers."""
        self.is_held = False
        for _ in range(100):
            self._may_go_on.release()


class WaitingLaws:
    @promise("CO11")
    def test_a_crowd_waits_no_longer_than_one(self, subject: Subject) -> None:
        """Six callers behind one long write are each told in the declared time, counted from their own call."""
        url = needed(subject.access.impatient_url(subject.url, WAIT_S), "impatient_url")
        clock = HeldClock()
        subject.open().save_context(a_context("w"))
        impatient, writer = subject.open_at(url), subject.open(clock=clock)
        writing = threading.Thread(target=writer.save_context, args=(a_context("w"),))
        writing.start()

        def wait(_: int) -> float:
            began = time.monotonic()
            with pytest.raises(BackendBusyError) as caught:
                impatient.save_context(a_context("w"))
            assert caught.value.waited_s == pytest.approx(WAIT_S)
            return time.monotonic() - began

        try:
            assert clock.inside.acquire(timeout=PATIENCE_S)
            (alone_s,) = in_threads(1, wait)
            longest_s = max(in_threads(CROWD, wait))
        finally:
            clock.let_all_go()
            writing.join(PATIENCE_S)
        assert longest_s < CROWD / 2 * max(alone_s, WAIT_S)
        assert impatient.save_context(a_context("w")) == 3

    @promise("CO10")
    def test_an_interrupted_waiter_knows_what_may_have_been_written(self, subject: Subject) -> None:
        """What a waiter is told while others have begun with its save, is true once they end."""
        skip_where_traced()
        if threading.current_thread() is not threading.main_thread():
            pytest.skip("signals strike the main thread, and the suite does not run in it")
        for turn in range(4):
            name, reader = f"waited-{turn}", subject.open()
            told = _interrupted_behind_a_leader(subject, name)
            exists = reader.context_exists(name)
            if told is None:
                assert exists
            elif not isinstance(told, OutcomeUnknownError):
                assert not exists, f"{name} was written, and its writer was told {type(told).__name__}"

    @promise("CO08")
    def test_forking_threads_hang_nobody(self, subject: Subject) -> None:
        """Two threads fork at once, beside others that write and read; all end, and every child can use the store."""
        subject.requires(Capability.MULTI_PROCESS)
        if not hasattr(os, "fork"):
            pytest.skip("this platform has no fork")
        ((written, codes),) = in_processes(1, fork_in_two_threads, subject.url, FORKS)
        assert codes == [0] * 2 * FORKS
        store = subject.open()
        assert len(store.history("child")) == FORKS
        assert [len(store.history(f"thread {number}")) for number in range(len(written))] == written


def _interrupted_behind_a_leader(subject: Subject, name: str) -> BaseException | None:
    """Save *name* in this thread behind others, get a signal meanwhile; return what was raised."""
    clock = HeldClock()
    store = subject.open(clock=clock)
    state = {"is_waiting": False, "is_struck": False}

    def strike(number: int, frame: FrameType | None) -> None:
        del number, frame
        if state["is_waiting"] and not state["is_struck"]:
            state["is_struck"] = True
            raise KeyboardInterrupt

    def conduct(send: Callable[[], None]) -> None:
        assert clock.inside.acquire(timeout=PATIENCE_S)  # the first writes
        following.start()
        _give_way(until=lambda: state["is_waiting"])
        clock.let_one_go()
        assert clock.inside.acquire(timeout=PATIENCE_S)  # the second writes, or leads a transaction for both who wait
        clock.let_one_go()
        assert clock.inside.acquire(timeout=PATIENCE_S)  # the save of this test's thread is under way
        send()
        _give_way(until=lambda: not state["is_waiting"], tries=2000)
        clock.let_all_go()

    def save(workflow_id: str) -> None:
        store.save_context(a_context(workflow_id))

    first, following = (threading.Thread(target=save, args=(f"{name}-{n}",), daemon=True) for n in (1, 2))
    told: BaseException | None = None
    with on_signal(strike) as send:
        conductor = threading.Thread(target=conduct, args=(send,), daemon=True)
        first.start()
        conductor.start()
        _give_way(until=lambda: following.ident is not None)
        try:
            state["is_waiting"] = True
            save(name)
        except (KeyboardInterrupt, OutcomeUnknownError) as error:
            told = error
        finally:
            state["is_waiting"] = False
        for thread in (conductor, first, following):
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
    return told


def _give_way(until: Callable[[], bool], tries: int = 200) -> None:
    """Let other threads go on, for a while after it is so, so that they get where they wait."""
    for _ in range(tries):
        time.sleep(0.001)
        if until():
            break
    for _ in range(20):
        time.sleep(0.001)
