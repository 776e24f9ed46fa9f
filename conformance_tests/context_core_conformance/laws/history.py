"""Laws of fork and rollback: histories that begin with, or go back to, a version of before."""

from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from context_core import ContextExistsError, ContextNotFoundError, VersionHeader, VersionNotFoundError
from context_core.records import DeleteRequest, LoadRequest, Origin, StoredDocument
from context_core_conformance.call_counter import CallCountingBackend
from context_core_conformance.laws.history_diff import DiffLaws
from context_core_conformance.promises import promise
from context_core_conformance.racing import in_threads
from context_core_conformance.samples import EPOCH, TickingClock, a_context
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Store, a_save, apply, everything, headers_of, refusal


class MeddlingBackend(CallCountingBackend):
    """Lets someone else write right after the first load."""

    operation: Any = None

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        """Load, and meddle once."""
        documents = super().load(request)
        operation, self.operation = self.operation, None
        if operation is not None:
            apply(self.inner, operation)
        return documents


def origins(store: Store, workflow_id: str) -> list[Origin | None]:
    """Where each version of a workflow came from, oldest first."""
    return [header.origin for header in store.history(workflow_id)]


class HistoryLaws(DiffLaws):
    """Laws of forks and rollbacks; those of diffs come with them."""

    @pytest.fixture
    def trunk(self, store: Store) -> Store:
        """A store with a workflow of three versions, each in another phase."""
        for number, phase in enumerate(("design", "build", "review"), start=1):
            store.save_context(
                a_context(
                    current_phase=phase,
                    epic_num=number,
                    tags=[phase],
                    metadata={"number": number},
                    created_at=EPOCH.replace(day=number),
                    updated_at=EPOCH.replace(day=number),
                )
            )
        return store

    @promise("VE10")
    @pytest.mark.parametrize(("version", "source"), [(None, 3), (1, 1), (2, 2), (3, 3)])
    def test_a_fork_begins_with_a_version_of_another_workflow(
        self, trunk: Store, version: int | None, source: int
    ) -> None:
        """Its first version has that content under its own id and at its own time, and says where it came from."""
        assert trunk.fork("order-7", "fork", version) == 1
        began = {"created_at": "", "updated_at": ""}
        expected = trunk.load_context("order-7", version=source).to_dict() | {"workflow_id": "fork"} | began
        assert trunk.load_context("fork").to_dict() | began == expected
        assert origins(trunk, "fork") == [Origin(workflow_id="order-7", version=source)]

    @promise("VE10")
    def test_a_fork_is_found_like_any_other(self, trunk: Store) -> None:
        """By the fields of the version it began with, whatever its source is now."""
        trunk.fork("order-7", "fork", 2)
        found = trunk.search_contexts({"epic_num": 2, "current_phase": "build", "tags__contains": "build"})
        assert [(context.workflow_id, context.version) for context in found] == [("fork", 1)]
        (header,) = trunk.list_headers({"workflow_id": "fork"})
        assert header.origin == Origin(workflow_id="order-7", version=2)

    @promise("VE10", "TI01")
    @pytest.mark.parametrize("fork", ["a fork", "z fork"])
    def test_a_fork_begins_when_it_is_made(self, subject: Subject, fork: str) -> None:
        """Its times are the clock's, and so the newest workflow of a story is the newest by time, not by its id."""
        clock = TickingClock()
        store = subject.open(clock=clock)
        store.save_context(a_context("order-7"))
        made_at = clock.advance(60)
        store.fork("order-7", fork)
        (header,) = store.list_headers({"workflow_id": fork})
        assert (header.created_at, header.updated_at, header.saved_at) == (made_at, made_at, made_at)
        assert store.load_context(fork).created_at == made_at
        latest = store.get_latest_context(1, 2)
        assert latest is not None
        assert latest.workflow_id == fork
        clock.advance(60)
        store.save_context(a_context("order-8", created_at=clock.now))
        latest = store.get_latest_context(1, 2)
        assert latest is not None
        assert latest.workflow_id == "order-8"

    @promise("VE10", "TI02")
    @pytest.mark.parametrize("seconds", [0, -3600])
    @pytest.mark.parametrize("fork", ["a fork", "z fork"])
    def test_a_fork_is_younger_than_its_source_whatever_the_clock_says(
        self, subject: Subject, fork: str, seconds: int
    ) -> None:
        """Made within one tick of the clock, or after it went back, it still comes after what it was made from."""
        clock = TickingClock()
        store = subject.open(clock=clock)
        store.save_context(a_context("order-7"))
        clock.advance(seconds)
        store.fork("order-7", fork)
        assert [header.workflow_id for header in store.list_headers()] == [fork, "order-7"]
        assert store.load_context("order-7").created_at == EPOCH

    @promise("VE10", "TI01")
    def test_a_fork_of_the_last_moment_is_of_that_moment(self, subject: Subject) -> None:
        """After the last microsecond of 9999 there is none."""
        last = datetime.max.replace(tzinfo=UTC)
        store = subject.open(clock=TickingClock(last))
        store.save_context(a_context("order-7", created_at=last, updated_at=last))
        store.fork("order-7", "fork")
        assert store.load_context("fork").created_at == last

    @promise("VE10", "VE02")
    def test_a_fork_leaves_its_source_untouched(self, subject: Subject, trunk: Store) -> None:
        """Not by being made, nor by anything that happens to it later."""
        backend = subject.backend()
        before = everything(backend)["order-7"]
        trunk.fork("order-7", "fork", 1)
        trunk.save_context(trunk.load_context("fork").copy_with(current_phase="elsewhere"))
        trunk.rollback("fork", 1)
        trunk.delete_context("fork")
        assert everything(backend) == {"order-7": before}

    @promise("VE10")
    def test_a_fork_outlives_its_source(self, subject: Subject, trunk: Store) -> None:
        """What happens to the source changes nothing of the fork, its origin included."""
        trunk.fork("order-7", "fork", 2)
        before = everything(subject.backend())["fork"]
        trunk.save_context(a_context(current_phase="later"))
        trunk.rollback("order-7", 1)
        assert everything(subject.backend())["fork"] == before
        trunk.delete_context("order-7")
        assert everything(subject.backend()) == {"fork": before}

    @promise("VE10")
    def test_only_the_first_version_has_an_origin(self, trunk: Store) -> None:
        """What is saved later, or rolled back to, comes from nowhere else; a fork of a fork names its own source."""
        trunk.fork("order-7", "fork", 1)
        trunk.save_context(a_context("fork"))
        assert trunk.rollback("fork", 1) == 3
        trunk.fork("fork", "fork of fork")
        assert origins(trunk, "order-7") == [None, None, None]
        assert origins(trunk, "fork") == [Origin(workflow_id="order-7", version=1), None, None]
        assert origins(trunk, "fork of fork") == [Origin(workflow_id="fork", version=3)]

    @promise("VE10", "BA02")
    def test_a_batch_records_where_its_forks_came_from(self, subject: Subject) -> None:
        """A version that begins in a batch tells its origin as one that is saved alone does."""
        backend = subject.backend()
        origin = Origin(workflow_id="order-7", version=1)
        apply(backend, a_save(), attrs.evolve(a_save("fork"), origin=origin), a_save("fork"))
        assert [header.origin for header in headers_of(backend, "fork")] == [origin, None]

    @promise("VE10")
    @pytest.mark.parametrize("target", ["other", "order-7"])
    def test_a_fork_onto_an_existing_workflow_is_refused(self, subject: Subject, trunk: Store, target: str) -> None:
        """Itself included; the error tells where that stands, and nothing is written."""
        trunk.save_contexts([a_context("other"), a_context("other")])
        before = everything(subject.backend())
        with pytest.raises(ContextExistsError) as caught:
            trunk.fork("order-7", target, 1)
        assert (caught.value.workflow_id, caught.value.version) == (target, {"other": 2, "order-7": 3}[target])
        assert everything(subject.backend()) == before

    @promise("VE10", "VE05")
    def test_a_fork_onto_a_deleted_workflow_goes_on_with_its_numbers(self, trunk: Store) -> None:
        """A deleted workflow does not exist, but its numbers are used."""
        trunk.save_contexts([a_context("fork"), a_context("fork")])
        trunk.delete_context("fork")
        assert trunk.fork("order-7", "fork", 1) == 3
        assert [(header.version, header.current_phase) for header in trunk.history("fork")] == [(3, "design")]
        assert origins(trunk, "fork") == [Origin(workflow_id="order-7", version=1)]

    @promise("VE10", "VE04")
    @pytest.mark.parametrize("version", [0, -1, 4, 2**63 - 1])
    def test_a_fork_of_a_missing_version_is_refused(self, subject: Subject, trunk: Store, version: int) -> None:
        """By the same two errors as a load, and nothing is written."""
        before = everything(subject.backend())
        with pytest.raises(VersionNotFoundError):
            trunk.fork("order-7", "fork", version)
        with pytest.raises(ContextNotFoundError) as caught:
            trunk.fork("missing", "fork", version)
        assert type(caught.value) is ContextNotFoundError
        assert everything(subject.backend(), ["fork"]) == before | {"fork": ()}

    @promise("VE10", "CA03")
    def test_of_racing_forks_onto_one_id_one_wins(self, subject: Subject) -> None:
        """The others find that it exists."""
        stores = [subject.open() for _ in range(4)]
        stores[0].save_contexts([a_context(f"source-{number}") for number in range(4)])

        def race(number: int) -> ContextExistsError | None:
            return refusal(ContextExistsError, lambda: stores[number].fork(f"source-{number}", "fork"))

        losers = [error for error in in_threads(4, race) if error is not None]
        assert [error.version for error in losers] == [1, 1, 1]
        assert len(stores[0].history("fork")) == 1

    @promise("VE09")
    def test_a_rollback_beside_a_writer_goes_behind_it(self, subject: Subject) -> None:
        """What someone else saved meanwhile stays; the rollback is appended to it."""
        backend = MeddlingBackend(subject.backend())
        store = subject.around(backend)
        store.save_contexts([a_context(feature="old"), a_context(feature="new")])
        backend.operation = a_save(feature="meanwhile")
        assert store.rollback("order-7", 1) == 4
        assert _features(store.history("order-7")) == ["old", "new", "meanwhile", "old"]

    @promise("VE09", "CA06")
    def test_a_rollback_beside_a_delete_brings_nothing_back(self, subject: Subject) -> None:
        """What was deleted while the target was read stays deleted."""
        backend = MeddlingBackend(subject.backend())
        store = subject.around(backend)
        store.save_contexts([a_context(), a_context()])
        backend.operation = DeleteRequest(workflow_id="order-7")
        with pytest.raises(ContextNotFoundError):
            store.rollback("order-7", 1)
        assert store.history("order-7") == []

    @promise("VE09", "TI01")
    def test_a_rollback_is_saved_when_it_happens(self, subject: Subject) -> None:
        """Its content and the times in it are the target's; the time it was saved is its own."""
        clock = TickingClock()
        store = subject.open(clock=clock)
        store.save_contexts([a_context(feature="old"), a_context(feature="new")])
        rolled_back_at = clock.advance(60)
        store.rollback("order-7", 1)
        newest = store.history("order-7")[-1]
        assert (newest.feature, newest.updated_at, newest.saved_at) == ("old", EPOCH, rolled_back_at)
        assert store.load_context("order-7", as_of=EPOCH).feature == "new"


def _features(headers: list[VersionHeader]) -> list[str]:
    return [header.feature for header in headers]
