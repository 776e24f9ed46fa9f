"""Faults of batches, and of loads of many."""

from collections.abc import Sequence

from context_core import ContextCoreError, ContextNotFoundError
from context_core.records import (
    BatchRequest,
    DeleteRequest,
    LoadRequest,
    Operation,
    Outcome,
    SaveRequest,
    StoredDocument,
    Tombstone,
)
from context_core_memory import MemoryBackend, _write
from context_core_memory._state import State
from faulty_drivers.base_drivers import state_of, wait_for_others
from faulty_drivers.fault import breaks


class _OwnBatches(MemoryBackend):
    """`apply_all` does the operations, under the lock."""

    def batch(self, request: BatchRequest) -> list[Outcome]:
        store = self._open_for_writing()
        with store.write_lock:
            return self.apply_all(list(request.operations))

    def apply_all(self, operations: Sequence[Operation]) -> list[Outcome]:
        return super().batch(BatchRequest(operations=operations))

    def apply_one(self, state: State, operation: Operation) -> Outcome:
        return _write.apply(state, operation, self._clock, self.limits.document_bytes)


@breaks("BA01")
class CommitsInFinally(_OwnBatches):
    """The transaction is committed however it ends."""

    def apply_all(self, operations: Sequence[Operation]) -> list[Outcome]:
        store = self._open()
        draft = store.state.draft(_ids(operations))
        try:
            return [self.apply_one(draft, operation) for operation in operations]
        finally:
            store.state = draft


@breaks("BA01")
class KeepsWhatWentBefore(_OwnBatches):
    """A batch stops at the first failure, and what stands before it is saved."""

    def apply_all(self, operations: Sequence[Operation]) -> list[Outcome]:
        return [self.apply_one(self._open().state, operation) for operation in operations]


@breaks("BA01")
class LeavesOutWhatFails(_OwnBatches):
    """A batch that meets a conflict does all the rest before it says so."""

    def apply_all(self, operations: Sequence[Operation]) -> list[Outcome]:
        outcomes, failures = [], []
        for operation in operations:
            try:
                outcomes.append(self.apply_one(self._open().state, operation))
            except ContextCoreError as error:
                failures.append(error)
        for failure in failures:
            raise failure
        return outcomes


@breaks("BA04", "CO03")
class BatchShowsAsItGrows(_OwnBatches):
    """Readers see the items of a batch one by one; only a failure is undone."""

    def apply_all(self, operations: Sequence[Operation]) -> list[Outcome]:
        store, outcomes = self._open(), []
        before = store.state.draft(_ids(operations))
        try:
            for operation in operations:
                outcomes.append(self.apply_one(store.state, operation))
                wait_for_others()
        except BaseException:
            store.state = before
            raise
        return outcomes


@breaks("BA05", "BA01")
class CommitsEveryThousand(_OwnBatches):
    """A large batch is several transactions."""

    def apply_all(self, operations: Sequence[Operation]) -> list[Outcome]:
        chunks = [operations[start : start + 1_000] for start in range(0, len(operations), 1_000)]
        return [outcome for chunk in chunks for outcome in super(CommitsEveryThousand, self).apply_all(chunk)]


@breaks("BA02", "BA06")
class DeletesComeFirst(_OwnBatches):
    """The operations of a batch are done kind by kind."""

    def apply_all(self, operations: Sequence[Operation]) -> list[Outcome]:
        places = sorted(range(len(operations)), key=lambda place: not isinstance(operations[place], DeleteRequest))
        done = dict(zip(places, super().apply_all([operations[place] for place in places]), strict=True))
        return [done[place] for place in range(len(operations))]


@breaks("BA02")
class OutcomesAreByWorkflow(_OwnBatches):
    """The outcomes of a batch come by id."""

    def apply_all(self, operations: Sequence[Operation]) -> list[Outcome]:
        outcomes = zip(_ids(operations), super().apply_all(operations), strict=True)
        return [outcome for _, outcome in sorted(outcomes, key=lambda pair: pair[0])]


@breaks("BA02")
class LastSaveOfABatchCounts(_OwnBatches):
    """Several saves of one workflow in a batch become one version."""

    def apply_all(self, operations: Sequence[Operation]) -> list[Outcome]:
        if not all(isinstance(operation, SaveRequest) for operation in operations):
            return super().apply_all(operations)
        last = dict(zip(_ids(operations), operations, strict=True))
        done = dict(zip(last, super().apply_all(list(last.values())), strict=True))
        return [done[workflow_id] for workflow_id in _ids(operations)]


@breaks("BA06", "CA07")
class ItemsDoNotSeeEachOther(_OwnBatches):
    """Every condition of a batch is held against the state before it."""

    def apply_all(self, operations: Sequence[Operation]) -> list[Outcome]:
        before = state_of(self).draft(_ids(operations))
        for operation in operations:
            if isinstance(operation, SaveRequest):
                self.apply_one(before.draft(_ids(operations)), operation)
        return super().apply_all(operations)


@breaks("BA03")
class EmptyBatchLeavesAMark(_OwnBatches):
    """Even the empty batch writes something."""

    def apply_all(self, operations: Sequence[Operation]) -> list[Outcome]:
        if not operations:
            mark = Tombstone(workflow_id="last-batch", last_version=1, deleted_at=self._clock())
            state_of(self).bury(mark)
        return super().apply_all(operations)


@breaks("BA03")
class EmptyBatchIsAnError(_OwnBatches):
    """Nothing to do is taken for a mistake."""

    def apply_all(self, operations: Sequence[Operation]) -> list[Outcome]:
        if not operations:
            raise ContextNotFoundError(workflow_id="")
        return super().apply_all(operations)


@breaks("BA08")
class LoadOfManyComesById(MemoryBackend):
    """Contexts come in the order of an index, not in the asked one."""

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        return sorted(super().load(request))


@breaks("BA08")
class LoadOfManyGivesEachOnce(MemoryBackend):
    """An id that is asked twice is given once."""

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        return list(dict.fromkeys(super().load(request)))


@breaks("BA08")
class LoadOfManyGivesUp(MemoryBackend):
    """One missing id takes all the others along."""

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        found = super().load(request)
        return found if len(found) == len(request.workflow_ids) else []


@breaks("BA05", "BA08")
class LoadOfManyIsCut(MemoryBackend):
    """Only as many ids are looked up as the engine binds parameters."""

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        return super().load(request._replace(workflow_ids=request.workflow_ids[:32_766]))


def _ids(operations: Sequence[Operation]) -> list[str]:
    return [
        operation.workflow_id
        if isinstance(operation, DeleteRequest) or not hasattr(operation, "record")
        else operation.record.workflow_id
        for operation in operations
    ]
