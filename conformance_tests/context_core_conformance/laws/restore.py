"""Laws of restores: versions written at their very number and time, for imports."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import pytest

from context_core import (
    Capability,
    IdempotencyConflictError,
    PersistenceError,
    RestoreConflictError,
    VersionConflictError,
    VersionHeader,
)
from context_core.query import parse_filters, parse_order
from context_core.records import DeleteRequest, Operation, Origin, QueryRequest, Restored, SavedVersion, Tombstone, Want
from context_core_conformance.promises import promise
from context_core_conformance.restoring import a_restore, a_restored_tombstone, tombstones, whole
from context_core_conformance.samples import EPOCH, TickingClock, a_context
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import a_save, apply, everything, headers_of, loaded, record_of

LATER: Final = EPOCH + timedelta(days=7, microseconds=1)
DELETE: Final = DeleteRequest(workflow_id="order-7")


def numbers(headers: Sequence[VersionHeader]) -> list[int]:
    """The versions that headers are of."""
    return [header.version for header in headers]


class RestoreLaws:
    @promise("MO01")
    def test_a_restored_version_is_exactly_as_given(self, subject: Subject) -> None:
        """Its number, times, lineage and every field; the document to the byte."""
        backend, origin = subject.backend(clock=TickingClock(LATER)), Origin(workflow_id="source", version=3)
        has_keys = Capability.IDEMPOTENCY in backend.describe().capabilities
        request = a_restore(
            4, saved_at=LATER, origin=origin, key="k" if has_keys else None, tags=["x"], status="failed", story_num=None
        )
        assert apply(backend, request) == [Restored()]
        record = request.record
        assert headers_of(backend, "order-7") == [
            VersionHeader(
                workflow_id="order-7",
                version=4,
                epic_num=1,
                story_num=None,
                feature="checkout",
                workflow_name="implement_story",
                current_phase="initialization",
                status="failed",
                created_at=EPOCH,
                updated_at=EPOCH,
                saved_at=LATER,
                tags=("x",),
                idempotency_key="k" if has_keys else None,
                origin=origin,
            )
        ]
        (document,) = loaded(backend, "order-7", version=4)
        assert (document.version, document.document, document.save_id) == (4, record.document, None)

    @promise("MO01", "VE02")
    def test_a_head_has_the_restored_creation_time(self, subject: Subject) -> None:
        """Of a pruned history the first version left is not the one that the workflow was created with."""
        backend = subject.backend()
        first = a_restore(3, created_at=LATER, updated_at=LATER, workflow_created_at=EPOCH)
        apply(backend, first, a_restore(4, created_at=LATER, updated_at=LATER, workflow_created_at=LATER))
        backend.save(a_save(created_at=LATER, updated_at=LATER))
        assert [header.created_at for header in headers_of(backend, "order-7")] == [LATER, LATER, LATER]
        request = QueryRequest(conditions=parse_filters({"created_at": EPOCH}), want=Want.HEADERS)
        assert [(head.version, head.created_at) for head in backend.query(request).headers] == [(5, EPOCH)]

    @promise("MO01")
    @pytest.mark.parametrize("version", [-1, 0, 1, 6, 7, 9, 2**63 - 1])
    def test_a_restore_that_does_not_continue_is_refused(self, subject: Subject, version: int) -> None:
        """Onto a head only the very next version goes; the error says where the head is, and nothing is written."""
        backend = subject.backend()
        apply(backend, a_restore(6), a_restore(7))
        before = whole(backend)
        with pytest.raises(RestoreConflictError) as caught:
            apply(backend, a_restore(version))
        assert (caught.value.workflow_id, caught.value.version, caught.value.head_version) == ("order-7", version, 7)
        assert whole(backend) == before
        assert apply(backend, a_restore(8)) == [Restored()]

    @promise("MO01")
    @pytest.mark.parametrize("version", [1, 2, 1_000, 2**31, 2**62])
    def test_a_history_may_be_restored_from_any_version(self, subject: Subject, version: int) -> None:
        """A workflow that does not exist begins where the restore says, and goes on from there."""
        backend = subject.backend()
        apply(backend, a_restore(version))
        assert backend.save(a_save(expected_version=version)).version == version + 1
        with pytest.raises(VersionConflictError):
            backend.save(a_save(expected_version=version))
        assert numbers(headers_of(backend, "order-7")) == [version, version + 1]

    @promise("MO01", "VE05")
    @pytest.mark.parametrize(("version", "fits"), [(1, False), (3, False), (4, True), (9, True)])
    def test_a_restore_goes_above_the_tombstone(self, subject: Subject, version: int, fits: bool) -> None:  # noqa: FBT001  # a parameter
        """Numbers that a deleted workflow used are not written again."""
        backend = subject.backend()
        apply(backend, a_save(), a_save(), a_save(), DELETE)
        if fits:
            apply(backend, a_restore(version, saved_at=LATER))
            assert backend.save(a_save()).version == version + 1
        else:
            with pytest.raises(RestoreConflictError) as caught:
                apply(backend, a_restore(version, saved_at=LATER))
            assert (caught.value.version, caught.value.head_version) == (version, 3)
            assert backend.save(a_save()).version == 4

    @promise("MO01", "VE05")
    def test_numbers_go_on_after_a_restored_tombstone(self, subject: Subject) -> None:
        """It is as if the workflow had been deleted here."""
        backend = subject.backend()
        assert apply(backend, a_restored_tombstone(5), a_restored_tombstone(2, "other", deleted_at=LATER)) == [
            Restored(),
            Restored(),
        ]
        assert tombstones(backend) == (
            Tombstone(workflow_id="order-7", last_version=5, deleted_at=EPOCH),
            Tombstone(workflow_id="other", last_version=2, deleted_at=LATER),
        )
        assert everything(backend, ["order-7"]) == {"order-7": ()}
        assert backend.save(a_save(expected_version=0)).version == 6

    @promise("MO01")
    @pytest.mark.parametrize("last_version", [0, 1, 2, 3, 100])
    def test_a_tombstone_of_an_existing_workflow_is_refused(self, subject: Subject, last_version: int) -> None:
        """It would take the workflow away."""
        backend = subject.backend()
        apply(backend, a_save(), a_save())
        before = whole(backend)
        with pytest.raises(RestoreConflictError) as caught:
            apply(backend, a_restored_tombstone(last_version))
        assert (caught.value.workflow_id, caught.value.version, caught.value.head_version) == (
            "order-7",
            last_version,
            2,
        )
        assert whole(backend) == before

    @promise("MO01", "VE05")
    def test_a_tombstone_never_goes_back(self, subject: Subject) -> None:
        """A lower one is refused, the same one and a higher one are written."""
        backend = subject.backend()
        apply(backend, a_restored_tombstone(5))
        with pytest.raises(RestoreConflictError) as caught:
            apply(backend, a_restored_tombstone(4))
        assert (caught.value.version, caught.value.head_version) == (4, 5)
        apply(backend, a_restored_tombstone(5))
        assert tombstones(backend) == (Tombstone(workflow_id="order-7", last_version=5, deleted_at=EPOCH),)
        apply(backend, a_restored_tombstone(8, deleted_at=LATER))
        assert backend.save(a_save()).version == 9

    @promise("MO01", "DE02")
    def test_tombstones_are_those_of_deleted_workflows(self, subject: Subject) -> None:
        """By id, with number and time; those that exist again are none."""
        clock = TickingClock()
        backend = subject.backend(clock=clock)
        apply(backend, *(a_save(name) for name in ("b", "a", "a", "c", "back")))
        clock.advance(60)
        apply(backend, *(DeleteRequest(workflow_id=name) for name in ("b", "a", "back", "missing")), a_save("back"))
        assert tombstones(backend) == (
            Tombstone(workflow_id="a", last_version=2, deleted_at=clock.now),
            Tombstone(workflow_id="b", last_version=1, deleted_at=clock.now),
        )

    @promise("MO01", "QU09")
    def test_no_page_and_no_condition_cuts_the_tombstones(self, subject: Subject) -> None:
        """All are given, by id, whatever else the request says."""
        backend = subject.backend()
        apply(backend, *(a_restored_tombstone(number, name) for number, name in enumerate("dbac", start=1)))
        everyone = [(name, number) for name, number in zip("abcd", (3, 2, 4, 1), strict=True)]
        for request in (
            QueryRequest(want=Want.TOMBSTONES, limit=0),
            QueryRequest(want=Want.TOMBSTONES, limit=2, offset=1),
            QueryRequest(want=Want.TOMBSTONES, conditions=parse_filters({"workflow_id": "a"})),
            QueryRequest(want=Want.TOMBSTONES, order=parse_order("-version")),
        ):
            assert [(each.workflow_id, each.last_version) for each in backend.query(request).tombstones] == everyone

    @promise("MO01", "TI02")
    def test_a_restore_never_goes_back_in_time(self, subject: Subject) -> None:
        """A version saved before its predecessor is refused, one of the same moment is not."""
        backend = subject.backend()
        apply(backend, a_restore(1, saved_at=LATER))
        with pytest.raises(RestoreConflictError):
            apply(backend, a_restore(2, saved_at=LATER - timedelta(microseconds=1)))
        apply(backend, a_restore(2, saved_at=LATER))
        assert [header.saved_at for header in headers_of(backend, "order-7")] == [LATER, LATER]

    @promise("MO01", "TI02")
    def test_a_restore_is_held_against_the_head(self, subject: Subject) -> None:
        """It goes back in time if it was saved before the newest version, though behind the first."""
        backend = subject.backend()
        apply(backend, a_restore(1, saved_at=EPOCH), a_restore(2, saved_at=LATER))
        with pytest.raises(RestoreConflictError):
            apply(backend, a_restore(3, saved_at=EPOCH + timedelta(seconds=1)))
        assert [header.version for header in headers_of(backend, "order-7")] == [1, 2]

    @promise("MO01", "TI02", "VE08")
    def test_times_go_on_after_a_restore(self, subject: Subject) -> None:
        """What is saved later is not saved earlier, though the clock is behind; loads as of a time find each version."""
        backend = subject.backend(clock=TickingClock())
        apply(
            backend,
            a_restore(1, saved_at=EPOCH),
            a_restore(2, saved_at=LATER),
            a_restored_tombstone(5, "b", deleted_at=LATER),
        )
        for request in (a_save(), a_save("b")):
            assert backend.save(request).saved_at == LATER
        for moment, version in ((EPOCH, 1), (LATER - timedelta(microseconds=1), 1), (LATER, 3)):
            assert [document.version for document in loaded(backend, "order-7", as_of=moment)] == [version]

    @promise("MO01", "BA01", "BA06")
    @pytest.mark.parametrize("position", range(7))
    @pytest.mark.parametrize(
        "failing", [a_restore(9, "gap"), a_restored_tombstone(9, "bystander")], ids=["version", "tombstone"]
    )
    def test_a_refused_restore_undoes_its_batch(self, subject: Subject, failing: Operation, position: int) -> None:
        """Restores, saves and deletes around it leave nothing; without it they are one transaction in order."""
        backend = subject.backend(clock=TickingClock())
        apply(backend, a_save("bystander"), a_save(), a_restore(7, "gap"))
        before = whole(backend)
        operations: list[Operation] = [
            a_restore(2, saved_at=LATER),
            DELETE,
            a_restored_tombstone(5, deleted_at=LATER),
            a_restore(8, saved_at=LATER),
            a_save(expected_version=8),
            a_restore(1, "new"),
        ]
        with pytest.raises(RestoreConflictError):
            apply(backend, *operations[:position], failing, *operations[position:])
        assert whole(backend) == before
        outcomes = apply(backend, *operations)
        assert [outcome.version for outcome in outcomes if isinstance(outcome, SavedVersion)] == [9]
        assert numbers(headers_of(backend, "order-7")) == [8, 9]
        assert numbers(headers_of(backend, "new")) == [1]

    @promise("MO01", "ID01", "ID02")
    def test_a_restored_key_makes_retries_safe(self, subject: Subject) -> None:
        """The save that was restored is known by its key, and its key stands for no other content."""
        subject.requires(Capability.IDEMPOTENCY)
        backend = subject.backend(clock=TickingClock())
        apply(backend, a_restore(3, key="k", feature="restored"), a_restore(4))
        replay = backend.save(a_save(key="k", feature="restored"))
        assert (replay.version, replay.saved_at, replay.is_replay) == (3, EPOCH, True)
        with pytest.raises(IdempotencyConflictError):
            backend.save(a_save(key="k", feature="other"))

    @promise("MO01", "ID02")
    def test_a_restored_key_is_unique_in_its_workflow(self, subject: Subject) -> None:
        """A version with the key of another one is refused; in another workflow the key is another."""
        subject.requires(Capability.IDEMPOTENCY)
        backend = subject.backend()
        apply(backend, a_restore(1, key="k"), a_restore(1, "other", key="k"))
        before = whole(backend)
        with pytest.raises(PersistenceError):
            apply(backend, a_restore(2, key="k"))
        assert whole(backend) == before

    @promise("MO01", "BA03")
    def test_restored_contexts_are_contexts(self, subject: Subject) -> None:
        """A store loads, searches and lists them like those it saved."""
        context = a_context(metadata={"number": 7}, tags=["x"], feature="restored")
        request = a_restore(7, metadata={"number": 7}, tags=["x"], feature="restored")
        assert request.record == record_of(context)
        apply(subject.backend(), request)
        store = subject.open()
        assert store.load_context("order-7", version=7) == context
        assert [found.version for found in store.search_contexts({"tags__contains": "x"})] == [7]
        assert store.rollback("order-7", 7) == 8
