"""Laws of large numbers and sizes: nothing wraps, is cut or is rounded at 2^31, 2^32 or 2^53."""

from collections.abc import Callable
from functools import partial
from typing import Final

import attrs
import pytest

from context_core import (
    Capability,
    ContextCoreError,
    ContextNotFoundError,
    IdempotencyConflictError,
    LimitExceededError,
    VersionConflictError,
    VersionNotFoundError,
)
from context_core.records import DeleteRequest, QueryRequest, RestoreRequest, SavedVersion, SaveRequest, VersionRequest
from context_core_conformance.promises import promise
from context_core_conformance.restoring import tombstones
from context_core_conformance.samples import EPOCH, a_context
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import a_save, apply, headers_of, loaded, record_of

ALIASES: Final = (2**31 + 1, 2**32 + 1, 2**53 + 1, 2**62 + 1)
"""Each of these is 1, or its own neighbour, where a number is cut to 31, 32 or 53 bits."""

NEIGHBOURS: Final = (2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53 - 1, 2**53, 2**53 + 1, 2**63 - 2, 2**63 - 1)
"""Numbers that a narrower type takes for each other."""

each_alias: Final = pytest.mark.parametrize("alias", ALIASES)


def _refusal_of(action: Callable[[], object]) -> ContextCoreError:
    """The error that *action* raises; it must raise one."""
    with pytest.raises(ContextCoreError) as caught:
        action()
    return caught.value


