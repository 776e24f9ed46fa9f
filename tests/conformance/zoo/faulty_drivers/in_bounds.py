"""Faults of numbers that are cut, of sizes, of the order of refusals, and of what earlier items of a batch did."""

from collections.abc import Callable
from typing import Any, TypeVar

import attrs
import orjson

from context_core import LimitExceededError, VersionConflictError
from context_core.records import (
    BatchRequest,
    ContextRecord,
    DeleteRequest,
    LoadRequest,
    Outcome,
    QueryRequest,
    RestoreRequest,
    SavedVersion,
    SaveRequest,
    Selection,
    StoredDocument,
    VersionHeader,
    VersionRequest,
    Want,
)
from context_core_memory import MemoryBackend
from faulty_drivers.base_drivers import Querying, Showing, Writing, state_of
from faulty_drivers.fault import breaks

Operation = Any
T = TypeVar("T")


@breaks("CA01", "CA07")
class ExpectedVersionsWrapAt32Bits(Writing):
    """A writer that expects version 2^32 + 1 is taken for one that expects version 1."""

    def operation(self, operation: Operation) -> Operation:
        if isinstance(operation, SaveRequest | DeleteRequest) and operation.expected_version is not None:
            operation = attrs.evolve(operation, expected_version=operation.expected_version % 2**32)
        return super().operation(operation)


@breaks("VE03", "VE04", "VE09")
class LoadedVersionsWrapAt31Bits(MemoryBackend):
    """Version 2^31 + 1 is looked for as version 1."""

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        version = request.version
        return super().load(request if version is None else request._replace(version=version % 2**31))


@breaks("QU11", "VE07")
class LimitsWrapAt32Bits(Querying):
    """A limit of 2^32 + 1 gives one row."""

    def asked(self, request: QueryRequest) -> QueryRequest:
        return request if request.limit is None else attrs.evolve(request, limit=request.limit % 2**32)


@breaks("QU11", "VE07")
class OffsetsOfHistoriesWrapAt32Bits(MemoryBackend):
    """An offset of 2^32 + 1 leaves out one version."""

    def version(self, request: VersionRequest) -> Selection:
        return super().version(attrs.evolve(request, offset=request.offset % 2**32))


@breaks("RT01", "QU01", "QU10", "VE12")
class EpicsAreFloats(Showing):
    """Headers show epics as an engine without integers keeps them: rounded beyond 2^53."""

    def header(self, header: VersionHeader) -> VersionHeader:
        return attrs.evolve(header, epic_num=int(float(header.epic_num)))


@breaks("RT01", "QU01", "QU10", "VE12")
class EpicsAreComparedAsFloats(Querying):
    """A condition on an epic beyond 2^53 finds its neighbours."""

    def asked(self, request: QueryRequest) -> QueryRequest:
        conditions = [
            attrs.evolve(each, value=int(float(each.value)))
            if each.field == "epic_num" and isinstance(each.value, int)
            else each
            for each in request.conditions
        ]
        return attrs.evolve(request, conditions=conditions)


@breaks("MO01", "VE01", "VE03")
class RestoredNumbersAreCut(Writing):
    """A version that is imported beyond 2^32 gets a small number."""

    def operation(self, operation: Operation) -> Operation:
        if isinstance(operation, RestoreRequest):
            operation = attrs.evolve(operation, version=operation.version % 2**32)
        return super().operation(operation)


@breaks("VE03", "VE07", "VE09", "CA01", "VE12")
class StoryVersionsAreOrderedAsTexts(MemoryBackend):
    """Version 10 of a story stands before version 9."""

    def version(self, request: VersionRequest) -> Selection:
        found = super().version(request)
        if isinstance(request.of, str) or not found.documents:
            return found
        return attrs.evolve(found, documents=sorted(found.documents, key=lambda each: str(each.version)))


@breaks("RT15")
class SizesAreCountedInCharacters(Writing):
    """A document of letters beyond ASCII may be twice as large as the limit."""

    def record(self, record: ContextRecord) -> ContextRecord:
        actual = len(record.document.decode("utf-8", "replace"))
        if actual > MemoryBackend.limits.document_bytes:
            raise LimitExceededError(what="the document", actual=actual, limit=MemoryBackend.limits.document_bytes)
        return super().record(record)

    def save(self, request: SaveRequest) -> SavedVersion:
        return _unlimited(self, lambda: super(SizesAreCountedInCharacters, self).save(request))

    def batch(self, request: BatchRequest) -> list[Outcome]:
        return _unlimited(self, lambda: super(SizesAreCountedInCharacters, self).batch(request))


def _unlimited(backend: Any, action: Callable[[], T]) -> T:
    limits = backend.limits
    backend.limits = attrs.evolve(limits, document_bytes=2**62)
    try:
        return action()
    finally:
        backend.limits = limits


