"""Group commit: callers that write at the same time share one transaction, and so one wait for the disk.

Whoever finds nobody writing writes by itself, at no cost. Who finds a writer at work leaves its write in a queue; when
that writer is done, the first in the queue does all that is queued by then, in one transaction, and tells the others
how theirs went. Order is that of the queue, so that nobody starves.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from context_core.errors import BackendBusyError, OutcomeUnknownError

MAX_GROUP: Final = 256
"""How many writes share a transaction at most, so that none waits long for the others."""

_LOOK_AGAIN_S: Final = 1.0
"""A waiting thread looks by itself whether it is its turn, so that a wake-up lost to an interrupt is only a delay."""


_PENDING: Final = object()


class Write:
    """One write: what to do, and how it went."""

    __slots__ = ("argument", "error", "is_done", "result", "wake", "work")

    def __init__(self, work: Callable[[Any, Any], Any], argument: Any) -> None:
        self.work = work
        self.argument = argument
        self.result: Any = _PENDING
        self.error: BaseException | None = None
        self.is_done = False
        self.wake = threading.Lock()
        self.wake.acquire()

    @property
    def is_judged(self) -> bool:
        """Whether it has a result or an error."""
        return self.error is not None or self.result is not _PENDING

    def reset(self) -> None:
        """Take back what was said of it: its transaction was rolled back."""
        self.result, self.error = _PENDING, None

    def finish(self) -> None:
        """Let the waiting caller go on."""
        self.is_done = True
        self.notify()

    def notify(self) -> None:
        """Wake the waiting caller: it is done, or it is its turn."""
        try:
            self.wake.release()
        except RuntimeError:  # it was told already, and has not looked yet
            return

    def outcome(self) -> Any:
        """Return what the work gave, or raise what it raised."""
        if self.error is not None:
            raise self.error
        return self.result


class WriteQueue:
    """Lets one caller write at a time, and writes of those who wait together.

    Args:
        transact: Does writes in one transaction, and sets the result or the error of each. What it raises is for the
            caller in whose thread it ran; then writes that have neither were not done.
        budget_s: How long a write may wait for its turn.
    """

    def __init__(self, transact: Callable[[Sequence[Write]], None], budget_s: float) -> None:
        self._transact = transact
        self._budget_s = budget_s
        self._waiting: deque[Write] = deque()
        self.turn = threading.Lock()
        """Held by whoever writes."""

    def write(self, alone: Callable[[Any, Any], Any], work: Callable[[Any, Any], Any], argument: Any) -> Any:
        """Do one write: by *alone* where nobody else writes, else together with others.

        Raises:
            BackendBusyError: Its turn did not come in time; nothing was written.
            OutcomeUnknownError: The wait was interrupted when others had begun to write it.
        """
        if not self._waiting and not self.turn.locked():
            try:
                with self.turn:  # not acquire: an interrupt right behind it would leave the turn taken for good
                    return alone(work, argument)
            finally:
                self._wake_next()
        write = Write(work, argument)
        self._waiting.append(write)
        try:
            self._wait(write)
        except BaseException as error:
            is_withdrawn = self._withdraw(write)
            self._wake_next()  # a leader that failed woke the first in the queue, which was its own write
            if is_withdrawn or write.error is not None:
                raise  # it was not done
            raise OutcomeUnknownError("the wait for a save was interrupted while it was being written") from error
        return write.outcome()

    def release(self) -> None:
        """End a turn that was taken by hand, and wake whoever is next."""
        self.turn.release()
        self._wake_next()

    def _wake_next(self) -> None:
        try:
            self._waiting[0].notify()
        except IndexError:
            return

    def _wait(self, write: Write) -> None:
        deadline = time.monotonic() + self._budget_s
        while not write.is_done:
            if not self.turn.locked():
                try:
                    with self.turn:
                        if not write.is_done:
                            self._lead()
                finally:
                    self._wake_next()
                continue
            left_s = deadline - time.monotonic()
            if left_s > 0:
                write.wake.acquire(timeout=min(left_s, _LOOK_AGAIN_S))
            elif self._withdraw(write):
                write.error = BackendBusyError(waited_s=self._budget_s)
                return
            else:  # it is being written: that ends by itself
                write.wake.acquire(timeout=_LOOK_AGAIN_S)

    def _lead(self) -> None:
        """Do what is queued, this thread's own write among it."""
        group = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_GROUP))]
        try:
            self._transact(group)
        finally:
            self._waiting.extendleft(write for write in reversed(group) if not write.is_judged)
            for write in group:
                if write.is_judged:
                    write.finish()

    def _withdraw(self, write: Write) -> bool:
        """Take a write out of the queue; False where someone has begun with it."""
        try:
            self._waiting.remove(write)
        except ValueError:
            return False
        return True
