"""Faults of retention, and of histories that travel."""

from typing import Any

import attrs

from context_core import ContextBackend, CorruptDocumentError, VerifyReport
from context_core._converter import decode
from context_core.maintenance import PrunedRange, PruneRequest, PruneResult
from context_core.records import (
    BatchRequest,
    Operation,
    Outcome,
    QueryRequest,
    RestoreRequest,
    RestoreTombstoneRequest,
    SavedVersion,
    SaveRequest,
    Selection,
    Want,
)
from context_core_memory import MemoryBackend
from faulty_drivers.base_drivers import Writing, put_versions, state_of
from faulty_drivers.fault import breaks


@breaks("RE01")
class PruneTakesTheHead(MemoryBackend):
    """One version less stays than was asked for."""

    def prune(self, request: PruneRequest) -> PruneResult:
        result = super().prune(request)
        for pruned in () if request.dry_run else result.ranges:
            versions = state_of(self).versions(pruned.workflow_id)
            put_versions(self, pruned.workflow_id, versions[1:] or versions)
        return result


@breaks("RE01")
class DryRunNamesLess(MemoryBackend):
    """The dry run names only what the first batch would take."""

    def prune(self, request: PruneRequest) -> PruneResult:
        result = super().prune(request)
        return PruneResult(ranges=result.ranges[:1]) if request.dry_run else result


@breaks("RE01")
class DryRunIsNone(MemoryBackend):
    """The dry run prunes."""

    def prune(self, request: PruneRequest) -> PruneResult:
        return super().prune(attrs.evolve(request, dry_run=False))


@breaks("RE01", "RE02")
class PruneStopsAfterABatch(MemoryBackend):
    """It removes as much as one transaction may, and leaves the rest."""

    def prune(self, request: PruneRequest) -> PruneResult:
        ranges = list(super().prune(attrs.evolve(request, dry_run=True)).ranges)
        for pruned in () if request.dry_run else ranges:
            count = min(pruned.last - pruned.first + 1, request.batch_size)
            state_of(self).forget(pruned.workflow_id, count)
        return PruneResult(ranges=ranges)


@breaks("RE01", "VE07")
class PruneLeavesAGap(MemoryBackend):
    """The first version of a history always stays."""

    def prune(self, request: PruneRequest) -> PruneResult:
        first = {workflow_id: history.versions[0] for workflow_id, history in state_of(self).histories.items()}
        result = super().prune(request)
        for pruned in () if request.dry_run else result.ranges:
            versions = state_of(self).versions(pruned.workflow_id)
            put_versions(self, pruned.workflow_id, [first[pruned.workflow_id], *versions])
        return result


class _Choosing(MemoryBackend):
    """Of what a looser request would prune only that goes for which `goes` is true."""

    def loose(self, request: PruneRequest) -> PruneRequest:
        return request

    def goes(self, pruned: PrunedRange, request: PruneRequest) -> bool:
        del pruned, request
        return True

    def prune(self, request: PruneRequest) -> PruneResult:
        dry_run = attrs.evolve(self.loose(request), dry_run=True)
        ranges = [pruned for pruned in super().prune(dry_run).ranges if self.goes(pruned, request)]
        for pruned in () if request.dry_run else ranges:
            state_of(self).forget(pruned.workflow_id, pruned.last - pruned.first + 1)
        return PruneResult(ranges=ranges)


@breaks("RE01")
class PruneIgnoresStatuses(_Choosing):
    """Workflows of every status lose their old versions."""

    def loose(self, request: PruneRequest) -> PruneRequest:
        return attrs.evolve(request, statuses=None)


@breaks("RE01", "RE02")
class PruneKeysOnUpdatedAt(_Choosing):
    """How long a workflow was left alone is told by its writers."""

    def loose(self, request: PruneRequest) -> PruneRequest:
        return attrs.evolve(request, inactive_since=None)

    def goes(self, pruned: PrunedRange, request: PruneRequest) -> bool:
        head = state_of(self).versions(pruned.workflow_id)[-1].header
        return request.inactive_since is None or head.updated_at < request.inactive_since


@breaks("RE01", "RE02")
class PruneHoldsItsEnd(_Choosing):
    """A workflow saved at the very time of the limit counts as older."""

    def loose(self, request: PruneRequest) -> PruneRequest:
        return attrs.evolve(request, inactive_since=None)

    def goes(self, pruned: PrunedRange, request: PruneRequest) -> bool:
        head = state_of(self).versions(pruned.workflow_id)[-1].header
        return request.inactive_since is None or head.saved_at <= request.inactive_since


@breaks("RE01", "VE02")
class PruneMakesAWorkflowYounger(MemoryBackend):
    """A workflow seems to have been created with the oldest version that is left."""

    def prune(self, request: PruneRequest) -> PruneResult:
        result = super().prune(request)
        histories = state_of(self).histories
        for pruned in () if request.dry_run else result.ranges:
            history = histories[pruned.workflow_id]
            histories[pruned.workflow_id] = attrs.evolve(history, created_at=history.versions[0].header.created_at)
        return result


@breaks("CR06")
class VerifySeesNothing(MemoryBackend):
    """It reports that all is well, and looked at nothing."""

    def verify(self) -> VerifyReport:
        self._open()
        return VerifyReport(checked_versions=0, damages=())


