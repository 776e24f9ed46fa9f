"""Faults of drivers that meet damage: shown on SQLite, where damage can be done from outside."""

import attrs

from context_core import DamagedHistoryError
from context_core.maintenance import RepairRequest, RepairResult, VerifyReport
from context_core.records import (
    BatchRequest,
    Deleted,
    LoadRequest,
    Outcome,
    QueryRequest,
    Selection,
    StoredDocument,
    VersionRequest,
    Want,
)
from context_core_memory import MemoryBackend
from context_core_sqlite import SqliteBackend
from faulty_drivers.fault import breaks


@breaks("CR07")
class HalfAWorkflowDoesNotExist(SqliteBackend):
    """A workflow without its head is missing for loads, and there for histories."""

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        try:
            return super().load(request)
        except DamagedHistoryError:
            return []


@breaks("CR07")
class HalfAWorkflowHasNoHistory(SqliteBackend):
    """What is left of a workflow has an empty history."""

    def version(self, request: VersionRequest) -> Selection:
        try:
            return super().version(request)
        except DamagedHistoryError:
            return Selection()


@breaks("CR07")
class DeleteOfHalfDoesNothing(SqliteBackend):
    """A delete looks whether the workflow loads, and leaves alone what does not."""

    def batch(self, request: BatchRequest) -> list[Outcome]:
        for operation in request.operations:
            try:
                self.load(LoadRequest([getattr(operation, "workflow_id", "none")]))
            except DamagedHistoryError:
                return [Deleted(existed=False) for _ in request.operations]
        return super().batch(request)


@breaks("CR07")
class RepairOnlyTells(SqliteBackend):
    """A repair names its steps and takes none."""

    def repair(self, request: RepairRequest) -> RepairResult:
        return super().repair(attrs.evolve(request, dry_run=True))


@breaks("CR07")
class DryRunRepairs(SqliteBackend):
    """A dry run mends what it names."""

    def repair(self, request: RepairRequest) -> RepairResult:
        return super().repair(attrs.evolve(request, dry_run=False))


@breaks("CR06", "CR07")
class VerifyStopsAtTheFirst(SqliteBackend):
    """Its report holds one damage, however many there are."""

    def verify(self) -> VerifyReport:
        report = super().verify()
        return attrs.evolve(report, damages=report.damages[:1])


@breaks("CR07")
class VerifyLooksAtVersionsAlone(SqliteBackend):
    """Whatever is wrong with a whole workflow is not in its report."""

    def verify(self) -> VerifyReport:
        report = super().verify()
        versions = [damage for damage in report.damages if damage.version is not None]
        return attrs.evolve(report, damages=versions)


@breaks("CR06")
class VerifyCountsByTheNewestNumber(MemoryBackend):
    """It takes the number of each head for the number of its versions."""

    def verify(self) -> VerifyReport:
        heads = self.query(QueryRequest(want=Want.HEADERS)).headers
        return attrs.evolve(super().verify(), checked_versions=sum(head.version for head in heads))
