"""Forks take turns, wait for the calls of other threads, and never for those of their own."""

import os
import signal
import threading
from concurrent.futures import Future

import pytest

from context_core import forking
from context_core.forking import follow_forks, outside_forks

PATIENCE_S = 30


class Follower:
    """Notes what it is told, and how many calls were under way then."""

    def __init__(self):
        self.told: list[str] = []
        follow_forks(self)

    def before_fork(self) -> None:
        self.told.append(f"before, {len(forking._calls)} calls")

    def after_fork_in_child(self) -> None:
        self.told.append("in the child")


def in_child(action):
    """Fork, do *action* in the child, and return what it gave, as text."""
    inlet, outlet = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(PATIENCE_S)
        try:
            os.write(outlet, str(action()).encode())
        finally:
            os._exit(0)
    os.close(outlet)
    with os.fdopen(inlet) as file:
        told = file.read()
    os.waitpid(child, 0)
    return told


def test_a_fork_waits_for_calls_of_other_threads():
    """None is under way when stores are told of it."""
    follower, is_inside, may_end = Follower(), threading.Event(), threading.Event()

    def call():
        is_inside.set()
        assert may_end.wait(PATIENCE_S)

    thread = threading.Thread(target=outside_forks, args=(call,))
    thread.start()
    assert is_inside.wait(PATIENCE_S)
    threading.Timer(0.01, may_end.set).start()
    assert in_child(lambda: follower.told) == "['before, 0 calls', 'in the child']"
    assert follower.told == ["before, 0 calls"]
    thread.join(PATIENCE_S)


def test_a_call_may_fork_in_the_middle_of_itself():
    """As a signal handler does: the fork waits for no call of its own thread, in the parent nor in the child."""
    follower = Follower()
    assert outside_forks(in_child, lambda: outside_forks(lambda: "done")) == "done"
    assert follower.told == ["before, 1 calls"]
    assert not forking._calls
    assert not forking._forks


def test_a_call_inside_of_a_call_waits_for_no_fork():
    """The fork waits for the outer one."""
    is_inside = threading.Event()
    ended: Future[str] = Future()

    def outer():
        is_inside.set()
        while not forking._forks:
            os.sched_yield()
        return outside_forks(lambda: "done")

    thread = threading.Thread(target=lambda: ended.set_result(outside_forks(outer)))
    thread.start()
    assert is_inside.wait(PATIENCE_S)
    assert in_child(lambda: len(forking._calls)) == "0"
    assert ended.result(PATIENCE_S) == "done"
    thread.join(PATIENCE_S)


@pytest.mark.parametrize("forks", [30])
def test_forks_of_two_threads_take_turns_and_starve_no_call(forks):
    """Each call comes between two forks at the latest, and each fork between two calls."""
    follower, is_over = Follower(), threading.Event()
    counts = [0, 0]

    def fork_often():
        for _ in range(forks):
            assert in_child(lambda: len(forking._calls)) == "0"

    def call_often(number):
        while not is_over.is_set():
            outside_forks(counts.__setitem__, number, counts[number] + 1)

    callers = [threading.Thread(target=call_often, args=(number,)) for number in range(2)]
    forkers = [threading.Thread(target=fork_often) for _ in range(2)]
    for thread in [*callers, *forkers]:
        thread.start()
    for thread in forkers:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    is_over.set()
    for thread in callers:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert len(follower.told) == 2 * forks
    assert min(counts) > forks


def test_a_store_that_is_gone_is_told_nothing():
    """Following a fork keeps nothing alive."""
    follow_forks(Follower())
    kept = Follower()
    assert kept in forking._stores()
    assert sum(isinstance(store, Follower) for store in forking._stores()) == 1