@breaks("CR06")
class VerifyLooksAtHeads(MemoryBackend):
    """It does not look at old versions."""

    def verify(self) -> VerifyReport:
        return VerifyReport(checked_versions=len(state_of(self).histories), damages=())


@breaks("CR06")
class DamageHidesTheRest(MemoryBackend):
    """One document that cannot be read, and every search fails."""

    def query(self, request: QueryRequest) -> Selection:
        for history in list(state_of(self).histories.values()):
            for version in history.versions[:-1]:
                try:
                    decode(version.document.document)
                except ValueError as error:
                    workflow_id, number = version.header.workflow_id, version.header.version
                    raise CorruptDocumentError(workflow_id=workflow_id, version=number, problem="no JSON") from error
        return super().query(request)


@breaks("VE10", "MO01")
class LineageIsLost(Writing):
    """A fork does not know where it came from."""

    def operation(self, operation: Operation) -> Operation:
        if isinstance(operation, SaveRequest | RestoreRequest):
            return attrs.evolve(operation, origin=None)
        return operation


@breaks("VE10")
class EveryVersionHasAnOrigin(MemoryBackend):
    """All versions of a fork say that they came from where the first did."""

    def save(self, request: SaveRequest) -> SavedVersion:
        versions = state_of(self).versions(request.record.workflow_id)
        return super().save(attrs.evolve(request, origin=versions[0].header.origin) if versions else request)


class _Restoring(MemoryBackend):
    """Restores pass through `restore`."""

    def restore(self, request: RestoreRequest) -> Operation:
        return request

    def batch(self, request: BatchRequest) -> list[Outcome]:
        operations = [self.restore(each) if isinstance(each, RestoreRequest) else each for each in request.operations]
        return super().batch(BatchRequest(operations=operations))


@breaks("MO01")
class ImportRenumbers(_Restoring):
    """A history that began at 5 begins at 1 where it is imported."""

    def restore(self, request: RestoreRequest) -> Operation:
        is_first = not state_of(self).versions(request.record.workflow_id)
        return attrs.evolve(request, version=1) if is_first else request


@breaks("MO01")
class ImportStampsAnew(_Restoring):
    """What is imported was saved when it was imported."""

    def restore(self, request: RestoreRequest) -> Operation:
        return attrs.evolve(request, saved_at=max(self._clock(), request.saved_at))


@breaks("MO01", "TI02")
class ImportGoesBackInTime(_Restoring):
    """A restored version is only held against the first of its history."""

    def restore(self, request: RestoreRequest) -> Operation:
        versions = state_of(self).versions(request.record.workflow_id)
        if not versions or request.saved_at < versions[0].header.saved_at:
            return request
        return attrs.evolve(request, saved_at=max(request.saved_at, versions[-1].header.saved_at))


@breaks("MO01", "ID01")
class ImportLosesKeys(_Restoring):
    """A retry after an import writes again."""

    def restore(self, request: RestoreRequest) -> Operation:
        return attrs.evolve(request, idempotency=None)


@breaks("MO01")
class ImportForgetsWhenAWorkflowBegan(_Restoring):
    """The creation time of a pruned workflow is that of the oldest version it has."""

    def restore(self, request: RestoreRequest) -> Operation:
        return attrs.evolve(request, workflow_created_at=request.record.created_at)


@breaks("MO01")
class ImportLosesTombstones(MemoryBackend):
    """What was deleted where an export came from is not known where it goes."""

    def batch(self, request: BatchRequest) -> list[Outcome]:
        before, outcomes = set(state_of(self).tombstones), super().batch(request)
        for operation in request.operations:
            if isinstance(operation, RestoreTombstoneRequest) and operation.workflow_id not in before:
                state_of(self).tombstones.pop(operation.workflow_id, None)
        return outcomes


@breaks("MO01", "DE02")
class TombstonesOfTheLivingShow(MemoryBackend):
    """A workflow that was saved again counts as deleted too."""

    def query(self, request: QueryRequest) -> Selection:
        if request.want is not Want.TOMBSTONES:
            return super().query(request)
        self._open()
        return Selection(tombstones=[tombstone for _, tombstone in sorted(state_of(self).tombstones.items())])


@breaks("MO02")
class SnapshotMoves(MemoryBackend):
    """A snapshot shows what is written after it."""

    def snapshot(self) -> ContextBackend:
        view: Any = super().snapshot()
        view._store.state = state_of(self)
        return view  # type: ignore[no-any-return]  # Any, to look inside


@breaks("MO02")
class SnapshotOfDocumentsMoves(MemoryBackend):
    """A snapshot holds the heads, and reads histories from the live store."""

    def snapshot(self) -> ContextBackend:
        view: Any = super().snapshot()
        view.version = self.version
        return view  # type: ignore[no-any-return]  # Any, to look inside


@breaks("MO02", "ER08")
class SnapshotTakesWrites(MemoryBackend):
    """Who writes to a snapshot is not told that it goes nowhere."""

    def snapshot(self) -> ContextBackend:
        view: Any = super().snapshot()
        view._is_read_only = False
        return view  # type: ignore[no-any-return]  # Any, to look inside


@breaks("MO02", "ER05")
class SnapshotNeverCloses(MemoryBackend):
    """A snapshot can be read after its close."""

    def snapshot(self) -> ContextBackend:
        view: Any = super().snapshot()
        view.close = lambda: None
        return view  # type: ignore[no-any-return]  # Any, to look inside
