"""Faults of answers: what was true once is told again, a part is told for the whole, or what is stored expires."""

from datetime import timedelta
from typing import Any

import attrs
import pytest

from context_core import ContextBackend, PruneResult, RestoreConflictError, VerifyReport
from context_core.maintenance import PrunedRange, PruneRequest
from context_core.model import utc_now
from context_core.records import (
    BatchRequest,
    DeleteRequest,
    LoadRequest,
    Outcome,
    QueryRequest,
    SavedVersion,
    SaveRequest,
    Selection,
    StoredDocument,
    Story,
    VersionRequest,
    Want,
)
from context_core_memory import MemoryBackend, _backend, _write
from context_core_memory._state import State, Version
from faulty_drivers.base_drivers import state_of, wait_for_others
from faulty_drivers.fault import breaks, infects


@breaks("ID01", "ID02", "ID04")
class KeysExpireAfterADay(MemoryBackend):
    """An idempotency key is forgotten a day after its save."""

    def save(self, request: SaveRequest) -> SavedVersion:
        if request.idempotency is not None:
            versions, now = state_of(self).versions(request.record.workflow_id), self._clock()
            key = request.idempotency.key
            ages = [now - each.header.saved_at for each in versions if each.header.idempotency_key == key]
            if ages and ages[0] > timedelta(days=1):
                request = attrs.evolve(request, idempotency=None)
        return super().save(request)


@breaks("VE06", "VE01", "BA02")
class BatchesSkipEqualContent(MemoryBackend):
    """A batch of one save of what the head holds writes nothing, and tells the head."""

    def batch(self, request: BatchRequest) -> list[Outcome]:
        match list(request.operations):
            case [SaveRequest(record=record, idempotency=None, expected_version=expected)]:
                versions = state_of(self).versions(record.workflow_id)
                if versions and versions[-1].document.document == record.document:
                    head = versions[-1].header
                    if expected in (None, head.version):
                        return [SavedVersion(version=head.version, saved_at=head.saved_at)]
        return super().batch(request)


@breaks("VE05", "BA02", "BA06")
class TombstonesTellTheHeadBeforeTheirBatch(MemoryBackend):
    """A delete leaves the version that the workflow had before the batch."""

    def batch(self, request: BatchRequest) -> list[Outcome]:
        before = {name: history.head.version for name, history in state_of(self).histories.items()}
        outcomes = super().batch(request)
        state = state_of(self)
        for operation in request.operations:
            if isinstance(operation, DeleteRequest) and operation.workflow_id in before:
                name = operation.workflow_id
                if name not in state.histories:
                    state.tombstones[name] = attrs.evolve(state.tombstones[name], last_version=before[name])
        return outcomes


@infects(MemoryBackend, "MO01", "VE05")
def restored_tombstones_keep_the_later_time(patch: pytest.MonkeyPatch) -> None:
    """A tombstone that is replaced keeps its time, if that is later."""
    restore = _write.restore_tombstone

    def keeping(state: State, request: Any) -> Any:
        before = state.tombstones.get(request.workflow_id)
        if before is not None:
            request = attrs.evolve(request, deleted_at=max(before.deleted_at, request.deleted_at))
        return restore(state, request)

    patch.setattr(_write, "restore_tombstone", keeping)


@infects(MemoryBackend, "MO01", "VE05")
def restore_conflicts_tell_no_tombstone(patch: pytest.MonkeyPatch) -> None:
    """Where only a tombstone is left, the conflict tells version 0."""

    def silent(verb: Any) -> Any:
        def call(state: State, request: Any, *rest: Any) -> Any:
            try:
                return verb(state, request, *rest)
            except RestoreConflictError as error:
                name = error.workflow_id
                if state.versions(name):
                    raise
                raise RestoreConflictError(workflow_id=name, version=error.version, head_version=0) from None

        return call

    for name in ("restore", "restore_tombstone"):
        patch.setattr(_write, name, silent(getattr(_write, name)))


