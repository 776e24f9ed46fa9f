"""Interrupts that strike in the middle of a call, and nowhere else."""

import ctypes
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from context_core_conformance.linearizability.histories import Call, Item, Result
from context_core_conformance.linearizability.recorder import Session
from context_core_conformance.skipping import Skip, SkipKind
from context_core_conformance.verbs import Store

LONGEST_PEACE_S: Final = 0.002
"""Interrupts come so long after each other, at most."""

ARRIVES_WITHIN: Final = 100_000
"""Steps within which Python raises what was sent to a thread; one would do."""


class InterruptibleSession(Session):
    """A session of which others may interrupt the calls: what arrives too late for one does not strike at all."""

    def __init__(self, store: Store, who: str) -> None:
        super().__init__(store, who)
        self._gate = threading.Lock()
        self._thread_id = 0
        self._is_open = self._is_struck = False

    def record(self, items: Iterable[Item], action: Callable[[], tuple[Result, ...]]) -> Call:
        """As ever; a KeyboardInterrupt from outside may be raised in the middle of *action*."""
        return super().record(items, lambda: self._exposed(action))

    def strike(self) -> None:
        """Interrupt the call that is under way in its thread, if there is one that was not interrupted yet."""
        with self._gate:
            if self._is_open and not self._is_struck:
                self._is_struck = True
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(self._thread_id), ctypes.py_object(KeyboardInterrupt)
                )

    def strike_by_signal(self, number: int, frame: FrameType | None) -> None:
        """A handler of signals, which run in the main thread: raise, if a call is under way there."""
        del number, frame
        if self._is_open and not self._is_struck:
            self._is_struck = True
            raise KeyboardInterrupt

    def _exposed(self, action: Callable[[], tuple[Result, ...]]) -> tuple[Result, ...]:
        self._thread_id = threading.get_ident()
        self._is_struck = False
        self._is_open = True
        try:
            results = action()
        finally:
            self._is_open = False
        with self._gate:  # an interrupt that is under way has been decided
            is_struck = self._is_struck
        for _ in range(ARRIVES_WITHIN if is_struck else 0):  # what was sent arrives, here at the latest
            pass  # and if not, it struck a destructor, where Python drops it
        return results


def skip_where_traced() -> None:
    """Skip a law that interrupts in a process that is traced: what traces it, coverage say, would be broken off too."""
    monitoring = getattr(sys, "monitoring", None)
    tools = [monitoring.get_tool(number) for number in range(6)] if monitoring is not None else []
    if sys.gettrace() is not None or any(tools):
        Skip(SkipKind.OTHER, "this process is traced, and interrupts would strike what traces it").now()


@contextmanager
def interrupting(strike: Callable[[], object], seed: int) -> Iterator[None]:
    """Strike again and again, at random moments, for as long as the block lasts.

    What strikes while Python collects garbage is lost: a destructor raises to nobody. That is no fault of the driver's.
    """
    rng = random.Random(seed)  # noqa: S311  # variety, not secrecy
    is_over = threading.Event()

    def strike_often() -> None:
        while not is_over.wait(rng.random() * LONGEST_PEACE_S):
            strike()

    def tell_others(unraisable: "sys.UnraisableHookArgs") -> None:
        if unraisable.exc_type is not KeyboardInterrupt:
            usual(unraisable)

    striker = threading.Thread(target=strike_often, daemon=True)
    usual, sys.unraisablehook = sys.unraisablehook, tell_others
    striker.start()
    try:
        yield
    finally:
        is_over.set()
        striker.join()
        sys.unraisablehook = usual


@contextmanager
def on_signal(handler: Callable[[int, FrameType | None], object]) -> Iterator[Callable[[], None]]:
    """Give an action that sends this process a signal, which *handler* gets in the main thread."""
    number, main_id = signal.SIGUSR1, threading.main_thread().ident
    assert main_id is not None
    before = signal.signal(number, handler)
    try:
        yield lambda: signal.pthread_kill(main_id, number)
    finally:
        signal.signal(number, before)
