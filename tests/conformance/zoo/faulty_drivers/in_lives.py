"""Faults of opening, closing, and opening again."""

import threading
from typing import IO, Any, ClassVar, Self

from context_core import BackendDescription, BackendURL
from context_core.model import utc_now
from context_core.records import BatchRequest, Clock, LoadRequest, Outcome, QueryRequest, Selection, StoredDocument
from context_core_memory import MemoryBackend
from context_core_memory._state import State
from faulty_drivers.base_drivers import last_call
from faulty_drivers.fault import breaks


@breaks("ER05")
class WorksOnAfterClose(MemoryBackend):
    """Close does nothing."""

    def close(self) -> None:
        """Leave it open."""


@breaks("ER05")
class ReadsAfterClose(MemoryBackend):
    """A closed handle still loads what it had read."""

    def __init__(self, name: str = "", **options: Any) -> None:
        super().__init__(name, **options)
        self._last: list[StoredDocument] = []

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        if not self._is_closed:
            self._last = super().load(request)
        return self._last


@breaks("ER05")
class NothingToDoIsDoneAfterClose(MemoryBackend):
    """An empty batch, and a query of no row, are answered without looking whether the store is open."""

    def batch(self, request: BatchRequest) -> list[Outcome]:
        return super().batch(request) if request.operations else []

    def query(self, request: QueryRequest) -> Selection:
        return super().query(request) if request.limit != 0 else Selection()


@breaks("ER05")
class ClosingTwiceIsAnError(MemoryBackend):
    """The second close fails."""

    def close(self) -> None:
        if self._is_closed:
            raise RuntimeError("closed already")
        super().close()


@breaks("ER05")
class CloseClosesAllHandles(MemoryBackend):
    """A handle that is closed takes the storage from all others."""

    _closed: ClassVar[set[str]] = set()

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        self._fail_if_gone()
        return super().load(request)

    def batch(self, request: BatchRequest) -> list[Outcome]:
        self._fail_if_gone()
        return super().batch(request)

    def save(self, request: Any) -> Any:
        self._fail_if_gone()
        return super().save(request)

    def _fail_if_gone(self) -> None:
        self._is_closed = self._is_closed or self._name in self._closed

    def close(self) -> None:
        self._closed.add(self._name)
        super().close()


@breaks("ER05")
class ClosedHandleCannotDescribeItself(MemoryBackend):
    """After close it does not say what it was."""

    def describe(self) -> BackendDescription:
        self._open()
        return super().describe()


@breaks("ER05", "CO09")
class CloseLeavesAThread(MemoryBackend):
    """The thread that a handle keeps outlives it."""

    def __init__(self, name: str = "", **options: Any) -> None:
        super().__init__(name, **options)
        threading.Thread(target=last_call.wait, daemon=True).start()


@breaks("ER05", "CO09")
class CloseLeavesAHandle(MemoryBackend):
    """What a handle opened stays open behind it."""

    _left: ClassVar[list[IO[bytes]]] = []

    def close(self) -> None:
        self._left.append(open("/dev/null", "rb"))  # noqa: PTH123, SIM115  # left open: that is the fault
        super().close()


@breaks("ER05")
class CloseIsLeftToTheCollector(MemoryBackend):
    """What a handle opened is closed when Python finds it, with a warning."""

    def __init__(self, name: str = "", **options: Any) -> None:
        super().__init__(name, **options)
        self._file = open("/dev/null", "rb")  # noqa: PTH123, SIM115  # left open: that is the fault


@breaks("ER05", "CO01")
class CloseInterruptsTheOthers(MemoryBackend):
    """A call that is under way when the store is closed fails with an error of its own."""

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        if self._is_closed:
            raise AttributeError("'NoneType' object has no attribute 'execute'")
        return super().load(request)


@breaks("CO04", "ER06")
class EachHandleHasItsOwnStore(MemoryBackend):
    """Two handles to one address do not share what they write."""

    @classmethod
    def from_url(cls, url: BackendURL, *, clock: Clock = utc_now) -> Self:
        opened = super().from_url(url, clock=clock)
        opened._store = type(opened._store)()
        return opened


@breaks("ER06", "VE05")
class ReopeningForgetsTombstones(MemoryBackend):
    """What was deleted is forgotten when the store is opened again."""

    def __init__(self, name: str = "", **options: Any) -> None:
        super().__init__(name, **options)
        self._store.state.tombstones.clear()


@breaks("ER06", "VE02")
class OpeningTidiesUp(MemoryBackend):
    """To open a store is to keep only the newest version of each workflow."""

    def __init__(self, name: str = "", **options: Any) -> None:
        super().__init__(name, **options)
        state: State = self._store.state
        for workflow_id, history in list(state.histories.items()):
            state.forget(workflow_id, len(history.versions) - 1)