@breaks("TI01", "VE02", "BA02")
class AnswersRoundTheTime(MemoryBackend):
    """A save tells milliseconds and stores microseconds."""

    def save(self, request: SaveRequest) -> SavedVersion:
        saved = super().save(request)
        microsecond = saved.saved_at.microsecond // 1_000 * 1_000
        return attrs.evolve(saved, saved_at=saved.saved_at.replace(microsecond=microsecond))


@breaks("VE10", "BA02")
class BatchesLoseOrigins(MemoryBackend):
    """A fork that is saved in a batch comes from nowhere."""

    def batch(self, request: BatchRequest) -> list[Outcome]:
        saves = [
            attrs.evolve(each, origin=None) if isinstance(each, SaveRequest) else each for each in request.operations
        ]
        return super().batch(BatchRequest(operations=saves))


@breaks("VE07", "VE12", "QU09")
class HistoryCountsHaveALimit(MemoryBackend):
    """A count of a history ends at the limit of its request."""

    def version(self, request: VersionRequest) -> Selection:
        found = super().version(request)
        return found if request.limit is None else attrs.evolve(found, count=min(found.count, request.limit))


@infects(MemoryBackend, "RE01")
def prunes_tell_in_order_of_making(patch: pytest.MonkeyPatch) -> None:
    """What was pruned is told in the order in which the workflows were made."""
    prunable = _write.prunable

    def unsorted(state: State, request: PruneRequest) -> list[PrunedRange]:
        made = list(state.histories)
        return sorted(prunable(state, request), key=lambda pruned: made.index(pruned.workflow_id))

    patch.setattr(_write, "prunable", unsorted)


@infects(MemoryBackend, "VE03", "VE08", "TI02")
def heads_are_the_latest_update(patch: pytest.MonkeyPatch) -> None:
    """The last writer wins by `updated_at`, as replicas decide it."""
    pick = _backend._pick

    def latest(versions: list[Version], request: LoadRequest) -> Version | None:
        if request.version is None and request.as_of is None and versions:
            return max(reversed(versions), key=lambda version: version.header.updated_at)
        return pick(versions, request)

    patch.setattr(_backend, "_pick", latest)


@breaks("VE07", "VE12")
class HistoriesEndAtAMegabyte(MemoryBackend):
    """A history is cut after a megabyte of documents."""

    def version(self, request: VersionRequest) -> Selection:
        found = super().version(request)
        count = len(_within(found.documents, 2**20))
        if not found.documents:
            return found
        return attrs.evolve(found, headers=found.headers[:count], documents=found.documents[:count], count=count)


@breaks("BA05", "BA08")
class LoadsEndAtSixteenMegabytes(MemoryBackend):
    """A load leaves out what is beyond 16 MB."""

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        return _within(super().load(request), 16 * 2**20)


@breaks("BA05", "BA04", "CO03")
class LoadsReadByHundreds(MemoryBackend):
    """A load asks for a hundred documents at a time, each hundred of its own moment."""

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        documents = []
        for start in range(0, len(request.workflow_ids), 100):
            documents += super().load(request._replace(workflow_ids=request.workflow_ids[start : start + 100]))
            if start + 100 < len(request.workflow_ids):
                wait_for_others()
        return documents or super().load(request)


@breaks("BA04", "BA05", "CO03")
class RecordsAreReadTwice(MemoryBackend):
    """A query reads headers first, and their documents a moment later."""

    def query(self, request: QueryRequest) -> Selection:
        found = super().query(request)
        if request.want is Want.RECORDS:
            wait_for_others()
            return attrs.evolve(
                found, documents=super().load(LoadRequest([each.workflow_id for each in found.headers]))
            )
        return found