class BoundLaws:
    @promise("CA01", "CA07")
    @each_alias
    def test_a_large_expected_version_is_no_small_one(self, subject: Subject, alias: int) -> None:
        """A save and a delete that expect it are refused at version 1, and the error tells the number as it was."""
        store = subject.open()
        store.save_context(a_context("w"))
        refused_calls: list[Callable[[], object]] = [
            lambda: store.save_context(a_context("w"), expected_version=alias),
            lambda: store.delete_context("w", expected_version=alias),
            lambda: store.rollback("w", 1, expected_version=alias),
        ]
        for refused in refused_calls:
            with pytest.raises(VersionConflictError) as caught:
                refused()
            assert (caught.value.expected, caught.value.actual) == (alias, 1)
        assert [header.version for header in store.history("w")] == [1]

    @promise("VE03", "VE04", "VE09")
    @each_alias
    def test_a_large_version_is_no_small_one(self, subject: Subject, alias: int) -> None:
        """It is missing: to load it, to go back to it and to fork it are refused."""
        store = subject.open()
        store.save_context(a_context("w"))
        assert store.get_context_by_version("w", alias) is None
        for refused in (
            lambda: store.load_context("w", version=alias),
            lambda: store.rollback("w", alias),
            lambda: store.fork("w", "new", version=alias),
        ):
            with pytest.raises(VersionNotFoundError):
                refused()
        assert [header.version for header in store.history("w")] == [1]
        assert not store.context_exists("new")

    @promise("QU11", "VE07")
    @each_alias
    def test_a_large_limit_or_offset_is_no_small_one(self, subject: Subject, alias: int) -> None:
        """A large limit gives everything, a large offset nothing, in searches and in histories."""
        backend = subject.backend()
        apply(backend, *(a_save("w") for _ in range(3)), a_save("x"), a_save("y"))
        assert len(backend.query(QueryRequest(limit=alias)).documents) == 3
        assert len(backend.query(QueryRequest(offset=1, limit=alias)).documents) == 2
        assert backend.query(QueryRequest(offset=alias)).documents in ((), [])
        assert backend.query(QueryRequest(offset=alias, limit=alias)).documents in ((), [])
        assert len(backend.version(VersionRequest(of="w", limit=alias)).headers) == 3
        assert len(backend.version(VersionRequest(of="w", offset=1, limit=alias)).headers) == 2
        assert list(backend.version(VersionRequest(of="w", offset=alias, limit=alias)).headers) == []

    @promise("RT01", "QU01", "QU10", "VE12")
    def test_large_numbers_of_fields_stay_apart(self, subject: Subject) -> None:
        """Epics and stories up to 2^63 - 1 come back, and conditions, orders and stories tell them apart."""
        store = subject.open()
        names = [f"w{place}" for place in range(len(NEIGHBOURS))]
        store.save_contexts(
            a_context(name, epic_num=number, story_num=number) for name, number in zip(names, NEIGHBOURS, strict=True)
        )
        for place, (name, number) in enumerate(zip(names, NEIGHBOURS, strict=True)):
            loaded_context, (header,) = store.load_context(name), store.history(name)
            assert (loaded_context.epic_num, loaded_context.story_num) == (number, number)
            assert (header.epic_num, header.story_num) == (number, number)
            for field in ("epic_num", "story_num"):
                found = {
                    operator: [
                        each.workflow_id
                        for each in store.list_headers({f"{field}__{operator}": number}, order_by=field)
                    ]
                    for operator in ("eq", "lt", "lte", "gt", "gte", "ne")
                }
                assert found == {
                    "eq": [name],
                    "lt": names[:place],
                    "lte": names[: place + 1],
                    "gt": names[place + 1 :],
                    "gte": names[place:],
                    "ne": names[:place] + names[place + 1 :],
                }
            assert store.get_version_count(number, number) == 1
            assert store.count_contexts({"epic_num__in": [number, number - 3]}) == 1

    @promise("MO01", "VE01", "VE03")
    @each_alias
    def test_a_history_of_large_numbers_goes_on(self, subject: Subject, alias: int) -> None:
        """A version that was imported under a large number keeps it, and the next one is its successor."""
        backend = subject.backend()
        restore = RestoreRequest(
            record=record_of(a_context("w")), version=alias, saved_at=EPOCH, workflow_created_at=EPOCH
        )
        apply(backend, restore)
        saved = backend.save(a_save("w", expected_version=alias))
        assert saved.version == alias + 1
        with pytest.raises(VersionConflictError) as caught:
            backend.save(a_save("w", expected_version=1))
        assert caught.value.actual == alias + 1
        assert [header.version for header in headers_of(backend, "w")] == [alias, alias + 1]
        assert [document.version for document in loaded(backend, "w", version=alias)] == [alias]
        assert loaded(backend, "w", version=1) == []
        assert loaded(backend, "w")[0].version == alias + 1

    @promise("VE03", "VE07", "VE09", "CA01")
    def test_versions_are_numbers_and_no_texts(self, subject: Subject) -> None:
        """Version 10 follows version 9, and 100 follows 99: as the head, in lists, and across workflows of a story."""
        store = subject.open()
        for number in range(1, 12):
            for name in ("a", "b"):
                assert store.save_context(a_context(name, feature=f"f{number}"), expected_version=number - 1) == number
        store.save_contexts(a_context("b") for _ in range(90))
        assert (store.load_context("a").version, store.load_context("b").version) == (11, 101)
        assert [header.version for header in store.history("b", limit=3, newest_first=True)] == [101, 100, 99]
        story = [(each.version, each.workflow_id) for each in store.get_context_versions(1, 2)]
        assert story == [(number, name) for number in range(1, 12) for name in ("a", "b")] + [
            (number, "b") for number in range(12, 102)
        ]
        assert store.rollback("b", 2) == 102
        by_version = [each.workflow_id for each in store.list_headers(order_by="version")]
        assert by_version == ["a", "b"]

    @promise("RT15")
    def test_a_size_is_counted_in_bytes(self, subject: Subject) -> None:
        """A document whose characters fit and whose bytes do not is refused, alone and in a batch."""
        backend = subject.backend()
        limit = backend.describe().limits.document_bytes
        document = "é".encode() * (limit // 2 + 1)
        request = SaveRequest(record=attrs.evolve(record_of(a_context("w")), document=document))
        for refused in (lambda: backend.save(request), lambda: apply(backend, a_save("x"), request)):
            with pytest.raises(LimitExceededError) as caught:
                refused()
            assert caught.value.limit < caught.value.actual == len(document)
        assert loaded(backend, "w", "x") == []


class RefusalOrderLaws:
    @promise("RT15", "ID02", "CA01", "VE04", "ER02")
    @pytest.mark.parametrize("is_batch", [False, True], ids=["save", "batch"])
    def test_a_save_is_refused_for_the_first_of_its_faults(self, subject: Subject, is_batch: bool) -> None:  # noqa: FBT001  # a parameter
        """Size, idempotency key, existence, expected version: in this order, in a batch too."""
        backend = subject.backend()
        has_keys = Capability.IDEMPOTENCY in subject.capabilities
        key = "k" if has_keys else None
        backend.save(a_save("w", key=key))
        limit = backend.describe().limits.document_bytes

        def refusal_of(request: SaveRequest) -> type[ContextCoreError]:
            alone, together = partial(backend.save, request), partial(apply, backend, request)
            return type(_refusal_of(together if is_batch else alone))

        everything = a_save("w", key=key, feature="other", expected_version=7)
        oversized = attrs.evolve(everything, record=attrs.evolve(everything.record, document=bytes(limit + 1)))
        assert refusal_of(oversized) is LimitExceededError
        if has_keys:
            assert refusal_of(everything) is IdempotencyConflictError
        assert refusal_of(a_save("missing", must_exist=True, expected_version=7)) is ContextNotFoundError
        assert refusal_of(a_save("w", must_exist=True, expected_version=7)) is VersionConflictError
        assert len(headers_of(backend, "w")) == 1

    @promise("RT15", "MO01")
    def test_a_restore_is_refused_for_its_size_first(self, subject: Subject) -> None:
        """As a save is; what does not continue the history is looked at behind."""
        backend = subject.backend()
        record = record_of(a_context("w"))
        oversized = attrs.evolve(record, document=bytes(backend.describe().limits.document_bytes + 1))
        backend.save(a_save("w"))
        with pytest.raises(LimitExceededError):
            apply(
                backend,
                RestoreRequest(record=oversized, version=1, saved_at=EPOCH, workflow_created_at=EPOCH),
            )
        assert len(headers_of(backend, "w")) == 1


class EarlierItemLaws:
    @promise("BA02", "BA06", "ID01", "DE01")
    def test_a_delete_frees_the_keys_of_its_workflow(self, subject: Subject) -> None:
        """A save behind it in the same batch may use a key again, with other content too."""
        subject.requires(Capability.IDEMPOTENCY)
        backend = subject.backend()
        backend.save(a_save("w", key="k"))
        _, saved = apply(backend, DeleteRequest(workflow_id="w"), a_save("w", key="k", feature="other"))
        assert isinstance(saved, SavedVersion)
        assert (saved.version, saved.is_replay) == (2, False)
        assert backend.save(a_save("w", key="k", feature="other")).is_replay

    @promise("BA02", "ID01", "ID02", "BA01")
    def test_a_key_is_known_to_later_items(self, subject: Subject) -> None:
        """The same content is a replay, and other content undoes the whole batch."""
        subject.requires(Capability.IDEMPOTENCY)
        backend = subject.backend()
        outcomes = apply(backend, a_save("w", key="k"), a_save("w"), a_save("w", key="k"))
        assert [(each.version, each.is_replay) for each in outcomes if isinstance(each, SavedVersion)] == [
            (1, False),
            (2, False),
            (1, True),
        ]
        with pytest.raises(IdempotencyConflictError):
            apply(backend, a_save("x", key="k"), a_save("x", key="k", feature="other"))
        assert loaded(backend, "x") == []

    @promise("BA02", "BA06", "CA01", "CA02", "VE05")
    def test_a_later_item_sees_what_the_earlier_ones_did(self, subject: Subject) -> None:
        """Expected versions, existence and numbers are those behind the item before."""
        backend = subject.backend()
        outcomes = apply(
            backend,
            a_save("w", expected_version=0),
            a_save("w", expected_version=1, must_exist=True),
            DeleteRequest(workflow_id="w", expected_version=2),
            a_save("w", expected_version=0),
            a_save("w", expected_version=3),
        )
        assert [each.version for each in outcomes if isinstance(each, SavedVersion)] == [1, 2, 3, 4]
        assert [header.version for header in headers_of(backend, "w")] == [3, 4]
        with pytest.raises(ContextNotFoundError):
            apply(backend, DeleteRequest(workflow_id="w"), a_save("w", must_exist=True))
        with pytest.raises(VersionConflictError) as caught:
            apply(backend, DeleteRequest(workflow_id="w"), a_save("w", expected_version=4))
        assert caught.value.actual == 0
        with pytest.raises(VersionConflictError) as caught:
            apply(backend, a_save("w"), DeleteRequest(workflow_id="w", expected_version=4))
        assert caught.value.actual == 5
        assert [header.version for header in headers_of(backend, "w")] == [3, 4]

    @promise("VE05", "BA02", "BA06")
    @pytest.mark.parametrize("length", [0, 1, 2, 7])
    def test_a_delete_leaves_the_number_that_its_batch_saved_last(self, subject: Subject, length: int) -> None:
        """The tombstone tells the newest version of all, though the batch itself wrote it."""
        backend = subject.backend()
        apply(backend, a_save("old"), a_save("old"))
        saves = [a_save(name) for name in ("old", "new") for _ in range(length)]
        deletes = [DeleteRequest(workflow_id=name) for name in ("old", "new")]
        apply(backend, *saves, *deletes)
        expected = [("new", length), ("old", 2 + length)] if length else [("old", 2)]
        assert [(each.workflow_id, each.last_version) for each in tombstones(backend)] == expected
        assert [backend.save(a_save(name)).version for name in ("old", "new")] == [3 + length, 1 + length]

    @promise("VE06", "VE01", "BA02")
    @pytest.mark.parametrize("length", [1, 2, 30])
    @pytest.mark.parametrize("is_expected", [False, True], ids=["unconditional", "expected"])
    def test_equal_content_in_a_batch_makes_new_versions(
        self,
        subject: Subject,
        length: int,
        is_expected: bool,  # noqa: FBT001  # a parameter
    ) -> None:
        """Each item is a version, whether the head or an item before it holds the same."""
        backend = subject.backend()
        backend.save(a_save("w"))
        saves = [a_save("w", expected_version=number if is_expected else None) for number in range(1, length + 1)]
        outcomes = apply(backend, *saves)
        numbers = [outcome.version for outcome in outcomes if isinstance(outcome, SavedVersion)]
        assert numbers == list(range(2, length + 2))
        assert len(headers_of(backend, "w")) == length + 1
