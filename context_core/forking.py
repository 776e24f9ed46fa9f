"""Forks beside calls: what a driver does so that a parent and its child both go on (CO08).

A fork copies one thread only. A lock that another thread holds at that moment stays locked in the child for ever, and
what that thread was changing stays half changed. So a fork waits until no other thread is inside of a call, and calls
that come meanwhile wait for the fork. The process has one order for all its stores: forks take turns, each first waits
for the calls, then prepares the stores, oldest first. The thread that forks may be inside of a call itself, in a
signal handler: nobody waits for that call.

Drivers run their calls by `outside_forks` and register their stores by `follow_forks`. Every wait has an end: a fork
waits FORK_PATIENCE_S for calls, and a call waits no longer than that for a fork that never ends.
"""

import contextlib
import itertools
import os
import threading
import time
import weakref
from collections.abc import Callable
from threading import get_ident
from typing import Final, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

__all__ = ["FORK_PATIENCE_S", "FollowsForks", "follow_forks", "outside_forks"]

FORK_PATIENCE_S: Final = 10.0
"""How long a fork waits for the calls of other threads. After that the child may miss what they were doing."""

_PAUSE_S: Final = 0.0005


class FollowsForks(Protocol):
    """A store that holds locks or connections. Neither method may wait for another thread."""

    def before_fork(self) -> None:
        """Give up what a child must not inherit. Calls of this thread, or slow ones of others, may be under way."""

    def after_fork_in_child(self) -> None:
        """Start with fresh locks and connections. What calls of this thread were using is never used again."""


class _Fork:
    """A fork that waits for its turn, or is under way."""

    __slots__ = ("is_under_way", "thread_id")

    def __init__(self) -> None:
        self.thread_id = threading.get_ident()
        self.is_under_way = False


class _Call:
    """A call, the thread that it runs in, and the fork that it waits for."""

    thread_id: int
    fork: _Fork | None = None


# Each is changed in single steps, which no interrupt and no other thread can split.
_calls: Final[dict[_Call, None]] = {}
_forks: Final[list[_Fork]] = []
_followers: Final[dict[int, "weakref.ref[FollowsForks]"]] = {}
_numbers: Final = itertools.count()
_turn = threading.RLock()  # not a Lock: a signal handler may fork while its own thread prepares a fork


def outside_forks(action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a call of a driver: no other thread forks in the middle of it."""
    call = _Call()
    call.thread_id = get_ident()  # here, since a constructor would cost each load a hundredth
    try:
        _calls[call] = None  # first the note, then the look: a fork tells that it begins, and looks then
        if _forks:
            _wait_for_fork(call)
        return action(*args, **kwargs)
    finally:
        _calls.pop(call, None)


def follow_forks(store: FollowsForks) -> None:
    """Tell *store* of each fork for as long as it lives."""
    for number, other in list(_followers.items()):
        if other() is None:
            _followers.pop(number, None)
    _followers[next(_numbers)] = weakref.ref(store)


def _wait_for_fork(call: _Call) -> None:
    """Wait until the fork under way is over. The next one waits for this call, so that forks starve nobody."""
    if any(other.thread_id == call.thread_id for other in list(_calls) if other is not call):
        return  # it is part of a call which the fork waits for
    fork = next((fork for fork in reversed(_forks) if fork.is_under_way), None)
    if fork is None or fork.thread_id == call.thread_id:
        return
    call.fork = fork
    deadline = time.monotonic() + 2 * FORK_PATIENCE_S
    while fork in list(_forks) and time.monotonic() < deadline:
        time.sleep(_PAUSE_S)


def _stores() -> list[FollowsForks]:
    return [store for reference in list(_followers.values()) if (store := reference()) is not None]


def _before_fork() -> None:
    fork = _Fork()
    _forks.append(fork)
    _turn.acquire(timeout=2 * FORK_PATIENCE_S)
    fork.is_under_way = True
    deadline = time.monotonic() + FORK_PATIENCE_S
    while any(map(_is_in_the_way, list(_calls))) and time.monotonic() < deadline:
        time.sleep(_PAUSE_S)
    for store in _stores():
        store.before_fork()


def _is_in_the_way(call: _Call) -> bool:
    """Whether a fork waits for *call*: not where that waits for a fork, or its own thread forks."""
    return not any(call.fork is fork or call.thread_id == fork.thread_id for fork in list(_forks))


def _after_fork_in_parent() -> None:
    me = threading.get_ident()
    fork = next((fork for fork in reversed(_forks) if fork.thread_id == me), None)
    if fork is not None:
        _forks.remove(fork)
    with contextlib.suppress(RuntimeError):  # its turn did not come
        _turn.release()


def _after_fork_in_child() -> None:
    global _turn  # noqa: PLW0603  # another thread may hold the inherited one
    _turn = threading.RLock()
    _forks.clear()
    me = threading.get_ident()
    for call in list(_calls):
        if call.thread_id != me:
            del _calls[call]
    for store in _stores():
        store.after_fork_in_child()


if hasattr(os, "register_at_fork"):  # where there is no fork there is nothing to do
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