class _Remembering(MemoryBackend):
    """What `is_remembered` is asked once, until this handle writes."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._answers: dict[str, Any] = {}

    def is_remembered(self, request: Any) -> bool:
        raise NotImplementedError

    def _ask(self, request: Any, verb: Any) -> Any:
        self._open()
        if not self.is_remembered(request):
            return verb(request)
        answer = self._answers.get(repr(request)) or verb(request)
        return self._answers.setdefault(repr(request), answer)

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        return list(self._ask(request, super().load))

    def version(self, request: VersionRequest) -> Selection:
        answer: Selection = self._ask(request, super().version)
        return answer

    def query(self, request: QueryRequest) -> Selection:
        answer: Selection = self._ask(request, super().query)
        return answer

    def save(self, request: SaveRequest) -> SavedVersion:
        self._answers.clear()
        return super().save(request)

    def batch(self, request: BatchRequest) -> list[Outcome]:
        self._answers.clear()
        return super().batch(request)

    def prune(self, request: PruneRequest) -> PruneResult:
        self._answers.clear()
        return super().prune(request)


@breaks("CO04", "CO05")
class CountsAreCached(_Remembering):
    """A handle counts what it counted before, until it writes itself."""

    def is_remembered(self, request: Any) -> bool:
        return isinstance(request, QueryRequest) and request.want is Want.COUNT


@breaks("CO04", "CO05")
class StoriesAreCached(_Remembering):
    """A handle tells the history of a story as it was, until it writes itself."""

    def is_remembered(self, request: Any) -> bool:
        return isinstance(request, VersionRequest) and isinstance(request.of, Story)


@breaks("CO04", "CO05")
class TombstonesAreCached(_Remembering):
    """A handle lists the tombstones that it saw first, until it writes itself."""

    def is_remembered(self, request: Any) -> bool:
        return isinstance(request, QueryRequest) and request.want is Want.TOMBSTONES


@breaks("CO04", "CO05")
class OldVersionsAreCachedForEver(_Remembering):
    """Old versions never change, so they are kept in memory, after a delete by others too."""

    def is_remembered(self, request: Any) -> bool:
        return isinstance(request, LoadRequest) and request.version is not None


@breaks("MO02", "RE01")
class SnapshotsTakePrunes(MemoryBackend):
    """A prune of a snapshot is no error."""

    def snapshot(self) -> ContextBackend:
        view: Any = super().snapshot()
        view.prune = lambda _: PruneResult(ranges=())
        return view  # type: ignore[no-any-return]  # it is one


@breaks("MO02", "ER05")
class ClosedSnapshotsCount(MemoryBackend):
    """A snapshot counts after its close, as nothing that costs a read is needed for it."""

    def snapshot(self) -> ContextBackend:
        view: Any = super().snapshot()
        query, count = view.query, len(state_of(view).histories)
        view.query = lambda request: Selection(count=count) if request.want is Want.COUNT else query(request)
        return view  # type: ignore[no-any-return]  # it is one


@breaks("MO01", "QU09")
class TombstonesHavePages(MemoryBackend):
    """Limit and offset apply to tombstones too."""

    def query(self, request: QueryRequest) -> Selection:
        found = super().query(request)
        end = None if request.limit is None else request.offset + request.limit
        return attrs.evolve(found, tombstones=found.tombstones[request.offset : end])


@breaks("ER05")
class ClosedStoresVerify(MemoryBackend):
    """A closed store finds nothing wrong."""

    def verify(self) -> VerifyReport:
        return VerifyReport(checked_versions=0, damages=()) if self._is_closed else super().verify()


@breaks("ER05")
class ClosedHistoriesAreEmpty(MemoryBackend):
    """A history of no more than nothing is answered without looking."""

    def version(self, request: VersionRequest) -> Selection:
        return Selection() if request.limit == 0 and request.want is not Want.COUNT else super().version(request)


@breaks("TI01")
class ClocksAreShared(MemoryBackend):
    """The clock of the first handle is that of all."""

    def __init__(self, name: str = "", **options: Any) -> None:
        super().__init__(name, **options)
        self._clock = vars(self._store).setdefault("clock", options.get("clock", utc_now))


@breaks("VE03", "QU12")
class HeadsHideTheirKeys(MemoryBackend):
    """A list of heads tells no idempotency keys."""

    def query(self, request: QueryRequest) -> Selection:
        found = super().query(request)
        return attrs.evolve(found, headers=[attrs.evolve(each, idempotency_key=None) for each in found.headers])


def _within(documents: Any, size_bytes: int) -> list[StoredDocument]:
    """The first documents, up to so many bytes, but one at least."""
    kept: list[StoredDocument] = []
    for document in documents:
        size_bytes -= len(document.document)
        if size_bytes < 0 and kept:
            break
        kept.append(document)
    return kept
