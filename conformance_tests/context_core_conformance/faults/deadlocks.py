"""Threads that stand still: how a deadlock is known after seconds, and where each thread waits in it."""

import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from typing import Final

STILL_S = 12.0
"""After so long without a step of any of them, threads hang. The longest honest wait of a law is a second."""

LOOK_EVERY_S: Final = 0.2
_SHOWN_FRAMES: Final = 4


class Watch:
    """Tells when none of some threads has taken a step for STILL_S seconds.

    A step is a move to another instruction of the innermost function. Outer functions are not looked at: the frames of a
    thread that runs must not be walked, since they change meanwhile. A thread that waits in a loop and looks again now
    and then counts as standing still.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._places: dict[int, object] = {}
        self._moved_at = clock()

    def are_still(self, thread_ids: Iterable[int]) -> bool:
        """Look at the threads; to be called every LOOK_EVERY_S."""
        frames = sys._current_frames()  # noqa: SLF001  # the documented way to the frames of other threads
        places: dict[int, object] = {}
        for thread_id in thread_ids:
            frame = frames.get(thread_id)
            places[thread_id] = None if frame is None else (id(frame), id(frame.f_code), frame.f_lasti)
        if places != self._places:
            self._places, self._moved_at = places, self._clock()
        return bool(places) and self._clock() - self._moved_at >= STILL_S


def where(thread_ids: Iterable[int]) -> str:
    """The innermost lines that the threads stand in, without what is in them."""
    frames = sys._current_frames()  # noqa: SLF001  # as above
    lines = []
    for thread_id in thread_ids:
        if thread_id in frames:
            stack = traceback.extract_stack(frames[thread_id])[-_SHOWN_FRAMES:]
            lines.append(" > ".join(f"{each.name} ({each.filename}:{each.lineno})" for each in stack))
    return "\n".join(lines)


def other_threads() -> list[int]:
    """The ids of all threads but this one."""
    return [each.ident for each in threading.enumerate() if each.ident not in (None, threading.get_ident())]
