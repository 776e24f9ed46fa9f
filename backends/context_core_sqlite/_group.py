"""Group commit: callers that write at the same time share one transaction, and so one wait for the disk.

Whoever finds nobody writing writes by itself, at no cost. Who finds a writer at work leaves its write in a queue; when
that writer is done, the first in the queue does all that is queued by then, in one transaction, and tells the others
how theirs went. Order is that of the queue, so that nobody starves.
"""

import contextlib
import math
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
_WITHOUT_WAITING: Final = (False,)
_FIRST: Final = (0,)


class Write:
    """One write: what to do, until when (on the monotonic clock), and how it went.

    Either its caller withdraws it, or a leader claims it: one of them takes the only item of a list.
    """

    __slots__ = ("_claimed", "_unclaimed", "argument", "deadline", "error", "is_done", "result", "wake", "work")

    def __init__(self, work: Callable[[Any, Any], Any], argument: Any, deadline: float = math.inf) -> None:
        self.work = work
        self.argument = argument
        self.deadline = deadline
        self._unclaimed = [True]
        self._claimed: list[bool] = []
        self.result: Any = _PENDING
        self.error: BaseException | None = None
        self.is_done = False
        self.wake = threading.Lock()
        self.wake.acquire()

    @property
    def is_judged(self) -> bool:
        """Whether it has a result or an error."""
        return self.error is not None or self.result is not _PENDING

    def claim(self) -> bool:
        """Begin with it, unless its caller withdrew it: from now on the caller waits for the result."""
        with contextlib.suppress(IndexError):
            self._claimed.extend(map(self._unclaimed.pop, _FIRST))  # in one step, which no interrupt can split
        return bool(self._claimed)

    def withdraw(self) -> bool:
        """Give it up; False where a leader has begun with it."""
        with contextlib.suppress(IndexError):
            self._unclaimed.pop()
        return not self._claimed

    @property
    def is_withdrawn(self) -> bool:
        """Whether its caller gave it up."""
        return not self._unclaimed and not self._claimed

    def reset(self) -> None:
        """Take back what was said of it: its transaction was rolled back, and its caller may withdraw it again."""
        self.result, self.error = _PENDING, None
        with contextlib.suppress(IndexError):
            self._unclaimed.extend(map(self._claimed.pop, _FIRST))

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

    No caller waits longer than its budget, counted from its call, whatever its wait is made of. The commit of a save
    that has begun is waited for: it ends by itself, and nobody is told that nothing was written when it may have been.

    Args:
        transact: Does writes in one transaction, and sets the result or the error of each that it claims; it waits for
            writers of other processes no longer than to the time that it is given. What it raises is for the caller in
            whose thread it ran; then writes that have neither were not done.
        budget_s: How long a write may wait for its turn.
    """

    def __init__(self, transact: Callable[[Sequence[Write], float], None], budget_s: float) -> None:
        self._transact = transact
        self._budget_s = budget_s
        self._waiting: deque[Write] = deque()
        self.turn = threading.Lock()
        """Held by whoever writes. Nobody waits for it: who does not get it at once waits in the queue."""
        self._leader_id = 0

    @property
    def is_led_here(self) -> bool:
        """Whether it is this thread that writes, and asks from a signal handler or a clock."""
        return self._leader_id == threading.get_ident()

    def write(self, alone: Callable[[Any, Any, float], Any], work: Callable[[Any, Any], Any], argument: Any) -> Any:
        """Do one write: by *alone* where nobody else writes, else together with others.

        Raises:
            BackendBusyError: Its turn did not come in time; nothing was written.
            OutcomeUnknownError: The wait was interrupted when others had begun to write it.
        """
        deadline = time.monotonic() + self._budget_s
        if not self._waiting:
            taken: list[bool] = []
            try:
                taken.extend(map(self.turn.acquire, _WITHOUT_WAITING))  # in one step, which no interrupt can split
                if taken[0]:
                    self._leader_id = threading.get_ident()
                    return alone(work, argument, deadline)
            finally:
                if taken and taken[0]:
                    self._leader_id = 0
                    self.turn.release()
                    self._wake_next()
        write = Write(work, argument, deadline)
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

    def _wake_next(self) -> None:
        try:
            self._waiting[0].notify()
        except IndexError:
            return

    def _wait(self, write: Write) -> None:
        while not write.is_done:
            has_led = self._try_to_lead(write)
            left_s = write.deadline - time.monotonic()
            if write.is_done or (has_led and left_s > 0):
                continue
            if left_s > 0:
                write.wake.acquire(timeout=min(left_s, _LOOK_AGAIN_S))
            elif self._withdraw(write):
                write.error = BackendBusyError(waited_s=self._budget_s)
                self._wake_next()  # what woke this caller was meant for the first in the queue
                return
            else:  # it is being written: that ends by itself
                write.wake.acquire(timeout=_LOOK_AGAIN_S)

    def _try_to_lead(self, write: Write) -> bool:
        """Do what is queued, if nobody else is at it."""
        taken: list[bool] = []
        try:
            taken.extend(map(self.turn.acquire, _WITHOUT_WAITING))
            if taken[0] and not write.is_done:
                self._leader_id = threading.get_ident()
                self._lead(write.deadline)
        finally:
            if taken and taken[0]:
                self._leader_id = 0
                self.turn.release()
                self._wake_next()
        return taken[0]

    def _lead(self, deadline: float) -> None:
        """Do what is queued, most likely this thread's own write among it."""
        group = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_GROUP))]
        try:
            self._transact(group, deadline)
        finally:
            undone = [write for write in group if not write.is_judged]
            for write in undone:
                write.reset()
            self._waiting.extendleft(write for write in reversed(undone) if not write.is_withdrawn)
            for write in group:
                if write.is_judged:
                    write.finish()

    def _withdraw(self, write: Write) -> bool:
        """Take a write out of the queue; False where a leader has begun with it."""
        is_withdrawn = write.withdraw()
        if is_withdrawn:
            with contextlib.suppress(ValueError):  # a leader has it, and will pass over it
                self._waiting.remove(write)
        return is_withdrawn
