"""Laws of what the conflict of a restore tells: the workflow, what was to be restored, and where the workflow stands."""

from datetime import timedelta
from typing import Final

import attrs
import pytest

from context_core import Capability, RestoreConflictError
from context_core.records import DeleteRequest, Operation
from context_core_conformance.promises import promise
from context_core_conformance.restoring import a_restore, a_restored_tombstone, whole
from context_core_conformance.samples import EPOCH
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import apply

LATER: Final = EPOCH + timedelta(days=7)
DELETE: Final = DeleteRequest(workflow_id="order-7")


@attrs.frozen
class Way:
    """One way for a restore to conflict: what stands, what is restored, and the facts of the error."""

    standing: tuple[Operation, ...]
    restored: Operation
    version: int
    head_version: int
    needs_keys: bool = False


WAYS: Final[dict[str, Way]] = {
    "a gap": Way((a_restore(6), a_restore(7)), a_restore(9), 9, 7),
    "the head itself": Way((a_restore(6), a_restore(7)), a_restore(7), 7, 7),
    "an older version": Way((a_restore(6), a_restore(7)), a_restore(2), 2, 7),
    "an older time": Way((a_restore(6, saved_at=LATER),), a_restore(7), 7, 6),
    "a key that is used": Way((a_restore(3, key="k"), a_restore(4)), a_restore(5, key="k"), 5, 4, needs_keys=True),
    "below a tombstone": Way((a_restored_tombstone(5),), a_restore(3), 3, 5),
    "at a tombstone": Way((a_restore(5), DELETE), a_restore(5, saved_at=LATER), 5, 5),
    "a tombstone of one that exists": Way((a_restore(6), a_restore(7)), a_restored_tombstone(9), 9, 7),
    "a lower tombstone of one that exists": Way((a_restore(6), a_restore(7)), a_restored_tombstone(3), 3, 7),
    "a lower tombstone": Way((a_restored_tombstone(8),), a_restored_tombstone(5), 5, 8),
    "a tombstone below a deleted one": Way((a_restore(6), DELETE), a_restored_tombstone(5), 5, 6),
    "large numbers": Way((a_restore(2**53),), a_restore(2**53), 2**53, 2**53),
}


class RestoreConflictLaws:
    @promise("MO01", "ER03")
    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("place", ["alone", "first", "last", "in its batch"])
    def test_a_conflict_of_a_restore_tells_its_facts(self, subject: Subject, way: str, place: str) -> None:
        """Alone, beside other workflows of its batch, and where what it conflicts with stands in the same batch."""
        each = WAYS[way]
        if each.needs_keys:
            subject.requires(Capability.IDEMPOTENCY)
        backend = subject.backend()
        others: list[Operation] = [a_restore(1, "other"), a_restore(4, "another"), a_restored_tombstone(3, "third")]
        batch: list[Operation] = [each.restored]
        if place == "in its batch":
            batch = [others[0], *each.standing, others[1], each.restored, others[2]]
        else:
            apply(backend, *each.standing)
        if place in ("first", "last"):
            batch = [*batch, *others] if place == "first" else [*others, *batch]
        before = whole(backend)
        with pytest.raises(RestoreConflictError) as caught:
            apply(backend, *batch)
        told = caught.value.workflow_id, caught.value.version, caught.value.head_version
        assert told == ("order-7", each.version, each.head_version)
        assert whole(backend) == before
