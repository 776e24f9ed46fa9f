"""Laws of ages: what a store holds does not expire, however far the clock goes."""

from typing import Final

import pytest

from context_core import Capability, IdempotencyConflictError
from context_core.records import DeleteRequest, SavedVersion
from context_core_conformance.promises import promise
from context_core_conformance.restoring import tombstones, whole
from context_core_conformance.samples import EPOCH, TickingClock
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import a_save, apply

_DAY_S: Final = 86_400

each_age: Final = pytest.mark.parametrize(
    "days", [1, 11, 40, 400, 40_000], ids=["day", "weeks", "month", "year", "century"]
)
"""Engines drop keys of a client after a day, tombstones after ten, and rows after what they were told."""


class AgeLaws:
    @promise("ID01", "ID02", "ID04")
    @each_age
    def test_a_key_does_not_expire(self, subject: Subject, days: int) -> None:
        """A retry that comes late is a replay, and other content under the key is refused, in a batch too."""
        subject.requires(Capability.IDEMPOTENCY)
        clock = TickingClock()
        backend = subject.backend(clock=clock)
        backend.save(a_save(key="k"))
        apply(backend, a_save(key="l"))
        clock.advance(days * _DAY_S + 1)
        later = subject.backend(clock=clock)
        for handle in (later, backend):
            replays = [handle.save(a_save(key="k")), *apply(handle, a_save(key="l"))]
            expected = [SavedVersion(version=number, saved_at=EPOCH, is_replay=True) for number in (1, 2)]
            assert replays == expected
            with pytest.raises(IdempotencyConflictError):
                handle.save(a_save(key="k", feature="other"))

    @promise("VE02", "VE05", "CA06", "DE01")
    @each_age
    def test_versions_and_tombstones_do_not_expire(self, subject: Subject, days: int) -> None:
        """All that was there is there after any time, and whatever is saved again goes on from its number."""
        clock = TickingClock()
        backend = subject.backend(clock=clock)
        apply(backend, *(a_save(name) for name in ("kept", "gone", "gone", "buried", "kept")))
        apply(backend, DeleteRequest(workflow_id="gone"), DeleteRequest(workflow_id="buried"))
        before = whole(backend)
        assert [tombstone.workflow_id for tombstone in tombstones(backend)] == ["buried", "gone"]
        clock.advance(days * _DAY_S + 1)
        later = subject.backend(clock=clock)
        for handle in (backend, later):
            assert whole(handle) == before
        assert backend.save(a_save("gone")).version == 3
        assert later.save(a_save("kept")).version == 3
        assert later.save(a_save("buried")).version == 2
