"""Good drivers with a place to put one fault: what passes that place comes out as it went in."""

import threading
import time
from collections.abc import Sequence
from typing import Any, Final

import attrs

from context_core.records import (
    BatchRequest,
    ContextRecord,
    Operation,
    Outcome,
    QueryRequest,
    RestoreRequest,
    SavedVersion,
    SaveRequest,
    Selection,
    VersionHeader,
    VersionRequest,
)
from context_core_memory import MemoryBackend
from context_core_memory._state import History, State, Version


class Writing(MemoryBackend):
    """Every operation passes through `operation`, every saved or restored record through `record`."""

    def operation(self, operation: Operation) -> Operation:
        if isinstance(operation, SaveRequest | RestoreRequest):
            return attrs.evolve(operation, record=self.record(operation.record))
        return operation

    def record(self, record: ContextRecord) -> ContextRecord:
        return attrs.evolve(record, document=self.document(record.document))

    def document(self, document: bytes) -> bytes:
        return document

    def save(self, request: SaveRequest) -> SavedVersion:
        changed: Any = self.operation(request)
        return super().save(changed)

    def batch(self, request: BatchRequest) -> list[Outcome]:
        return super().batch(BatchRequest(operations=[self.operation(each) for each in request.operations]))


class Showing(MemoryBackend):
    """Every header that is shown passes through `header`, every selection through `selection`."""

    def header(self, header: VersionHeader) -> VersionHeader:
        return header

    def selection(self, selection: Selection) -> Selection:
        return attrs.evolve(selection, headers=[self.header(each) for each in selection.headers])

    def version(self, request: VersionRequest) -> Selection:
        return self.selection(super().version(request))

    def query(self, request: QueryRequest) -> Selection:
        return self.selection(super().query(request))


class Querying(MemoryBackend):
    """Every query passes through `asked`."""

    def asked(self, request: QueryRequest) -> QueryRequest:
        return request

    def query(self, request: QueryRequest) -> Selection:
        return super().query(self.asked(request))


def state_of(backend: MemoryBackend) -> State:
    """What a memory store holds."""
    return backend._open().state


def put_versions(backend: MemoryBackend, workflow_id: str, versions: Sequence[Version]) -> None:
    """Replace a history behind the driver's back."""
    history = state_of(backend).histories[workflow_id]
    state_of(backend).histories[workflow_id] = History(history.created_at, list(versions))


def wait_for_others() -> None:
    """Give other threads the time to come in between: what can go wrong shall go wrong soon."""
    time.sleep(0.001)


last_call: Final = threading.Event()
"""Set after the test of a faulty driver, so that the threads which the driver left behind end."""
