"""Faults that show only where several work at once, or for long."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import IO, Any, ClassVar

from context_core import BackendBusyError
from context_core.records import (
    BatchRequest,
    LoadRequest,
    Operation,
    Outcome,
    SavedVersion,
    SaveRequest,
    StoredDocument,
)
from context_core_memory import MemoryBackend
from faulty_drivers.base_drivers import last_call, state_of, wait_for_others
from faulty_drivers.fault import breaks
from faulty_drivers.in_batches import KeepsWhatWentBefore


@breaks("CO03", "BA04", "DE04")
class ReadsAreTorn(MemoryBackend):
    """A load of many reads each at its own moment."""

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        found = []
        for workflow_id in request.workflow_ids:
            found += super().load(request._replace(workflow_ids=(workflow_id,)))
            wait_for_others()
        return found


@breaks("CO03")
class ReadersWaitForWriters(MemoryBackend):
    """A read takes the lock of writers."""

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        with self._open().write_lock:
            return super().load(request)


@breaks("CO04", "CO05")
class LoadsAreCached(MemoryBackend):
    """What a handle has read once it does not read again, unless it wrote itself."""

    def __init__(self, name: str = "", **options: Any) -> None:
        super().__init__(name, **options)
        self._cache: dict[object, list[StoredDocument]] = {}

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        place = (tuple(request.workflow_ids), request.version, request.as_of)
        if place not in self._cache:
            self._cache[place] = super().load(request)
        return list(self._cache[place])

    def save(self, request: SaveRequest) -> SavedVersion:
        self._cache.clear()
        return super().save(request)

    def batch(self, request: BatchRequest) -> list[Outcome]:
        self._cache.clear()
        return super().batch(request)


@breaks("CO04", "CO05", "VE03")
class EveryOtherReadIsLate(MemoryBackend):
    """Each second load comes from a replica that is one version behind."""

    _turn = 0

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        self._turn += 1
        if self._turn % 2 or request.version is not None or request.as_of is not None:
            return super().load(request)
        histories = [state_of(self).versions(workflow_id) for workflow_id in request.workflow_ids]
        return [each[-2 if len(each) > 1 else -1].document for each in histories if each]


@breaks("CO01")
class OneThreadOnly(MemoryBackend):
    """A handle serves the thread that opened it, as a connection of sqlite3 does."""

    def __init__(self, name: str = "", **options: Any) -> None:
        super().__init__(name, **options)
        self._owner = threading.get_ident()

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        if threading.get_ident() != self._owner:
            raise BackendBusyError(waited_s=0)
        return super().load(request)


@breaks("CO07")
class BatchesLockAsTheyGo(MemoryBackend):
    """A batch locks its workflows one by one, in its own order."""

    _locks: ClassVar[dict[str, threading.Lock]] = {}

    def batch(self, request: BatchRequest) -> list[Outcome]:
        with ExitStack() as held:
            for workflow_id in dict.fromkeys(_ids(request.operations)):
                held.enter_context(_locked(self._locks.setdefault(self._name + workflow_id, threading.Lock())))
                wait_for_others()
            return super().batch(request)


def _ids(operations: Sequence[Operation]) -> list[str]:
    return [operation.record.workflow_id for operation in operations if isinstance(operation, SaveRequest)]


@contextmanager
def _locked(lock: threading.Lock) -> Iterator[None]:
    if not lock.acquire(timeout=0.1):
        raise BackendBusyError(waited_s=0.1)
    try:
        yield
    finally:
        lock.release()


@breaks("CO10")
class InterruptionKeepsTheLock(MemoryBackend):
    """A lock is given back only where all goes well."""

    _locks: ClassVar[dict[str, threading.Lock]] = {}

    def save(self, request: SaveRequest) -> SavedVersion:
        lock = self._locks.setdefault(self._name, threading.Lock())
        if not lock.acquire(timeout=0.1):
            raise BackendBusyError(waited_s=0.1)
        saved = super().save(request)
        lock.release()
        return saved


@breaks("CO10", "BA01")
class InterruptionLeavesHalf(KeepsWhatWentBefore):
    """A batch is undone after an Exception, and a KeyboardInterrupt is none."""

    def apply_all(self, operations: Sequence[Operation]) -> list[Outcome]:
        store = self._open()
        before = store.state.draft(store.state.histories)
        try:
            return super().apply_all(operations)
        except Exception:
            store.state = before
            raise


@breaks("CO09")
class EachBatchLeavesAThread(MemoryBackend):
    """A batch starts a thread that waits for ever."""

    def batch(self, request: BatchRequest) -> list[Outcome]:
        threading.Thread(target=last_call.wait, daemon=True).start()
        return super().batch(request)


@breaks("CO09")
class EachMissLeavesAHandle(MemoryBackend):
    """A load that finds nothing does not close what it opened."""

    _left: ClassVar[list[IO[bytes]]] = []

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        found = super().load(request)
        if not found:
            self._left.append(open("/dev/null", "rb"))  # noqa: PTH123, SIM115  # left open: that is the fault
        return found


@breaks("CO09")
class EachThreadLeavesAHandle(MemoryBackend):
    """What a thread opened stays open when the thread is gone."""

    _opened: ClassVar[dict[tuple[str, int], IO[bytes]]] = {}
    _mine = threading.local()

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        if not hasattr(self._mine, self._name or "_"):
            setattr(self._mine, self._name or "_", True)
            self._opened[self._name, len(self._opened)] = open("/dev/null", "rb")  # noqa: PTH123, SIM115  # as above
        return super().load(request)
