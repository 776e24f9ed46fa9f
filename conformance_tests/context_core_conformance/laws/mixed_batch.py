"""Laws of batches of saves and deletes, as a store takes them."""

from collections.abc import Iterator
from typing import Any, Final

import attrs
import pytest

from context_core import (
    Capability,
    ContextCoreError,
    Delete,
    IdempotencyConflictError,
    InvalidContextError,
    InvalidQueryError,
    Save,
    UnserializableValueError,
    VersionConflictError,
)
from context_core_conformance.call_counter import CallCountingBackend
from context_core_conformance.promises import promise
from context_core_conformance.samples import a_context
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Contents, Store, everything

ALL_IDS: Final = ("a", "b", "c", "d")


def good_operations() -> list[Save | Delete]:
    """Operations of each kind that all succeed where `a` stands at version 2, `b` at 1, and `c` was deleted at 1."""
    return [
        Save(a_context("a"), expected_version=2),
        Delete("b", expected_version=1),
        Save(a_context("c"), expected_version=0),
        Delete("d", expected_version=0),
        Save(a_context("b", feature="again"), expected_version=0),
        Delete("a", expected_version=3),
        Save(a_context("a")),
    ]


FAILURES: Final[dict[str, tuple[Any, type[ContextCoreError]]]] = {
    "stale save": (Save(a_context("x"), expected_version=1), VersionConflictError),
    "stale delete": (Delete("x", expected_version=1), VersionConflictError),
    "bad value": (Save(a_context("x", metadata={"k": {1, 2}})), UnserializableValueError),
    "no operation": (a_context("x"), InvalidQueryError),
    "no context": (Save("x"), InvalidContextError),  # type: ignore[arg-type]  # that is the point
    "no id": (Delete(""), InvalidContextError),
    "no version of a save": (Save(a_context("x"), expected_version=True), InvalidQueryError),
    "no version of a delete": (Delete("x", expected_version=2**63), InvalidQueryError),
    "no key": (Save(a_context("x"), idempotency_key=""), InvalidContextError),
}
REFUSED_EARLY: Final = [name for name in FAILURES if not name.startswith("stale")]


class MixedBatchLaws:
    @pytest.fixture
    def prepared(self, store: Store) -> Store:
        """A store where `a` stands at version 2, `b` at 1, and `c` was deleted at 1."""
        store.save_contexts([a_context("a"), a_context("a"), a_context("b"), a_context("c")])
        store.delete_context("c")
        return store

    @promise("BA06", "CA07", "BA02")
    def test_saves_and_deletes_are_done_in_order(self, prepared: Store) -> None:
        """Each sees those before it, is held to its own expected version, and has its answer."""
        assert prepared.batch(good_operations()) == [3, True, 2, False, 2, True, 4]
        heads = {header.workflow_id: (header.version, header.feature) for header in prepared.list_headers()}
        assert heads == {"a": (4, "checkout"), "b": (2, "again"), "c": (2, "checkout")}
        assert {name: len(prepared.history(name)) for name in ALL_IDS} == {"a": 1, "b": 1, "c": 1, "d": 0}

    @promise("BA01", "BA06", "CA07")
    @pytest.mark.parametrize("position", range(len(good_operations()) + 1))
    @pytest.mark.parametrize("failure", FAILURES)
    def test_a_refused_item_undoes_all(self, subject: Subject, prepared: Store, failure: str, position: int) -> None:
        """Saves, deletes and numbers are as they were, wherever it stands."""
        before = everything(subject.backend(), ALL_IDS)
        failing, error = FAILURES[failure]
        operations = good_operations()
        operations.insert(position, failing)
        with pytest.raises(error):
            prepared.batch(operations)
        assert everything(subject.backend(), ALL_IDS) == before
        assert prepared.batch(good_operations()) == [3, True, 2, False, 2, True, 4]

    @promise("ER04", "BA01")
    @pytest.mark.parametrize("failure", REFUSED_EARLY)
    def test_a_bad_argument_stops_a_batch_before_any_verb(self, subject: Subject, failure: str) -> None:
        """The last item is looked at before the first is written."""
        counter = CallCountingBackend(subject.backend())
        with pytest.raises(FAILURES[failure][1]):
            subject.around(counter).batch([*good_operations(), FAILURES[failure][0]])
        assert counter.calls == []

    @promise("CA01", "CA07")
    def test_a_conflict_tells_which_item_it_was(self, prepared: Store) -> None:
        """Its workflow, and where that stands after the items before it."""
        with pytest.raises(VersionConflictError) as caught:
            prepared.batch([Save(a_context("a")), Delete("b"), Delete("a", expected_version=2)])
        assert (caught.value.workflow_id, caught.value.expected, caught.value.actual) == ("a", 2, 3)

    @promise("ID01", "BA06")
    def test_a_batch_with_keys_is_safe_to_retry(self, subject: Subject) -> None:
        """The saves give their first versions, the deletes find nothing left, and nothing is written."""
        subject.requires(Capability.IDEMPOTENCY)
        store = subject.open()
        store.save_context(a_context("b"))
        operations: list[Save | Delete] = [Save(a_context("a"), expected_version=0, idempotency_key="k"), Delete("b")]
        operations += [Save(a_context("a", feature="other"), expected_version=1, idempotency_key="l")]
        assert store.batch(operations) == [1, True, 2]
        before = everything(subject.backend())
        assert store.batch(operations) == [1, False, 2]
        assert everything(subject.backend()) == before

    @promise("ID02", "BA01")
    def test_a_key_of_other_content_undoes_all(self, subject: Subject) -> None:
        """Also where the key was used within the same batch."""
        subject.requires(Capability.IDEMPOTENCY)
        store = subject.open()
        store.save_context(a_context("b"))
        before = everything(subject.backend())
        first = Save(a_context("a"), idempotency_key="k")
        with pytest.raises(IdempotencyConflictError):
            store.batch([Delete("b"), first, Save(a_context("a", feature="other"), idempotency_key="k")])
        assert everything(subject.backend()) == before
        assert store.batch([Delete("b"), first, first]) == [True, 1, 1]

    @promise("BA03")
    def test_the_empty_batch_of_a_store_does_nothing(self, subject: Subject, prepared: Store) -> None:
        """It succeeds."""
        before = everything(subject.backend())
        assert prepared.batch([]) == []
        assert everything(subject.backend()) == before

    @promise("BA07")
    def test_operations_may_come_from_a_generator(self, subject: Subject, prepared: Store) -> None:
        """Read once; where it breaks off, its error is the caller's and nothing is written."""

        def broken() -> Iterator[Save | Delete]:
            yield Delete("a")
            raise KeyError("the caller's own")

        before: Contents = everything(subject.backend())
        with pytest.raises(KeyError, match="the caller's own"):
            prepared.batch(broken())
        assert everything(subject.backend()) == before
        assert prepared.batch(iter(good_operations())) == [3, True, 2, False, 2, True, 4]

    @promise("BA02", "RT12")
    def test_operations_are_values(self) -> None:
        """Frozen, and equal where their arguments are; a batch takes the same ones again."""
        assert Save(a_context("a"), expected_version=1) == Save(a_context("a"), expected_version=1)
        assert Delete("a") != Delete("a", expected_version=0)
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            Delete("a").workflow_id = "b"  # type: ignore[misc]  # that is the point