@breaks("RT15", "ID02", "CA01", "VE04", "ER02")
class ConflictsAreToldBeforeMissingWorkflows(MemoryBackend):
    """The expected version is looked at before the workflow must exist."""

    def save(self, request: SaveRequest) -> SavedVersion:
        workflow_id, expected = request.record.workflow_id, request.expected_version
        if request.must_exist and expected is not None and not state_of(self).versions(workflow_id):
            raise VersionConflictError(workflow_id=workflow_id, expected=expected, actual=0)
        return super().save(request)


@breaks("RT15", "ID02", "CA01", "VE04", "ER02", "BA01")
class ABatchLooksAtConflictsFirst(MemoryBackend):
    """In a batch the expected version is looked at before everything else."""

    def batch(self, request: BatchRequest) -> list[Outcome]:
        operations = list(request.operations)
        if len(operations) == 1 and isinstance(operations[0], SaveRequest):
            only = operations[0]
            versions = state_of(self).versions(only.record.workflow_id)
            actual = versions[-1].header.version if versions else 0
            if only.expected_version not in (None, actual) and only.expected_version is not None:
                raise VersionConflictError(
                    workflow_id=only.record.workflow_id, expected=only.expected_version, actual=actual
                )
        return super().batch(BatchRequest(operations=operations))


@breaks("RT15", "MO01")
class RestoresForgetTheSize(Writing):
    """A restore takes a document of any size."""

    def batch(self, request: BatchRequest) -> list[Outcome]:
        operations = list(request.operations)
        if operations and all(isinstance(each, RestoreRequest) for each in operations):
            whole = BatchRequest(operations=operations)
            return _unlimited(self, lambda: super(RestoresForgetTheSize, self).batch(whole))
        return super().batch(BatchRequest(operations=operations))


@breaks("BA02", "BA06", "ID01", "DE01")
class KeysOutliveADeleteInTheSameBatch(MemoryBackend):
    """A save behind a delete of its workflow is a conflict with a key that the delete removes."""

    def batch(self, request: BatchRequest) -> list[Outcome]:
        operations, deleted = list(request.operations), set()
        for each in operations:
            if isinstance(each, DeleteRequest):
                deleted.add(each.workflow_id)
            elif isinstance(each, SaveRequest) and each.idempotency and each.record.workflow_id in deleted:
                self.save(attrs.evolve(each, expected_version=None))
        return super().batch(BatchRequest(operations=operations))


@breaks("BA02", "ID01", "ID02", "BA01")
class KeysOfABatchAreLookedAtBeforeIt(MemoryBackend):
    """A key that an earlier item of the batch brought is not known to a later one."""

    def batch(self, request: BatchRequest) -> list[Outcome]:
        seen: set[tuple[str, str]] = set()
        operations: list[Operation] = []
        for each in request.operations:
            if isinstance(each, SaveRequest) and each.idempotency is not None:
                pair = each.record.workflow_id, each.idempotency.key
                operations.append(attrs.evolve(each, idempotency=None) if pair in seen else each)
                seen.add(pair)
            else:
                operations.append(each)
        return super().batch(BatchRequest(operations=operations))


@breaks("PA01", "PA03")
class PlacesAreToldByTheFirstField(MemoryBackend):
    """A page of an order by several fields begins behind all rows that equal its place in the first of them."""

    def query(self, request: QueryRequest) -> Selection:
        if request.after is None or len(request.after) < 3:
            return super().query(request)
        field = request.order[0].field
        found = super().query(attrs.evolve(request, want=Want.RECORDS, limit=None, offset=0))
        kept = [
            (header, document)
            for header, document in zip(found.headers, found.documents, strict=True)
            if getattr(header, field) != request.after[0]
        ][request.offset :][: request.limit]
        return Selection(
            headers=() if request.want is Want.DOCUMENTS else [header for header, _ in kept],
            documents=() if request.want is Want.HEADERS else [document for _, document in kept],
            count=len(kept),
        )


@breaks("QU04", "QU05")
class PathsStepIntoLists(Querying):
    """A key below a list is looked for in the objects of the list."""

    def query(self, request: QueryRequest) -> Selection:
        paths = [each for each in request.conditions if each.path and each.operator == "eq"]
        if not paths or request.want is not Want.DOCUMENTS:
            return super().query(request)
        rest = attrs.evolve(request, conditions=[each for each in request.conditions if each not in paths])
        found = [
            document
            for document in super().query(rest).documents
            if all(each.value in _reached(orjson.loads(document.document)[each.field], each.path) for each in paths)
        ]
        return Selection(documents=found, count=len(found))


def _reached(value: Any, path: Any) -> list[Any]:
    """What a path leads to, through every object of a list."""
    if not path:
        return [value]
    if isinstance(value, list):
        return [found for item in value for found in _reached(item, path) if isinstance(item, dict)]
    return _reached(value[path[0]], path[1:]) if isinstance(value, dict) and path[0] in value else [None]
