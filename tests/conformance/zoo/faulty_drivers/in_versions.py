"""Faults of version numbers, of what stands behind them, and of conditions on them."""

import attrs

from context_core import BackendBusyError, ContextNotFoundError, VersionConflictError
from context_core.records import (
    BatchRequest,
    DeleteRequest,
    LoadRequest,
    Operation,
    Outcome,
    SavedVersion,
    SaveRequest,
    StoredDocument,
)
from context_core_memory import MemoryBackend, _write
from faulty_drivers.base_drivers import Writing, put_versions, state_of, wait_for_others
from faulty_drivers.fault import breaks


@breaks("VE05", "CA06")
class NumbersStartAgain(MemoryBackend):
    """A workflow that is saved again after its delete starts at version 1."""

    def batch(self, request: BatchRequest) -> list[Outcome]:
        outcomes = super().batch(request)
        state_of(self).tombstones.clear()
        return outcomes


@breaks("VE06")
class IdenticalContentIsNotSaved(MemoryBackend):
    """A save of what the head holds already writes nothing."""

    def save(self, request: SaveRequest) -> SavedVersion:
        versions = state_of(self).versions(request.record.workflow_id)
        if versions and versions[-1].document.document == request.record.document and request.expected_version is None:
            return SavedVersion(version=versions[-1].header.version, saved_at=versions[-1].header.saved_at)
        return super().save(request)


@breaks("VE01")
class NumbersGrowAcrossWorkflows(MemoryBackend):
    """Versions are numbered over the whole store, as by a sequence: a workflow's own leave gaps."""

    def save(self, request: SaveRequest) -> SavedVersion:
        saved = super().save(request)
        if saved.is_replay or saved.version > 1:
            return saved
        total = sum(len(history.versions) for history in state_of(self).histories.values())
        (version,) = state_of(self).versions(request.record.workflow_id)
        header = attrs.evolve(version.header, version=total)
        document = version.document._replace(version=total)
        put_versions(self, request.record.workflow_id, [attrs.evolve(version, header=header, document=document)])
        return attrs.evolve(saved, version=total)


@breaks("VE02")
class HistoryIsRewritten(MemoryBackend):
    """A save brings the row before it up to date."""

    def save(self, request: SaveRequest) -> SavedVersion:
        saved = super().save(request)
        versions = state_of(self).versions(request.record.workflow_id)
        if len(versions) > 1:
            versions[-2] = attrs.evolve(
                versions[-2], header=attrs.evolve(versions[-2].header, status=request.record.status)
            )
        return saved


@breaks("VE02")
class HeadsAreAsYoungAsTheirVersion(MemoryBackend):
    """A workflow seems to have been created when it was last saved."""

    def save(self, request: SaveRequest) -> SavedVersion:
        saved = super().save(request)
        histories = state_of(self).histories
        history = histories[request.record.workflow_id]
        histories[request.record.workflow_id] = attrs.evolve(history, created_at=request.record.created_at)
        return saved


@breaks("VE02", "QU10")
class HeadsAreAsOldAsTheirOldestClaim(MemoryBackend):
    """A workflow seems to have been created at the earliest time that any of its versions says."""

    def save(self, request: SaveRequest) -> SavedVersion:
        saved = super().save(request)
        history = state_of(self).histories[request.record.workflow_id]
        earliest = min(history.created_at, request.record.created_at)
        state_of(self).histories[request.record.workflow_id] = attrs.evolve(history, created_at=earliest)
        return saved


@breaks("VE03")
class NewestIsLastUpdated(MemoryBackend):
    """The head is the version that was updated last, whatever its number."""

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        if request.version is not None or request.as_of is not None:
            return super().load(request)
        histories = [state_of(self).versions(workflow_id) for workflow_id in request.workflow_ids]
        return [max(each, key=lambda version: version.header.updated_at).document for each in histories if each]


@breaks("VE04", "VE03")
class MissingVersionIsTheNewest(MemoryBackend):
    """Who asks for a version that does not exist gets the head."""

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        return super().load(request) or super().load(request._replace(version=None))


@breaks("VE04", "VE03")
class NegativeVersionsCountFromTheEnd(MemoryBackend):
    """Version -1 is the newest, as in a list."""

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        if request.version is None or request.version >= 0:
            return super().load(request)
        histories = [state_of(self).versions(workflow_id) for workflow_id in request.workflow_ids]
        return [each[request.version].document for each in histories if len(each) >= -request.version]


