"""Laws of restores at the edges: keys of their own batch, and numbers whose neighbours a float takes for them."""

from datetime import timedelta
from typing import Final

import pytest

from context_core import Capability, IdempotencyConflictError, RestoreConflictError, VersionConflictError
from context_core.query import parse_filters
from context_core.records import DeleteRequest, QueryRequest, SavedVersion, Want
from context_core_conformance.promises import promise
from context_core_conformance.restoring import a_restore, a_restored_tombstone, tombstones, whole
from context_core_conformance.samples import EPOCH
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import a_save, apply, headers_of, loaded

DELETE: Final = DeleteRequest(workflow_id="order-7")

LARGE: Final = (2**31 - 1, 2**31, 2**31 + 1, 2**32, 2**32 + 1, 2**53, 2**53 + 1, 2**62 + 1, 2**63 - 1)
"""No two of them are one number in fewer bits, or as a float."""


class RestoreEdgeLaws:
    @promise("MO01", "ID01", "ID02", "BA06")
    def test_a_restore_of_a_batch_knows_its_keys(self, subject: Subject) -> None:
        """A key that was saved before it is taken, one that was deleted is free; what it restores, a save knows."""
        subject.requires(Capability.IDEMPOTENCY)
        backend = subject.backend()
        apply(backend, a_save("other"))
        before = whole(backend)
        with pytest.raises(RestoreConflictError) as caught:
            apply(backend, a_restore(1, key="k"), a_restore(2, key="k"))
        assert (caught.value.workflow_id, caught.value.version, caught.value.head_version) == ("order-7", 2, 1)
        with pytest.raises(IdempotencyConflictError):
            apply(backend, a_restore(1, key="k"), a_save(key="k", feature="other"))
        assert whole(backend) == before
        *_, replay, _, _ = apply(backend, a_restore(4, key="k"), a_save(key="k"), DELETE, a_restore(5, key="k"))
        assert isinstance(replay, SavedVersion)
        assert (replay.version, replay.is_replay) == (4, True)

    @promise("MO01", "VE05")
    @pytest.mark.parametrize("last_version", [5, 6])
    @pytest.mark.parametrize("days", [-400, -1, 1, 400])
    def test_a_restored_tombstone_replaces_the_one_before(self, subject: Subject, last_version: int, days: int) -> None:
        """One of the same or of a higher number is written with its own time, be that earlier or later."""
        backend = subject.backend()
        deleted_at = EPOCH + timedelta(days=days, microseconds=1)
        apply(backend, a_restored_tombstone(5), a_restored_tombstone(last_version, deleted_at=deleted_at))
        assert [(each.last_version, each.deleted_at) for each in tombstones(backend)] == [(last_version, deleted_at)]

    @promise("MO01", "VE01", "VE03", "VE05", "CA01")
    @pytest.mark.parametrize("number", [2**31 - 1, 2**32 - 1, 2**53 - 1, 2**53, 2**62])
    def test_a_large_version_is_followed_by_the_next(self, subject: Subject, number: int) -> None:
        """Neighbours stay apart beyond what a float or fewer bits can tell, as heads, versions and tombstones."""
        backend = subject.backend()
        apply(backend, a_restore(number, feature="first"))
        for step in (1, 2):
            with pytest.raises(VersionConflictError) as caught:
                backend.save(a_save(expected_version=number + step))
            assert caught.value.actual == number + step - 1
            assert backend.save(a_save(expected_version=number + step - 1)).version == number + step
        numbers = [number, number + 1, number + 2]
        assert [header.version for header in headers_of(backend, "order-7")] == numbers
        for each in numbers:
            assert [document.version for document in loaded(backend, "order-7", version=each)] == [each]
        apply(
            backend,
            DeleteRequest(workflow_id="order-7", expected_version=number + 2),
            a_restored_tombstone(number, "b"),
        )
        assert [tombstone.last_version for tombstone in tombstones(backend)] == [number, number + 2]
        assert [backend.save(a_save(name)).version for name in ("b", "order-7")] == [number + 1, number + 3]

    @promise("RT01", "QU01", "QU10", "MO01")
    def test_large_restored_fields_are_told_apart(self, subject: Subject) -> None:
        """Epic and story keep large numbers exactly: in headers, conditions, orders and stories."""
        backend = subject.backend()
        apply(backend, *(a_restore(1, f"w{at}", epic_num=large, story_num=large) for at, large in enumerate(LARGE)))
        store = subject.open()
        names = [f"w{at}" for at in range(len(LARGE))]
        for order_by in ("epic_num", "story_num"):
            headers = store.list_headers(order_by=order_by)
            assert [header.workflow_id for header in headers] == names
            assert [(header.epic_num, header.story_num) for header in headers] == [(each, each) for each in LARGE]
        for at, large in enumerate(LARGE):
            for field in ("epic_num", "story_num"):
                for filters in ({field: large}, {f"{field}__in": [large]}):
                    found = backend.query(QueryRequest(conditions=parse_filters(filters), want=Want.HEADERS)).headers
                    assert [header.workflow_id for header in found] == [f"w{at}"]
                assert store.count_contexts({f"{field}__lt": large}) == at
            assert [context.workflow_id for context in store.get_context_versions(large, large)] == [f"w{at}"]
