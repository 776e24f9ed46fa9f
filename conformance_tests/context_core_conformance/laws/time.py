"""Laws of time: where it is read, how it is kept, and what a wrong clock or another zone changes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest

from context_core import VersionNotFoundError
from context_core.records import BatchRequest, DeleteRequest, QueryRequest, SavedVersion, Want
from context_core_conformance.laws.time_zones import ZONES, ProcessZoneLaws
from context_core_conformance.promises import promise
from context_core_conformance.samples import EPOCH, TickingClock, a_context
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Store, a_save, apply, headers_of

MICROSECOND = timedelta(microseconds=1)


def saved_times(store: Store, workflow_id: str = "order-7") -> list[datetime]:
    """When each version of a workflow was saved, oldest first."""
    return [header.saved_at for header in store.history(workflow_id)]


class TimeLaws(ProcessZoneLaws):
    """Laws of times; those of the zone of the process come with them."""

    @promise("TI01")
    def test_saved_at_is_the_clocks_time(self, subject: Subject) -> None:
        """Each version carries the injected clock's time, to the microsecond, in aware UTC."""
        clock = TickingClock()
        store = subject.open(clock=clock)
        moments = [EPOCH, EPOCH + MICROSECOND, EPOCH.replace(microsecond=0) + timedelta(days=1)]
        for clock.now in moments:
            store.save_context(a_context())
        assert saved_times(store) == moments
        assert [moment.tzinfo for moment in saved_times(store)] == [UTC] * 3

    @promise("TI01", "VE02", "BA02")
    def test_an_answer_tells_the_time_that_is_stored(self, subject: Subject) -> None:
        """To the microsecond, for a save and for each save of a batch; every handle reads its own clock."""
        for number, microsecond in enumerate((1, 999, 1_001, 123_456, 999_999)):
            moment = EPOCH.replace(microsecond=microsecond) + timedelta(seconds=number)
            backend = subject.backend(clock=TickingClock(moment))
            answers = [backend.save(a_save()), *apply(backend, a_save(), a_save())]
            assert [each.saved_at for each in answers if isinstance(each, SavedVersion)] == [moment] * 3
            assert [header.saved_at for header in headers_of(backend, "order-7")][-3:] == [moment] * 3

    @promise("TI01")
    def test_every_write_reads_the_injected_clock(self, subject: Subject) -> None:
        """Saves, batches and rollbacks take their time from it, and what save returns is what is listed."""
        clock = TickingClock(EPOCH + timedelta(days=1_000))
        store = subject.open(clock=clock)
        store.save_context(a_context())
        clock.advance(1)
        store.save_contexts([a_context(), a_context("other")])
        clock.advance(1)
        store.rollback("order-7", 1)
        began = EPOCH + timedelta(days=1_000)
        assert saved_times(store) == [began, began + timedelta(seconds=1), began + timedelta(seconds=2)]
        assert saved_times(store, "other") == [began + timedelta(seconds=1)]

    @promise("TI01", "RT09")
    @pytest.mark.parametrize("moment", [datetime(1, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)], ids=str)
    def test_first_and_last_moments_are_kept(self, subject: Subject, moment: datetime) -> None:
        """From the year 1 to the last microsecond of 9999, in contexts, headers and saved_at."""
        store = subject.open(clock=TickingClock(moment))
        store.save_context(a_context(created_at=moment, updated_at=moment))
        (header,) = store.history("order-7")
        assert (header.created_at, header.updated_at, header.saved_at) == (moment, moment, moment)
        assert store.load_context("order-7", as_of=moment).created_at == moment

    @promise("TI01", "RT09")
    @pytest.mark.parametrize("minutes", [-720, -1, 0, 330, 840])
    def test_other_offsets_are_the_same_instants(self, subject: Subject, minutes: int) -> None:
        """Times given at another offset are stored in UTC, and equal what was given."""
        given = EPOCH.astimezone(timezone(timedelta(minutes=minutes)))
        store = subject.open()
        store.save_context(a_context(created_at=given, updated_at=given))
        (header,) = store.history("order-7")
        (head,) = subject.backend().query(QueryRequest(want=Want.HEADERS)).headers
        loaded = store.load_context("order-7")
        for moment in (header.created_at, header.updated_at, head.created_at, loaded.created_at, loaded.updated_at):
            assert (moment, moment.tzinfo) == (given, UTC)
        assert [found.workflow_id for found in store.search_contexts({"created_at": EPOCH})] == ["order-7"]

    @promise("TI02", "VE01")
    def test_clock_that_goes_back_never_reorders(self, subject: Subject) -> None:
        """Versions go on in order, and their times stand still until the clock has caught up."""
        clock = TickingClock()
        store = subject.open(clock=clock)
        for step in (0, -3600, 10, 3595):
            clock.advance(step)
            store.save_context(a_context())
        assert [header.version for header in store.history("order-7")] == [1, 2, 3, 4]
        assert saved_times(store) == [EPOCH, EPOCH, EPOCH, EPOCH + timedelta(seconds=5)]

    @promise("TI02")
    def test_clock_that_goes_back_holds_one_workflow_only(self, subject: Subject) -> None:
        """Other workflows are saved at the clock's own time."""
        clock = TickingClock()
        store = subject.open(clock=clock)
        store.save_context(a_context())
        now = clock.advance(-60)
        store.save_contexts([a_context(), a_context("other")])
        assert saved_times(store) == [EPOCH, EPOCH]
        assert saved_times(store, "other") == [now]

    @promise("TI02")
    def test_handle_with_a_slow_clock_never_reorders(self, subject: Subject) -> None:
        """Two handles whose clocks differ keep one order of times."""
        ahead, behind = subject.open(clock=TickingClock()), subject.open(clock=TickingClock(EPOCH - timedelta(hours=1)))
        for store in (ahead, behind, ahead, behind):
            store.save_context(a_context())
        assert saved_times(behind) == [EPOCH] * 4

    @promise("TI02", "VE05")
    def test_clock_that_goes_back_never_saves_before_a_delete(self, subject: Subject) -> None:
        """A workflow saved again is not older than its tombstone."""
        clock = TickingClock()
        store = subject.open(clock=clock)
        store.save_context(a_context())
        deleted_at = clock.advance(60)
        store.delete_context("order-7")
        clock.advance(-30)
        assert store.save_context(a_context()) == 2
        assert saved_times(store) == [deleted_at]

    @promise("TI02", "VE05")
    def test_clock_that_goes_back_inside_a_batch_changes_nothing(self, subject: Subject) -> None:
        """Also where save, delete and save again are one batch."""
        clock = TickingClock()
        store, backend = subject.open(clock=clock), subject.backend(clock=clock)
        store.save_context(a_context())
        clock.advance(-60)
        backend.batch(BatchRequest(operations=[DeleteRequest(workflow_id="order-7")]))
        clock.advance(-60)
        store.save_context(a_context())
        assert saved_times(store) == [EPOCH]

    @promise("VE08")
    def test_as_of_finds_the_last_version_saved_by_then(self, subject: Subject) -> None:
        """To the microsecond, the boundary included."""
        clock = TickingClock()
        store = subject.open(clock=clock)
        for _ in range(3):
            store.save_context(a_context())
            clock.advance(10)
        expected = {0: 1, 9.999999: 1, 10: 2, 19.999999: 2, 20: 3, 1_000: 3}
        moments = {seconds: EPOCH + timedelta(seconds=seconds) for seconds in expected}
        seen = {seconds: store.load_context("order-7", as_of=moment).version for seconds, moment in moments.items()}
        assert seen == expected

    @promise("VE08")
    def test_as_of_with_equal_times_is_the_highest_version(self, subject: Subject) -> None:
        """Versions of one moment, and those a clock that went back saved, count by number."""
        clock = TickingClock()
        store = subject.open(clock=clock)
        for step in (0, 0, -100, 50):
            clock.advance(step)
            store.save_context(a_context())
        assert store.load_context("order-7", as_of=EPOCH).version == 4
        with pytest.raises(VersionNotFoundError):
            store.load_context("order-7", as_of=EPOCH - MICROSECOND)

    @promise("VE08", "RT09")
    def test_as_of_takes_any_offset(self, subject: Subject) -> None:
        """The instant counts, not how it is written."""
        clock = TickingClock()
        store = subject.open(clock=clock)
        store.save_context(a_context())
        clock.advance(1)
        store.save_context(a_context())
        zone = timezone(timedelta(hours=-9, minutes=-30))
        assert store.load_context("order-7", as_of=EPOCH.astimezone(zone)).version == 1
        assert store.load_context("order-7", as_of=(EPOCH + timedelta(seconds=1)).astimezone(zone)).version == 2

    @promise("VE08", "VE05")
    def test_as_of_does_not_reach_behind_a_delete(self, subject: Subject) -> None:
        """What was deleted is not there at any time; what was saved again is, from then on."""
        clock = TickingClock()
        store = subject.open(clock=clock)
        store.save_context(a_context())
        clock.advance(10)
        store.delete_context("order-7")
        again = clock.advance(10)
        store.save_context(a_context())
        with pytest.raises(VersionNotFoundError):
            store.load_context("order-7", as_of=EPOCH + timedelta(seconds=5))
        assert store.load_context("order-7", as_of=again).version == 2

    @promise("TI02")
    def test_local_time_zone_changes_nothing(self, subject: Subject, move_to: Callable[[str], None]) -> None:
        """Whatever zone writer and reader live in, times and their order are the same."""
        clock = TickingClock()
        for number, zone in enumerate(ZONES):
            move_to(zone)
            store = subject.open(clock=clock)
            store.save_context(a_context(f"w{number}", created_at=clock.now))
            store.save_context(a_context("shared"))
            clock.advance(60)
        expected = [EPOCH + timedelta(minutes=number) for number in range(len(ZONES))]
        for zone in ZONES:
            move_to(zone)
            store = subject.open()
            assert saved_times(store, "shared") == expected
            for number, moment in enumerate(expected):
                assert store.load_context(f"w{number}").created_at == moment
                assert store.load_context("shared", as_of=moment).version == number + 1
            later = store.search_contexts({"created_at__gte": expected[2], "workflow_id__prefix": "w"})
            assert [found.workflow_id for found in later] == ["w3", "w2"]

    @promise("TI01", "TI02")
    def test_wall_clock_is_utc_in_any_zone(self, subject: Subject, move_to: Callable[[str], None]) -> None:
        """Without an injected clock saved_at lies between the times before and after the save."""
        for number, zone in enumerate(ZONES):
            move_to(zone)
            store = subject.open()
            before = datetime.now(UTC)
            store.save_context(a_context(f"w{number}"))
            assert before <= saved_times(store, f"w{number}")[0] <= datetime.now(UTC)
