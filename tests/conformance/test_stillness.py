"""A deadlock is named after seconds, with the places where its threads stand."""

import threading

import deadlocked_worker
import pytest

from context_core_conformance import racing
from context_core_conformance.faults import deadlocks as stillness
from context_core_conformance.faults.deadlocks import Watch
from context_core_conformance.racing import in_processes, in_threads


def test_racing_threads_that_deadlock_are_named(monkeypatch):
    """Long before the patience of the race ends."""
    monkeypatch.setattr(stillness, "STILL_S", 0.4)
    monkeypatch.setattr(racing, "PATIENCE_S", 10_000)
    one, other, both_have_one = threading.Lock(), threading.Lock(), threading.Barrier(2)

    def take_both(number):
        first, second = (one, other) if number else (other, one)
        with first:
            both_have_one.wait()
            second.acquire()

    with pytest.raises(TimeoutError, match=r"2 of 2 racing threads hang, at\n.*take_both"):
        in_threads(2, take_both)


def test_a_racing_process_that_deadlocks_is_named():
    """By itself: it says where its threads stand, and ends."""
    with pytest.raises(TimeoutError, match=r"a racing process hangs, at\n(.*\n)*.*wait_for_ever"):
        in_processes(1, deadlocked_worker.wait_for_ever)


def test_threads_of_which_one_moves_do_not_hang():
    """Whoever waits for a thread that works waits for good reason."""
    now, may_end = [0.0], threading.Event()
    thread = threading.Thread(target=may_end.wait)
    thread.start()
    assert thread.ident is not None
    watch = Watch(lambda: now[0])
    assert not watch.are_still([thread.ident])
    now[0] = 100.0
    assert watch.are_still([thread.ident])
    assert not watch.are_still([thread.ident, threading.get_ident()])
    may_end.set()
    thread.join()
