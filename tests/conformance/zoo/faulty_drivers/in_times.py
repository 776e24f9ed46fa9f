"""Faults of time."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Self

import attrs

from context_core import BackendURL, VersionHeader
from context_core.conditions import Condition
from context_core.maintenance import PruneRequest, PruneResult
from context_core.model import utc_now
from context_core.records import (
    BatchRequest,
    Clock,
    ContextRecord,
    LoadRequest,
    Outcome,
    QueryRequest,
    RestoreRequest,
    SavedVersion,
    SaveRequest,
    Selection,
    StoredDocument,
)
from context_core_memory import MemoryBackend
from faulty_drivers.base_drivers import Querying, Showing, Writing, put_versions, state_of
from faulty_drivers.fault import breaks


@breaks("VE08")
class AsOfLeavesItsMomentOut(MemoryBackend):
    """A version saved at the very time that is asked for is not yet there."""

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        if request.as_of is not None:
            request = request._replace(as_of=request.as_of - timedelta(microseconds=1))
        return super().load(request)


@breaks("VE08")
class AsOfTakesTheFirstOfEqualTimes(MemoryBackend):
    """Of versions saved at one time the lowest is given."""

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        as_of, found = request.as_of, []
        if as_of is None:
            return super().load(request)
        for versions in (state_of(self).versions(workflow_id) for workflow_id in request.workflow_ids):
            past = [version for version in versions if version.header.saved_at <= as_of]
            found += [max(past, key=lambda version: version.header.saved_at).document] if past else []
        return found


@breaks("VE08")
class BeforeTheFirstIsTheFirst(MemoryBackend):
    """Before a workflow was saved it is shown as it was saved first."""

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        return super().load(request) or (super().load(request._replace(as_of=None, version=1)) if request.as_of else [])


@breaks("VE08", "TI02")
class AsOfGoesByUpdatedAt(MemoryBackend):
    """What counts as the time of a version is its writer's, not the store's."""

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        as_of = request.as_of
        if as_of is None:
            return super().load(request)
        histories = [state_of(self).versions(workflow_id) for workflow_id in request.workflow_ids]
        past = [[version for version in each if version.header.updated_at <= as_of] for each in histories]
        return [each[-1].document for each in past if each]


@breaks("VE08", "TI02")
class SavedAtGoesBackWithTheClock(MemoryBackend):
    """A version is stamped with the clock's time, also if that lies before its predecessor's."""

    def save(self, request: SaveRequest) -> SavedVersion:
        saved = super().save(request)
        versions, now = state_of(self).versions(request.record.workflow_id), self._clock()
        if not saved.is_replay:
            newest = attrs.evolve(versions[-1], header=attrs.evolve(versions[-1].header, saved_at=now))
            put_versions(self, request.record.workflow_id, [*versions[:-1], newest])
        return saved if saved.is_replay else attrs.evolve(saved, saved_at=now)


@breaks("TI02", "VE08")
class DeletedAtGoesBackWithTheClock(MemoryBackend):
    """A tombstone is stamped with the clock's time, also if that lies before what was deleted."""

    def batch(self, request: BatchRequest) -> list[Outcome]:
        before = set(state_of(self).tombstones.items())
        outcomes, tombstones = super().batch(request), state_of(self).tombstones
        for workflow_id, tombstone in set(tombstones.items()) - before:
            tombstones[workflow_id] = attrs.evolve(tombstone, deleted_at=self._clock())
        return outcomes


@breaks("TI02", "VE08")
class OneWorkflowHoldsTheClockOfAll(MemoryBackend):
    """No version is saved earlier than the newest of the whole store."""

    def save(self, request: SaveRequest) -> SavedVersion:
        histories = state_of(self).histories.values()
        newest = max((history.versions[-1].header.saved_at for history in histories), default=self._clock())
        true_clock = self._clock
        self._clock = lambda: max(true_clock(), newest)
        try:
            return super().save(request)
        finally:
            self._clock = true_clock


@breaks("TI01")
class ClockIsItsOwn(MemoryBackend):
    """It does not ask the clock that it was given."""

    @classmethod
    def from_url(cls, url: BackendURL, *, clock: Clock = utc_now) -> Self:
        del clock
        return super().from_url(url)


