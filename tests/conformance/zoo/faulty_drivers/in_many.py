"""Faults that few rows do not show: something is done for a page of an engine, and not for what lies behind it."""

import attrs

from context_core.maintenance import PruneRequest, PruneResult
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
    VersionRequest,
    Want,
)
from context_core_memory import MemoryBackend
from faulty_drivers.base_drivers import Querying, put_versions, state_of
from faulty_drivers.fault import breaks


@breaks("ID01", "ID02", "BA02")
class AThousandKeysAreKnown(MemoryBackend):
    """Of the keys of a workflow only the newest thousand are looked at."""

    def save(self, request: SaveRequest) -> SavedVersion:
        versions = state_of(self).versions(request.record.workflow_id)
        key = request.idempotency
        if key is not None and any(
            version.idempotency is not None and version.idempotency.key == key.key for version in versions[:-1_000]
        ):
            request = attrs.evolve(request, idempotency=None)
        return super().save(request)


@breaks("VE05", "CA06", "DE02")
class TombstonesAreListedByOnePage(MemoryBackend):
    """A list of tombstones ends after five hundred."""

    def query(self, request: QueryRequest) -> Selection:
        found = super().query(request)
        return attrs.evolve(found, tombstones=found.tombstones[:500])


@breaks("DE01", "DE02", "VE05", "DE04")
class ADeleteRemovesAThousandVersions(MemoryBackend):
    """What a workflow has beyond its newest thousand versions is there again when it is saved anew."""

    def batch(self, request: BatchRequest) -> list[Outcome]:
        state = state_of(self)
        deleted = {each.workflow_id for each in request.operations if isinstance(each, DeleteRequest)}
        left = {workflow_id: state.versions(workflow_id)[:-1_000] for workflow_id in deleted}
        outcomes = super().batch(request)
        self._left = getattr(self, "_left", {}) | {name: rest for name, rest in left.items() if rest}
        for operation in request.operations:
            if isinstance(operation, SaveRequest) and operation.record.workflow_id in self._left:
                workflow_id = operation.record.workflow_id
                versions = [*self._left.pop(workflow_id), *state_of(self).versions(workflow_id)]
                put_versions(self, workflow_id, versions)
        return outcomes


@breaks("BA01", "BA04", "BA06", "CA07")
class ABatchIsWrittenByFiveHundreds(MemoryBackend):
    """Each five hundred operations are a transaction of their own."""

    def batch(self, request: BatchRequest) -> list[Outcome]:
        operations = list(request.operations)
        parts = [operations[start : start + 500] for start in range(0, len(operations), 500)]
        return [
            outcome
            for part in parts or [[]]
            for outcome in super(type(self), self).batch(BatchRequest(operations=part))
        ]


@breaks("QU01", "QU09", "QU11", "BA08")
class ResultsEndAtTenThousand(Querying):
    """A search without a limit has one."""

    def asked(self, request: QueryRequest) -> QueryRequest:
        return attrs.evolve(request, limit=10_000) if request.limit is None else request


@breaks("QU01", "QU10", "QU11")
class AThousandRowsAreLookedAt(MemoryBackend):
    """Conditions are asked of the newest thousand rows alone."""

    def query(self, request: QueryRequest) -> Selection:
        if not request.conditions:
            return super().query(request)
        newest = super().query(QueryRequest(want=Want.HEADERS, limit=1_000)).headers
        state, ids = state_of(self), {header.workflow_id for header in newest}
        kept = dict(state.histories)
        try:
            for workflow_id in kept.keys() - ids:
                del state.histories[workflow_id]
            return super().query(request)
        finally:
            state.histories.clear()
            state.histories.update(kept)


@breaks("QU01", "QU10", "QU11")
class InTakesAThousandValues(Querying):
    """Of the values of `in` those behind the first thousand are dropped."""

    def asked(self, request: QueryRequest) -> QueryRequest:
        conditions = [
            attrs.evolve(each, value=each.value[:1_000]) if each.operator == "in" else each
            for each in request.conditions
        ]
        return attrs.evolve(request, conditions=conditions)


@breaks("VE01", "VE03", "VE07", "VE08", "VE12")
class AHistoryEndsAtAThousand(MemoryBackend):
    """A list of versions without a limit has one."""

    def version(self, request: VersionRequest) -> Selection:
        if request.limit is None and request.want is not Want.COUNT:
            request = attrs.evolve(request, limit=1_000)
        return super().version(request)


@breaks("BA08", "BA05", "QU09")
class ALoadTakesFiveThousandIds(MemoryBackend):
    """Ids behind the first five thousand are left out."""

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        return super().load(request._replace(workflow_ids=list(request.workflow_ids)[:5_000]))


@breaks("RE01", "VE07")
class APruneRemovesAThousandVersions(MemoryBackend):
    """It names all versions that go, and removes a thousand of each workflow."""

    def prune(self, request: PruneRequest) -> PruneResult:
        named = super().prune(attrs.evolve(request, dry_run=True))
        if not request.dry_run:
            for pruned in named.ranges:
                versions = state_of(self).versions(pruned.workflow_id)
                put_versions(self, pruned.workflow_id, versions[min(pruned.last - pruned.first + 1, 1_000) :])
        return named
