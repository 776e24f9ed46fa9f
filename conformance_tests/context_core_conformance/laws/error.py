"""Laws of errors: which class, which facts, and how early."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Final, cast

import attrs
import pytest

from context_core import (
    Capability,
    ContextCoreError,
    ContextNotFoundError,
    ContextPersistence,
    IdempotencyConflictError,
    InvalidContextError,
    InvalidQueryError,
    LimitExceededError,
    PersistenceError,
    UnserializableValueError,
    VersionConflictError,
    VersionNotFoundError,
)
from context_core.records import SaveRequest
from context_core_conformance.call_counter import CallCountingBackend
from context_core_conformance.misuse import MISUSES, Misuse, each_misuse
from context_core_conformance.promises import promise
from context_core_conformance.samples import EPOCH, TickingClock, a_context
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Store, record_of

NOTE: Final = "a note that is nobody else's business"


@attrs.frozen
class Refusal:
    """A call on a store in which `w` stands at version 2, both versions holding the secret; and what it raises."""

    error: type[ContextCoreError]
    call: Callable[[Store], object]
    facts: dict[str, Any]
    is_lookup: bool = False


def _secretive(workflow_id: str = "w", **fields: Any) -> Any:
    return a_context(workflow_id, **({"decisions": {"note": NOTE}, "metadata": {"note": NOTE}} | fields))


REFUSALS: Final[dict[str, Refusal]] = {
    "missing workflow": Refusal(
        ContextNotFoundError, lambda store: store.load_context("none"), {"workflow_id": "none"}, is_lookup=True
    ),
    "missing version": Refusal(
        VersionNotFoundError,
        lambda store: store.load_context("w", version=9),
        {"workflow_id": "w", "wanted": "version 9", "head_version": 2},
        is_lookup=True,
    ),
    "too early": Refusal(
        VersionNotFoundError,
        lambda store: store.load_context("w", as_of=EPOCH.replace(year=2024)),
        {"workflow_id": "w", "head_version": 2},
        is_lookup=True,
    ),
    "update of nothing": Refusal(
        ContextNotFoundError,
        lambda store: store.update_context(_secretive("none")),
        {"workflow_id": "none"},
        is_lookup=True,
    ),
    "rollback to nothing": Refusal(
        VersionNotFoundError,
        lambda store: store.rollback("w", 9),
        {"workflow_id": "w", "head_version": 2},
        is_lookup=True,
    ),
    "stale save": Refusal(
        VersionConflictError,
        lambda store: store.save_context(_secretive(), expected_version=1),
        {"workflow_id": "w", "expected": 1, "actual": 2},
    ),
    "creation of what exists": Refusal(
        VersionConflictError,
        lambda store: store.save_context(_secretive(), expected_version=0),
        {"workflow_id": "w", "expected": 0, "actual": 2},
    ),
    "stale save of nothing": Refusal(
        VersionConflictError,
        lambda store: store.save_context(_secretive("none"), expected_version=3),
        {"workflow_id": "none", "expected": 3, "actual": 0},
    ),
    "stale delete": Refusal(
        VersionConflictError,
        lambda store: store.delete_context("w", expected_version=1),
        {"workflow_id": "w", "expected": 1, "actual": 2},
    ),
    "stale rollback": Refusal(
        VersionConflictError,
        lambda store: store.rollback("w", 1, expected_version=1),
        {"workflow_id": "w", "expected": 1, "actual": 2},
    ),
    "unserializable": Refusal(
        UnserializableValueError,
        lambda store: store.save_context(_secretive(metadata={"note": NOTE, "b": [NOTE.encode()]})),
        {"path": "$.metadata.b[0]", "field": "metadata", "type_name": "bytes"},
    ),
}

each_refusal: Final = pytest.mark.parametrize("refusal", REFUSALS.values(), ids=list(REFUSALS))


LONGEST_MESSAGE: Final = 2_000
"""In characters: about a screen."""

LONG_VALUES: Final[dict[str, Callable[[Store, str], object]]] = {
    "id": lambda store, long: store.load_context(long),
    "id of a context": lambda store, long: store.save_context(a_context(long)),
    "key": lambda store, long: store.save_context(a_context("w"), idempotency_key=long),
    "name of a field": lambda _, long: a_context("w").copy_with(**{long: 1}),
    "key of a mapping": lambda store, long: store.save_context(a_context("w", decisions={long: {1}})),
    "value": lambda store, long: store.save_context(a_context("w", decisions={"k": {long}})),
    "key that is no text": lambda store, long: store.save_context(a_context("w", decisions={(long,): 1})),
    "status": lambda _, long: a_context("w", status=long),
    "filtered field": lambda store, long: store.search_contexts({long: 1}),
    "operator": lambda store, long: store.search_contexts({f"status__{long}": 1}),
    "filtered status": lambda store, long: store.search_contexts({"status": long}),
    "filtered time": lambda store, long: store.search_contexts({"created_at__gte": long}),
    "order": lambda store, long: store.search_contexts(order_by=long),
    "limit": lambda store, long: store.search_contexts(limit=cast("Any", long)),
    "version": lambda store, long: store.load_context("w", version=cast("Any", long)),
    "time": lambda store, long: store.load_context("w", as_of=cast("Any", long)),
    "cursor": lambda store, long: store.search_page(cursor=long),
    "context": lambda store, long: store.save_context(cast("Any", long)),
    "operation": lambda store, long: store.batch([cast("Any", long)]),
    "fork": lambda store, long: store.fork("w", long),
    "URL": lambda _, long: ContextPersistence(f"{long}://"),
    "option of a URL": lambda _, long: ContextPersistence(f"memory://?{long}=1"),
}

each_long_value: Final = pytest.mark.parametrize("call", LONG_VALUES.values(), ids=list(LONG_VALUES))


class ErrorLaws:
    @pytest.fixture
    def held(self, subject: Subject) -> Store:
        """A store in which `w` stands at version 2."""
        store = subject.open(clock=TickingClock())
        store.save_context(_secretive())
        store.save_context(_secretive())
        return store

    @promise("ER02", "ER03")
    @each_refusal
    def test_refusal_has_its_class_and_facts(self, held: Store, refusal: Refusal) -> None:
        """What a store refuses, it refuses by one class on every driver, with the facts as attributes."""
        with pytest.raises(refusal.error) as caught:
            refusal.call(held)
        assert type(caught.value) is refusal.error
        assert {name: getattr(caught.value, name) for name in refusal.facts} == refusal.facts

    @promise("ER01")
    @each_refusal
    def test_refusal_is_caught_by_its_bases(self, held: Store, refusal: Refusal) -> None:
        """PersistenceError is the base of all of them, and what is missing is a LookupError too."""
        with pytest.raises(PersistenceError) as caught:
            refusal.call(held)
        assert isinstance(caught.value, ContextCoreError)
        assert isinstance(caught.value, LookupError) is refusal.is_lookup

    @promise("ER03")
    @each_refusal
    def test_refusal_tells_no_document(self, held: Store, refusal: Refusal) -> None:
        """The message, its repr and those of its causes hold nothing of what was to be stored."""
        with pytest.raises(PersistenceError) as caught:
            refusal.call(held)
        assert [text for text in _told(caught.value) if NOTE in text] == []

    @promise("ER03")
    def test_conflict_says_what_to_do_next(self, held: Store) -> None:
        """The sentence names the workflow, both versions and the remedy."""
        with pytest.raises(VersionConflictError, match=r"'w' is at version 2, not 1: load it again and retry"):
            held.save_context(a_context("w"), expected_version=1)

    @promise("ER03", "CA02")
    @pytest.mark.parametrize(("workflow_id", "expected"), [("w", 0), ("none", 3)])
    def test_conflict_about_existence_does_not_advise_to_load(
        self, held: Store, workflow_id: str, expected: int
    ) -> None:
        """What exists where it was to be created, or is missing where it was expected, is not solved by a retry."""
        with pytest.raises(VersionConflictError) as caught:
            held.save_context(a_context(workflow_id), expected_version=expected)
        assert "load it again and retry" not in str(caught.value)
        assert ("exists already" in str(caught.value)) is (expected == 0)

    @promise("ER03")
    @each_long_value
    def test_message_about_a_megabyte_is_short(self, held: Store, call: Callable[[Store, str], object]) -> None:
        """A value of a megabyte is refused with a message that a log can keep, and so are the errors it came from."""
        with pytest.raises(ContextCoreError) as caught:
            call(held, "x" * 2**20)
        assert [len(text) for text in _told(caught.value) if len(text) > LONGEST_MESSAGE] == []

    @promise("ER02", "ER03", "RT15")
    def test_document_over_the_limit_has_its_class_and_facts(self, subject: Subject, held: Store) -> None:
        """LimitExceededError carries the size and the limit, and tells none of the document."""
        backend = subject.backend()
        limit = backend.describe().limits.document_bytes
        record = attrs.evolve(record_of(_secretive()), document=NOTE.encode().ljust(limit + 1))
        with pytest.raises(LimitExceededError) as caught:
            backend.save(SaveRequest(record=record))
        assert (caught.value.actual, caught.value.limit) == (limit + 1, limit)
        assert NOTE not in str(caught.value)
        assert [header.version for header in held.history("w")] == [1, 2]

    @promise("ER02", "ER03", "ID02")
    def test_key_of_other_content_has_its_class_and_facts(self, subject: Subject, held: Store) -> None:
        """IdempotencyConflictError carries the workflow, the key and the version it stands for."""
        subject.requires(Capability.IDEMPOTENCY)
        held.save_context(_secretive(), idempotency_key="key-1")
        with pytest.raises(IdempotencyConflictError) as caught:
            held.save_context(_secretive(epic_num=5), idempotency_key="key-1")
        assert (caught.value.workflow_id, caught.value.key, caught.value.version) == ("w", "key-1", 3)
        assert [text for text in _told(caught.value) if NOTE in text] == []

    @promise("ER02", "RT13")
    @each_misuse
    def test_misuse_has_its_class(self, held: Store, misuse: Misuse) -> None:
        """The same misuse raises the same class on every driver."""
        with pytest.raises(ContextCoreError) as caught:
            misuse.call(held)
        assert type(caught.value) is misuse.error

    @promise("ER01", "ER02")
    def test_invalid_arguments_are_value_errors(self, store: Store) -> None:
        """What is wrong with an argument is a ValueError too, and no error of storage."""
        for call in (lambda: store.load_context(""), lambda: store.search_contexts({"x": 1})):
            with pytest.raises(ValueError, match=r".") as caught:
                call()
            assert isinstance(caught.value, InvalidContextError | InvalidQueryError)
            assert not isinstance(caught.value, PersistenceError)

    @promise("ER04")
    def test_bad_arguments_never_reach_the_backend(self, subject: Subject) -> None:
        """They fail before any verb is called."""
        counter = CallCountingBackend(subject.backend())
        store = subject.around(counter)
        store.save_context(a_context("w"))
        reached = {}
        for misuse in MISUSES:
            counter.calls.clear()
            with contextlib.suppress(ContextCoreError):
                misuse.call(store)
            reached[misuse.name] = [type(call).__name__ for call in counter.calls]
        assert {name: calls for name, calls in reached.items() if calls} == {}

    @promise("ER04")
    def test_bad_item_stops_a_batch_before_any_verb(self, subject: Subject) -> None:
        """The last of many contexts is looked at before the first is written."""
        counter = CallCountingBackend(subject.backend())
        contexts = (a_context(f"w{number}", metadata={"k": {1} if number == 99 else 1}) for number in range(100))
        with pytest.raises(UnserializableValueError):
            subject.around(counter).save_contexts(contexts)
        assert counter.calls == []


def _told(error: BaseException | None) -> Iterator[str]:
    """All that a log may show of an error, and of those it came from."""
    while error is not None:
        yield from (str(error), repr(error))
        error = error.__cause__ or error.__context__
