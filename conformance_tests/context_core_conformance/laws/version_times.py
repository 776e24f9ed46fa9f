"""Laws of the version group about loading as of a time."""

from datetime import datetime, timedelta, timezone

import pytest

from context_core import ContextNotFoundError, VersionNotFoundError
from context_core.records import SavedVersion
from context_core_conformance.promises import promise
from context_core_conformance.samples import EPOCH, TickingClock, a_context
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import a_save, apply, headers_of, loaded

TICK = timedelta(microseconds=1)


class AsOfLaws:
    """Laws about `saved_at`, and loading as of a time."""

    @promise("VE08")
    def test_as_of_gives_the_last_version_saved_by_then(self, subject: Subject) -> None:
        """To the microsecond: at a version's own time it is there, just before it is not."""
        clock = TickingClock()
        store = subject.open(clock=clock)
        saved_at: list[datetime] = []
        for number in range(1, 5):
            saved_at.append(clock.advance(0.000_002))
            store.save_context(a_context(metadata={"number": number}))
        for number, moment in enumerate(saved_at, start=1):
            for as_of in (moment, moment + TICK, moment.astimezone(timezone(timedelta(hours=-9, minutes=-30)))):
                context = store.load_context("order-7", as_of=as_of)
                assert (context.version, context.metadata["number"]) == (number, number)
        for before, moment in enumerate(saved_at[1:], start=1):
            assert store.load_context("order-7", as_of=moment - TICK).version == before
        assert store.load_context("order-7", as_of=EPOCH + timedelta(days=3650)).version == 4

    @promise("VE08", "VE04")
    def test_before_the_first_version_there_is_none(self, subject: Subject) -> None:
        """Not yet saved is another error than never saved."""
        clock = TickingClock()
        store = subject.open(clock=clock)
        store.save_context(a_context())
        with pytest.raises(VersionNotFoundError) as caught:
            store.load_context("order-7", as_of=EPOCH - TICK)
        assert (caught.value.workflow_id, caught.value.head_version) == ("order-7", 1)
        with pytest.raises(ContextNotFoundError) as missing:
            store.load_context("other", as_of=EPOCH)
        assert type(missing.value) is ContextNotFoundError

    @promise("VE08", "TI02")
    def test_equal_times_give_the_highest_version(self, subject: Subject) -> None:
        """A clock that stands still does not hide a version, by single saves nor in a batch."""
        clock = TickingClock()
        backend = subject.backend(clock=clock)
        backend.save(a_save())
        apply(backend, a_save(), a_save())
        for _ in range(8):
            backend.save(a_save())
        assert [header.saved_at for header in headers_of(backend, "order-7")] == [EPOCH] * 11
        assert [document.version for document in loaded(backend, "order-7", as_of=EPOCH)] == [11]
        assert loaded(backend, "order-7", as_of=EPOCH - TICK) == []

    @promise("VE08", "TI02")
    def test_a_clock_that_goes_back_does_not_reorder_versions(self, subject: Subject) -> None:
        """`saved_at` never falls, so that a later version is never the older one."""
        clock = TickingClock()
        backend = subject.backend(clock=clock)
        answers = []
        for seconds in (0, 10, -3600, 1, 3600, -1):
            clock.advance(seconds)
            answers.append(backend.save(a_save()))
        outcomes = apply(backend, a_save(), a_save())
        answers += [outcome for outcome in outcomes if isinstance(outcome, SavedVersion)]
        ten, eleven = EPOCH + timedelta(seconds=10), EPOCH + timedelta(seconds=11)
        times = [EPOCH, ten, ten, ten, eleven, eleven, eleven, eleven]
        assert [answer.saved_at for answer in answers] == times
        assert [header.saved_at for header in headers_of(backend, "order-7")] == times
        asked = {EPOCH: 1, ten - TICK: 1, ten: 4, eleven - TICK: 4, eleven: 8}
        assert {as_of: loaded(backend, "order-7", as_of=as_of)[0].version for as_of in asked} == asked

    @promise("VE08", "TI02")
    def test_another_workflows_time_moves_no_version(self, subject: Subject) -> None:
        """Each workflow has a past of its own: one that was saved ahead holds no other there."""
        clock = TickingClock()
        backend = subject.backend(clock=clock)
        backend.save(a_save("ahead"))
        clock.advance(-60)
        assert backend.save(a_save("order-7")).saved_at == EPOCH - timedelta(seconds=60)
        assert loaded(backend, "ahead", as_of=EPOCH - TICK) == []
        assert len(loaded(backend, "order-7", as_of=EPOCH - TICK)) == 1

    @promise("VE08", "VE05", "TI02")
    def test_times_go_on_after_delete(self, subject: Subject) -> None:
        """A version is never older than the number before it, even where that was deleted and the clock went back."""
        clock = TickingClock()
        backend = subject.backend(clock=clock)
        backend.save(a_save())
        subject.around(backend).delete_context("order-7")
        clock.advance(-60)
        assert backend.save(a_save()).saved_at == EPOCH
        assert [header.saved_at for header in headers_of(backend, "order-7")] == [EPOCH]

    @promise("VE08", "DE01")
    def test_a_deleted_past_is_gone_at_every_time(self, subject: Subject) -> None:
        """What was deleted is not there at any time."""
        clock = TickingClock()
        store = subject.open(clock=clock)
        store.save_context(a_context())
        store.delete_context("order-7")
        clock.advance(60)
        store.save_context(a_context())
        with pytest.raises(VersionNotFoundError):
            store.load_context("order-7", as_of=EPOCH)
        assert store.load_context("order-7", as_of=clock.now).version == 2

    @promise("VE08", "BA08")
    def test_many_are_loaded_as_of_one_time(self, subject: Subject) -> None:
        """Each id has its own answer; those not yet saved are left out, duplicates are given as asked."""
        clock = TickingClock()
        backend = subject.backend(clock=clock)
        for workflow_id in ("a", "b", "a", "c", "b", "a"):
            backend.save(a_save(workflow_id))
            clock.advance(1)
        found = loaded(backend, "c", "b", "missing", "a", "b", as_of=EPOCH + timedelta(seconds=2))
        assert [(document.workflow_id, document.version) for document in found] == [("b", 1), ("a", 2), ("b", 1)]
