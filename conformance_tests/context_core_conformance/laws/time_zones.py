"""Laws of the zone that a process lives in: it changes nothing of any verb that takes a time or gives one."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from context_core import Capability
from context_core.maintenance import PrunedRange
from context_core.records import DeleteRequest, RestoreTombstoneRequest
from context_core_conformance.promises import promise
from context_core_conformance.restoring import a_restore, tombstones, whole
from context_core_conformance.samples import EPOCH, TickingClock, a_context
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Store, apply, headers_of

ZONES: Final = ("Pacific/Kiritimati", "America/St_Johns", "UTC", "XYZ+23:59")

HOUR: Final = timedelta(hours=1)
AUTUMN: Final = datetime(2025, 11, 2, 6, 30, tzinfo=UTC)
"""Half an hour into the hour that New York repeats; an hour earlier its clocks show the same time."""

MoveTo = Callable[[str], None]


class ProcessZoneLaws:
    @pytest.fixture
    def move_to(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[MoveTo]:
        """Moves this process to a local time zone; its own comes back."""
        if not hasattr(time, "tzset"):
            pytest.skip("this platform cannot change a process's time zone")
        with monkeypatch.context() as patch:

            def move(zone: str) -> None:
                patch.setenv("TZ", zone)
                time.tzset()

            yield move
        time.tzset()

    @promise("TI02", "RE01", "RE02")
    @pytest.mark.parametrize("zone", ZONES)
    def test_prune_looks_at_instants_in_any_zone(self, subject: Subject, move_to: MoveTo, zone: str) -> None:
        """What was last saved before a time is the same wherever the process is, to the microsecond."""
        subject.requires(Capability.PRUNE)
        move_to(zone)
        clock = TickingClock()
        store = subject.open(clock=clock)
        for name in ("first", "second", "third"):
            store.save_contexts([a_context(name), a_context(name)])
            clock.advance(3600)
        for hours, expected in ((0, []), (1, ["first"]), (2, ["first", "second"]), (3, ["first", "second", "third"])):
            since = EPOCH + HOUR * hours
            gone = tuple(PrunedRange(workflow_id=name, first=1, last=1) for name in expected)
            assert store.prune(inactive_since=since, dry_run=True).ranges == gone
            later = tuple(
                PrunedRange(workflow_id=name, first=1, last=1) for name in ("first", "second", "third")[: hours + 1]
            )
            assert store.prune(inactive_since=since + timedelta(microseconds=1), dry_run=True).ranges == later
        store.prune(inactive_since=EPOCH + HOUR)
        assert [len(store.history(name)) for name in ("first", "second", "third")] == [1, 2, 2]

    @promise("TI02", "TI01", "DE01")
    def test_tombstones_tell_instants_in_any_zone(self, subject: Subject, move_to: MoveTo, tmp_path: Path) -> None:
        """Deleted or restored in one zone, shown, exported and imported in all others."""
        clock = TickingClock()
        expected = []
        for number, zone in enumerate(ZONES):
            move_to(zone)
            store, backend = subject.open(clock=clock), subject.backend(clock=clock)
            store.save_context(a_context(f"a{number}"))
            deleted_at = clock.advance(60)
            store.delete_context(f"a{number}")
            apply(backend, RestoreTombstoneRequest(workflow_id=f"b{number}", last_version=7, deleted_at=EPOCH))
            expected += [(f"a{number}", deleted_at), (f"b{number}", EPOCH)]
        for zone in ZONES:
            move_to(zone)
            backend = subject.backend()
            shown = tombstones(backend)
            assert [(each.workflow_id, each.deleted_at) for each in shown] == sorted(expected)
            assert {each.deleted_at.tzinfo for each in shown} == {UTC}
            subject.open().export(tmp_path / zone.replace("/", "-"))
            target = subject.another()
            target.open().import_(tmp_path / zone.replace("/", "-"))
            assert whole(target.backend()) == whole(backend)
        files = [(tmp_path / zone.replace("/", "-")).read_bytes() for zone in ZONES]
        assert set(files) == {files[0]}

    @promise("TI02", "VE05")
    @pytest.mark.parametrize("zone", ZONES)
    def test_a_clock_behind_a_tombstone_waits_for_it_in_any_zone(
        self, subject: Subject, move_to: MoveTo, zone: str
    ) -> None:
        """What is saved again is no older than its tombstone, told apart to the minute."""
        move_to(zone)
        clock = TickingClock()
        store, backend = subject.open(clock=clock), subject.backend(clock=clock)
        apply(backend, RestoreTombstoneRequest(workflow_id="order-7", last_version=3, deleted_at=EPOCH + HOUR))
        clock.advance(3540)
        assert store.save_context(a_context()) == 4
        assert store.history("order-7")[0].saved_at == EPOCH + HOUR
        clock.advance(120)
        store.save_context(a_context())
        assert store.history("order-7")[1].saved_at == EPOCH + HOUR + timedelta(minutes=1)
        apply(backend, DeleteRequest(workflow_id="order-7"))
        assert tombstones(backend)[0].deleted_at == EPOCH + HOUR + timedelta(minutes=1)

    @promise("TI02", "QU01", "QU08")
    @pytest.mark.parametrize("zone", [*ZONES, "America/New_York"])
    @pytest.mark.parametrize("field", ["created_at", "updated_at", "saved_at"])
    def test_filters_compare_instants_in_any_zone(
        self, subject: Subject, move_to: MoveTo, zone: str, field: str
    ) -> None:
        """By every operator, also between two hours that the zone's clocks show alike."""
        move_to(zone)
        clock = TickingClock()
        store = subject.open(clock=clock)
        moments = {"a": AUTUMN - HOUR, "b": AUTUMN, "c": AUTUMN + HOUR}
        for name, moment in moments.items():
            clock.now = moment
            store.save_context(a_context(name, created_at=moment, updated_at=moment))

        def found(operator: str, value: Any) -> list[str]:
            return [each.workflow_id for each in store.search_contexts({f"{field}__{operator}": value}, order_by=field)]

        assert found("eq", AUTUMN) == found("in", [AUTUMN]) == ["b"]
        assert (found("lt", AUTUMN), found("lte", AUTUMN)) == (["a"], ["a", "b"])
        assert (found("gt", AUTUMN), found("gte", AUTUMN)) == (["c"], ["b", "c"])
        assert found("ne", AUTUMN) == ["a", "c"]
        assert [each.workflow_id for each in store.iter_headers(page_size=1)] == ["c", "b", "a"]

    @promise("TI02", "VE08", "MO01")
    def test_what_is_written_in_one_zone_reads_the_same_in_all(
        self, subject: Subject, move_to: MoveTo, tmp_path: Path
    ) -> None:
        """Saves, restores, forks, rollbacks and batches; histories, stories, moments of the past, and exports."""
        clock = TickingClock(AUTUMN)
        for zone in ZONES:
            move_to(zone)
            store = subject.open(clock=clock)
            store.save_context(a_context("order-7", created_at=clock.now, updated_at=clock.now))
            store.rollback("order-7", 1)
            store.fork("order-7", f"fork {zone}")
            restored = a_restore(4, f"restored {zone}", saved_at=clock.now, created_at=clock.now, updated_at=clock.now)
            apply(subject.backend(clock=clock), restored)
            clock.advance(1800)
        views: list[Any] = []
        for zone in ZONES:
            move_to(zone)
            store = subject.open()
            name = zone.replace("/", "-")
            store.export(tmp_path / name)
            moments = [AUTUMN + timedelta(minutes=30 * number + 1) for number in range(len(ZONES))]
            views.append(
                (
                    whole(subject.backend()),
                    [store.load_context("order-7", as_of=moment).version for moment in moments],
                    store.get_context_versions(1, 2),
                    (tmp_path / name).read_bytes(),
                )
            )
        assert views[0][1] == [2, 4, 6, 8]
        assert [view == views[0] for view in views] == [True] * len(ZONES)
        assert _times(subject.open()) == {UTC}
        for number, zone in enumerate(ZONES):
            moment = AUTUMN + timedelta(minutes=30 * number)
            for header in (
                *headers_of(subject.backend(), f"restored {zone}"),
                *store.history("order-7")[2 * number :][:2],
            ):
                assert (zone, header.saved_at) == (zone, moment)
            assert subject.open().load_context(f"fork {zone}").created_at >= moment


def _times(store: Store) -> set[Any]:
    """The zones of all times that headers tell."""
    headers = [*store.list_headers(), *store.history("order-7")]
    return {moment.tzinfo for each in headers for moment in (each.created_at, each.updated_at, each.saved_at)}
