"""Faults of deleting."""

import attrs

from context_core.records import BatchRequest, Deleted, DeleteRequest, LoadRequest, Outcome, StoredDocument
from context_core_memory import MemoryBackend
from faulty_drivers.base_drivers import state_of, wait_for_others
from faulty_drivers.fault import breaks


def _deleted(request: BatchRequest) -> list[str]:
    return [each.workflow_id for each in request.operations if isinstance(each, DeleteRequest)]


@breaks("DE02", "RT13")
class SiblingsGoToo(MemoryBackend):
    """A delete takes every workflow whose id begins so."""

    def batch(self, request: BatchRequest) -> list[Outcome]:
        outcomes = super().batch(request)
        histories = state_of(self).histories
        for prefix in _deleted(request):
            for workflow_id in [each for each in histories if each.startswith(f"{prefix}-") or each[:-1] == prefix]:
                del histories[workflow_id]
        return outcomes


@breaks("DE01")
class DeletedContentIsKept(MemoryBackend):
    """A delete moves the rows to where no call looks."""

    def batch(self, request: BatchRequest) -> list[Outcome]:
        rows = [repr(state_of(self).versions(workflow_id)) for workflow_id in _deleted(request)]
        outcomes = super().batch(request)
        vars(state_of(self)).setdefault("moved", []).extend(rows)
        return outcomes


@breaks("DE01", "DE02", "VE08")
class OldVersionsOfTheDeletedLoad(MemoryBackend):
    """Only the head goes; who knows an old version's number can load it still."""

    _kept: dict[tuple[str, int], StoredDocument] = {}  # noqa: RUF012  # shared, as a database is

    def batch(self, request: BatchRequest) -> list[Outcome]:
        for workflow_id in _deleted(request):
            for version in state_of(self).versions(workflow_id):
                self._kept[self._name + workflow_id, version.header.version] = version.document
        return super().batch(request)

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        found = super().load(request)
        places = [(self._name + workflow_id, request.version or 0) for workflow_id in request.workflow_ids]
        return found or [self._kept[place] for place in places if place in self._kept]


@breaks("DE02", "DE03")
class OnlyTheNewestVersionGoes(MemoryBackend):
    """A delete undoes the last save."""

    def batch(self, request: BatchRequest) -> list[Outcome]:
        older = {workflow_id: state_of(self).histories.get(workflow_id) for workflow_id in _deleted(request)}
        outcomes = super().batch(request)
        for workflow_id, history in older.items():
            if history is not None and len(history.versions) > 1:
                state_of(self).histories[workflow_id] = attrs.evolve(history, versions=history.versions[:-1])
        return outcomes


@breaks("DE03")
class DeletingTwiceIsTrue(MemoryBackend):
    """What was deleted before counts as having been there."""

    def batch(self, request: BatchRequest) -> list[Outcome]:
        tombstones = set(state_of(self).tombstones)
        return [
            Deleted(existed=outcome.existed or operation.workflow_id in tombstones)
            if isinstance(operation, DeleteRequest) and isinstance(outcome, Deleted)
            else outcome
            for operation, outcome in zip(request.operations, super().batch(request), strict=True)
        ]


@breaks("DE03", "VE05")
class SecondDeleteForgetsTheNumber(MemoryBackend):
    """Deleting what is gone writes a tombstone of version 0."""

    def batch(self, request: BatchRequest) -> list[Outcome]:
        gone = [workflow_id for workflow_id in _deleted(request) if workflow_id in state_of(self).tombstones]
        outcomes = super().batch(request)
        tombstones = state_of(self).tombstones
        for workflow_id in gone:
            tombstones[workflow_id] = attrs.evolve(tombstones[workflow_id], last_version=0)
        return outcomes


@breaks("DE04")
class DeletesRowByRow(MemoryBackend):
    """Readers see a history shrink before it is gone."""

    def batch(self, request: BatchRequest) -> list[Outcome]:
        for workflow_id in _deleted(request):
            while len(state_of(self).versions(workflow_id)) > 1:
                state_of(self).forget(workflow_id, 1)
                wait_for_others()
        return super().batch(request)


@breaks("DE01", "DE02")
class DeletedStaysInLists(MemoryBackend):
    """An index still knows what was deleted: lists and searches show it."""

    def batch(self, request: BatchRequest) -> list[Outcome]:
        histories = {workflow_id: state_of(self).histories.get(workflow_id) for workflow_id in _deleted(request)}
        outcomes = super().batch(request)
        for workflow_id, history in histories.items():
            if history is not None:
                state_of(self).histories[f"{workflow_id} (deleted)"] = history
        return outcomes
