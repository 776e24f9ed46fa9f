"""Faults of waiting: for others, for a fork, for the disk; and of what is held meanwhile."""

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from context_core import BackendBusyError, OutcomeUnknownError, StorageError
from context_core.records import BatchRequest, ContextRecord, Outcome, SavedVersion, SaveRequest
from context_core_memory import MemoryBackend
from context_core_sqlite import SqliteBackend
from faulty_drivers.base_drivers import last_call, wait_for_others
from faulty_drivers.fault import breaks


@contextmanager
def held(lock: threading.Lock) -> Iterator[None]:
    """Hold *lock*, once it is free, or until the test of this driver ends."""
    while not lock.acquire(timeout=0.5):
        if last_call.is_set():
            raise BackendBusyError(waited_s=0.5)
    try:
        yield
    finally:
        lock.release()


@breaks("CO11")
class ACrowdWaitsInTurn(MemoryBackend):
    """The budget of each waiter begins when the one before it has spent its own."""

    _turns: ClassVar[threading.Lock] = threading.Lock()

    def save(self, request: SaveRequest) -> SavedVersion:
        if self._busy_timeout_s > 1:
            return super().save(request)
        with held(self._turns):
            return super().save(request)


@breaks("CO08")
class AChildInheritsLocks(SqliteBackend):
    """A lock that another thread holds at a fork is never opened in the child, whose saves wait for it in vain."""

    _lock: ClassVar[threading.Lock] = threading.Lock()

    def save(self, request: SaveRequest) -> SavedVersion:
        if not self._lock.acquire(timeout=2):
            raise BackendBusyError(waited_s=2)
        try:
            wait_for_others()
            return super().save(request)
        finally:
            self._lock.release()


@breaks("CO07", "CO01")
class OppositeBatchesDeadlock(MemoryBackend):
    """A batch locks its workflows one after another, in the order in which they come."""

    _locks: ClassVar[dict[str, threading.Lock]] = {}

    def batch(self, request: BatchRequest) -> list[Outcome]:
        names = dict.fromkeys(each.record.workflow_id for each in request.operations if hasattr(each, "record"))
        return self._batch(request, list(names))

    def _batch(self, request: BatchRequest, names: list[str]) -> list[Outcome]:
        if not names:
            return super().batch(request)
        with held(self._locks.setdefault(names[0], threading.Lock())):
            wait_for_others()
            return self._batch(request, names[1:])


@breaks("CO10")
class AnInterruptedWaiterIsToldNothingWasDone(SqliteBackend):
    """A waiter is interrupted while others commit its save, and is told of the interrupt only."""

    def save(self, request: SaveRequest) -> SavedVersion:
        try:
            return super().save(request)
        except OutcomeUnknownError as error:
            if isinstance(error.__cause__, KeyboardInterrupt):
                raise error.__cause__ from None
            raise


@breaks("CO13")
class EverySaveIsRemembered(SqliteBackend):
    """What was saved once stays in memory, for a quicker comparison."""

    def __init__(self, path: Any, **options: Any) -> None:
        super().__init__(path, **options)
        self._saved: dict[str, ContextRecord] = {}

    def batch(self, request: BatchRequest) -> list[Outcome]:
        self._saved |= {each.record.workflow_id: each.record for each in request.operations if hasattr(each, "record")}
        return super().batch(request)


@breaks("CR08")
class AcknowledgedBeforeItIsSynced(SqliteBackend):
    """A save is on the disk when the system finds the time."""

    def __init__(self, path: Any, **options: Any) -> None:
        super().__init__(path, **options | {"synchronous": "normal"})


@breaks("CR05", "CO10")
class AFullStoreStaysLocked(MemoryBackend):
    """A writer that finds no room gives its lock back to nobody."""

    _lock: ClassVar[threading.Lock] = threading.Lock()
    _room: ClassVar[dict[str, int]] = {}

    def small_url(self, tmp_path: Path) -> str:
        """A store with room for three megabytes."""
        del tmp_path
        return f"{AFullStoreStaysLocked.scheme}://small-{uuid.uuid4().hex}"

    def save(self, request: SaveRequest) -> SavedVersion:
        if not self._name.startswith("small-"):
            return super().save(request)
        if not self._lock.acquire(timeout=0.1):
            raise BackendBusyError(waited_s=0.1)
        room = self._room.get(self._name, 3_000_000) - len(request.record.document)
        if room < 0:
            raise StorageError("no space is left") from OSError(28, "no space")
        self._room[self._name] = room
        saved = super().save(request)
        self._lock.release()
        return saved
