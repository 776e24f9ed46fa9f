"""Faults of restores: keys of their own batch, and numbers that pass through a float."""

import attrs

from context_core.records import BatchRequest, Operation, Outcome, RestoreRequest, SaveRequest
from context_core_memory import MemoryBackend
from faulty_drivers.base_drivers import Writing, state_of
from faulty_drivers.fault import breaks


class _Rewriting(MemoryBackend):
    """The operations of a batch pass through `rewritten`, each with those before it."""

    def rewritten(self, operation: Operation, earlier: list[Operation]) -> Operation:
        raise NotImplementedError

    def batch(self, request: BatchRequest) -> list[Outcome]:
        operations = list(request.operations)
        changed = [self.rewritten(operation, operations[:place]) for place, operation in enumerate(operations)]
        return super().batch(BatchRequest(operations=changed))


@breaks("MO01", "ID01", "ID02", "BA06")
class RestoresOverlookKeysOfTheirBatch(_Rewriting):
    """A restore drops its key where an earlier item of the batch used it."""

    def rewritten(self, operation: Operation, earlier: list[Operation]) -> Operation:
        if isinstance(operation, RestoreRequest) and operation.idempotency is not None:
            keys = [getattr(each, "idempotency", None) for each in earlier]
            if operation.idempotency in keys:
                return attrs.evolve(operation, idempotency=None)
        return operation


@breaks("CA01", "MO01")
class ExpectedVersionsAreFloats(Writing):
    """Beyond 2^53 the neighbour of a head is taken for the head."""

    def operation(self, operation: Operation) -> Operation:
        if isinstance(operation, SaveRequest) and operation.expected_version is not None:
            versions = state_of(self).versions(operation.record.workflow_id)
            head = versions[-1].header.version if versions else 0
            if float(operation.expected_version) == float(head):
                return attrs.evolve(operation, expected_version=head)
        return operation


@breaks("MO01", "RT01")
class RestoredFieldsAreFloats(Writing):
    """Epic and story pass through a float on their way in, where they are restored."""

    def operation(self, operation: Operation) -> Operation:
        if not isinstance(operation, RestoreRequest):
            return operation
        record = operation.record
        story = None if record.story_num is None else min(int(float(record.story_num)), 2**63 - 1)
        epic = min(int(float(record.epic_num)), 2**63 - 1)
        return attrs.evolve(operation, record=attrs.evolve(record, epic_num=epic, story_num=story))
