"""Faults of snapshots that are not of one moment, of copies that wait or leave something open, and of told conflicts."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from context_core import ContextBackend, RestoreConflictError
from context_core.records import (
    BatchRequest,
    LoadRequest,
    Outcome,
    QueryRequest,
    RestoreTombstoneRequest,
    Selection,
    StoredDocument,
    VersionRequest,
    Want,
)
from context_core_memory import MemoryBackend
from faulty_drivers.fault import breaks


class _Leaking(MemoryBackend):
    """A snapshot asks the live store for some requests."""

    def is_live(self, request: LoadRequest | VersionRequest | QueryRequest) -> bool:
        raise NotImplementedError

    def snapshot(self) -> ContextBackend:
        view: Any = super().snapshot()
        query, version, load = view.query, view.version, view.load

        def queried(request: QueryRequest) -> Selection:
            answer: Selection = (self.query if self.is_live(request) else query)(request)
            return answer

        def versions(request: VersionRequest) -> Selection:
            answer: Selection = (self.version if self.is_live(request) else version)(request)
            return answer

        def loaded(request: LoadRequest) -> list[StoredDocument]:
            answer: list[StoredDocument] = (self.load if self.is_live(request) else load)(request)
            return answer

        view.query, view.version, view.load = queried, versions, loaded
        return view  # type: ignore[no-any-return]  # Any, to look inside


@breaks("MO02")
class SnapshotTombstonesAreLive(_Leaking):
    """A snapshot tells who is deleted now."""

    def is_live(self, request: LoadRequest | VersionRequest | QueryRequest) -> bool:
        return isinstance(request, QueryRequest) and request.want is Want.TOMBSTONES


@breaks("MO02")
class SnapshotCountsAreLive(_Leaking):
    """A snapshot counts what is there now."""

    def is_live(self, request: LoadRequest | VersionRequest | QueryRequest) -> bool:
        return not isinstance(request, LoadRequest) and request.want is Want.COUNT


@breaks("MO02")
class SnapshotStoriesAreLive(_Leaking):
    """A snapshot reads the history of a story from the live store."""

    def is_live(self, request: LoadRequest | VersionRequest | QueryRequest) -> bool:
        return isinstance(request, VersionRequest) and not isinstance(request.of, str)


@breaks("MO02")
class SnapshotMomentsAreLive(_Leaking):
    """A snapshot loads as of a time from the live store."""

    def is_live(self, request: LoadRequest | VersionRequest | QueryRequest) -> bool:
        return isinstance(request, LoadRequest) and request.as_of is not None


@breaks("MO02", "CO09")
class SnapshotLeavesAFileOpen(MemoryBackend):
    """Each snapshot opens a file, which its close forgets."""

    def snapshot(self) -> ContextBackend:
        os.open(os.devnull, os.O_RDONLY)
        return super().snapshot()


@breaks("MO02", "CO03")
class SnapshotWaitsForWriters(MemoryBackend):
    """A snapshot begins when nobody writes."""

    def snapshot(self) -> ContextBackend:
        with self._open().write_lock:
            return super().snapshot()


class _Telling(MemoryBackend):
    """What the conflict of a restore tells passes through `told`."""

    def told(self, error: RestoreConflictError, request: BatchRequest) -> RestoreConflictError:
        raise NotImplementedError

    @contextmanager
    def _retelling(self, request: BatchRequest) -> Iterator[None]:
        try:
            yield
        except RestoreConflictError as error:
            raise self.told(error, request) from error

    def batch(self, request: BatchRequest) -> list[Outcome]:
        with self._retelling(request):
            return super().batch(request)


def _conflict(workflow_id: str, version: int, head_version: int) -> RestoreConflictError:
    return RestoreConflictError(workflow_id=workflow_id, version=version, head_version=head_version)


@breaks("MO01", "ER03")
class ConflictsTellTheStateBeforeTheBatch(_Telling):
    """Where the workflow stands is looked up when the batch is undone."""

    def told(self, error: RestoreConflictError, request: BatchRequest) -> RestoreConflictError:
        del request
        heads = self.version(VersionRequest(of=error.workflow_id, newest_first=True, limit=1)).headers
        dead = [each for each in self._tombstones() if each.workflow_id == error.workflow_id]
        head = heads[0].version if heads else dead[0].last_version if dead else 0
        return _conflict(error.workflow_id, error.version, head)

    def _tombstones(self) -> Any:
        return self.query(QueryRequest(want=Want.TOMBSTONES)).tombstones


@breaks("MO01", "ER03")
class ConflictsTellTheFirstOfTheBatch(_Telling):
    """Whatever item is refused, the error names the workflow of the first."""

    def told(self, error: RestoreConflictError, request: BatchRequest) -> RestoreConflictError:
        first: Any = request.operations[0]
        name = getattr(first, "workflow_id", None) or first.record.workflow_id
        return _conflict(name, error.version, error.head_version)


@breaks("MO01", "ER03")
class ConflictsOfTombstonesTellNoHead(_Telling):
    """A tombstone that is refused is said to stand on nothing."""

    def told(self, error: RestoreConflictError, request: BatchRequest) -> RestoreConflictError:
        is_tombstone = any(
            isinstance(each, RestoreTombstoneRequest)
            and each.workflow_id == error.workflow_id
            and each.last_version == error.version
            for each in request.operations
        )
        return _conflict(error.workflow_id, error.version, 0) if is_tombstone else error