def _local_time() -> datetime:
    return datetime.now().replace(tzinfo=UTC)  # noqa: DTZ005  # naive: that is the fault


@breaks("TI01", "TI02")
class ClockIsLocal(MemoryBackend):
    """The time of the zone where it runs is stored as UTC."""

    @classmethod
    def from_url(cls, url: BackendURL, *, clock: Clock = utc_now) -> Self:
        return super().from_url(url, clock=_local_time if clock is utc_now else clock)


@breaks("TI01", "RT09")
class TimesAreShownInAZone(Showing):
    """Times come back in the zone of the server, as from a column with time zone."""

    def header(self, header: VersionHeader) -> VersionHeader:
        return attrs.evolve(header, saved_at=header.saved_at.astimezone(timezone(timedelta(hours=2))))


@breaks("TI01", "RT09")
class SavedAtHasMilliseconds(Showing):
    """The time of a save loses its last three digits."""

    def header(self, header: VersionHeader) -> VersionHeader:
        moment = header.saved_at
        return attrs.evolve(header, saved_at=moment.replace(microsecond=moment.microsecond // 1_000 * 1_000))


@breaks("RT09", "QU01")
class CreatedAtHasSeconds(Writing):
    """The indexed time of creation loses its fraction, as in a DATETIME of MySQL."""

    def record(self, record: ContextRecord) -> ContextRecord:
        return attrs.evolve(record, created_at=record.created_at.replace(microsecond=0))


@breaks("RT09", "TI01")
class TimesAreFloats(Writing):
    """Times are kept as seconds in a double, which far from 1970 are not exact."""

    def record(self, record: ContextRecord) -> ContextRecord:
        seconds: Any = (record.created_at - datetime(1, 1, 1, tzinfo=UTC)).total_seconds()
        rounded = datetime(1, 1, 1, tzinfo=UTC) + timedelta(seconds=float(f"{seconds:.15g}"))
        return attrs.evolve(record, created_at=rounded)


def _misread(moment: datetime) -> datetime:
    """What becomes of an instant that is written in the local zone and read as UTC; most zones are not UTC."""
    return moment.astimezone().replace(tzinfo=UTC)


@breaks("TI02", "RE02")
class PruneLivesInAZone(MemoryBackend):
    """A prune compares with the local time."""

    def prune(self, request: PruneRequest) -> PruneResult:
        since = request.inactive_since
        return super().prune(request if since is None else attrs.evolve(request, inactive_since=_misread(since)))


@breaks("TI02", "TI01")
class TombstonesLiveInAZone(MemoryBackend):
    """The time of a tombstone is stored as the local one."""

    def query(self, request: QueryRequest) -> Selection:
        found = super().query(request)
        gone = [attrs.evolve(each, deleted_at=_misread(each.deleted_at)) for each in found.tombstones]
        return attrs.evolve(found, tombstones=gone)


@breaks("TI02", "QU08")
class FiltersForgetTheFold(Querying):
    """A time of a filter is turned into the local one and back, by which the second of two equal hours becomes the first."""

    def asked(self, request: QueryRequest) -> QueryRequest:
        return attrs.evolve(request, conditions=[self._folded(each) for each in request.conditions])

    def _folded(self, condition: Condition) -> Condition:
        if not isinstance(condition.value, datetime) or not datetime(2, 1, 1, tzinfo=UTC) < condition.value < _LATE:
            return condition
        local = condition.value.astimezone().replace(tzinfo=None, fold=0)
        return attrs.evolve(condition, value=local.astimezone(UTC))


_LATE: Any = datetime(9998, 1, 1, tzinfo=UTC)


@breaks("TI02", "MO01")
class RestoresLiveInAZone(Writing):
    """A restored version was saved at the local time of that instant."""

    def operation(self, operation: Any) -> Any:
        if not isinstance(operation, RestoreRequest):
            return super().operation(operation)
        return super().operation(attrs.evolve(operation, saved_at=_misread(operation.saved_at)))