@breaks("CA01")
class ExpectedVersionIsIgnored(MemoryBackend):
    """The last writer always wins."""

    def save(self, request: SaveRequest) -> SavedVersion:
        return super().save(attrs.evolve(request, expected_version=None))


@breaks("CA02")
class ExpectedZeroIsNoCondition(Writing):
    """0 counts as nothing given, as in `if expected_version:`."""

    def operation(self, operation: Operation) -> Operation:
        if isinstance(operation, SaveRequest):
            return attrs.evolve(operation, expected_version=operation.expected_version or None)
        return operation


@breaks("CA01")
class NewerExpectationIsTaken(MemoryBackend):
    """Only writers that saw less than the head are refused."""

    def save(self, request: SaveRequest) -> SavedVersion:
        head = len(state_of(self).versions(request.record.workflow_id))
        if request.expected_version is not None and request.expected_version > head:
            request = attrs.evolve(request, expected_version=None)
        return super().save(request)


@breaks("CA07", "DE05")
class DeleteExpectsNothing(Writing):
    """Deletes ignore the version that they expect."""

    def operation(self, operation: Operation) -> Operation:
        return attrs.evolve(operation, expected_version=None) if isinstance(operation, DeleteRequest) else operation


@breaks("CA07", "BA06")
class BatchExpectsNothing(MemoryBackend):
    """Within a batch a save ignores the version that it expects."""

    def batch(self, request: BatchRequest) -> list[Outcome]:
        return super().batch(
            BatchRequest(
                operations=[
                    attrs.evolve(each, expected_version=None) if isinstance(each, SaveRequest) else each
                    for each in request.operations
                ]
            )
        )


@breaks("CA01")
class ConflictTellsNoFacts(MemoryBackend):
    """A conflict names the expected version twice."""

    def save(self, request: SaveRequest) -> SavedVersion:
        try:
            return super().save(request)
        except VersionConflictError as error:
            raise VersionConflictError(
                workflow_id=error.workflow_id, expected=error.expected, actual=error.expected
            ) from error


@breaks("CA01", "CA08")
class ConflictIsRetriedInside(MemoryBackend):
    """A conflict is mended by taking the version that is there."""

    def save(self, request: SaveRequest) -> SavedVersion:
        try:
            return super().save(request)
        except VersionConflictError as error:
            return super().save(attrs.evolve(request, expected_version=error.actual))


@breaks("CA01", "CA08")
class ConflictIsTransient(MemoryBackend):
    """A conflict is reported as a store that is busy, so that callers retry what cannot succeed."""

    def save(self, request: SaveRequest) -> SavedVersion:
        try:
            return super().save(request)
        except VersionConflictError as error:
            raise BackendBusyError(waited_s=0) from error


@breaks("VE04", "CA01")
class UpdateBringsBackTheDeleted(MemoryBackend):
    """An update of a deleted workflow is taken for one of a living."""

    def save(self, request: SaveRequest) -> SavedVersion:
        if request.record.workflow_id in state_of(self).tombstones:
            request = attrs.evolve(request, must_exist=False)
        return super().save(request)


@breaks("VE04", "CA01")
class ExpectationComesBeforeExistence(MemoryBackend):
    """An update of what does not exist is a conflict, not a missing workflow."""

    def save(self, request: SaveRequest) -> SavedVersion:
        try:
            return super().save(request)
        except ContextNotFoundError as error:
            raise VersionConflictError(workflow_id=error.workflow_id, expected=1, actual=0) from error


@breaks("CA03", "CA04")
class ChecksThenActs(MemoryBackend):
    """The expected version is compared before the lock is taken."""

    def save(self, request: SaveRequest) -> SavedVersion:
        versions = state_of(self).versions(request.record.workflow_id)
        head = versions[-1].header.version if versions else 0
        expected = request.expected_version
        if expected is not None and expected != head:
            raise VersionConflictError(workflow_id=request.record.workflow_id, expected=expected, actual=head)
        wait_for_others()
        return super().save(attrs.evolve(request, expected_version=None))


@breaks("CA05", "CA04", "CO01")
class RacingSaveIsLost(MemoryBackend):
    """A save reads the state, and writes it back over what others wrote meanwhile."""

    def save(self, request: SaveRequest) -> SavedVersion:
        store = self._open()
        draft = store.state.draft([request.record.workflow_id])
        saved = _write.save(draft, request, self._clock, self.limits.document_bytes)
        wait_for_others()
        store.state = draft
        return saved
