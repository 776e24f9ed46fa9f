"""Laws of the batch group: all or nothing."""

import random
from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from context_core import (
    Capability,
    ContextNotFoundError,
    IdempotencyConflictError,
    InvalidContextError,
    PersistenceError,
    UnserializableValueError,
    VersionConflictError,
    WorkflowContext,
)
from context_core.records import (
    BatchRequest,
    Deleted,
    DeleteRequest,
    Operation,
    QueryRequest,
    SavedVersion,
    Want,
)
from context_core_conformance.promises import promise
from context_core_conformance.racing import in_processes, in_threads
from context_core_conformance.samples import EPOCH, TickingClock, a_context
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Store, a_save, apply, everything, headers_of, loaded
from context_core_conformance.workers import racing_workers as workers

MANY_SAVES = 10_000
MANY_IDS = 50_000
TOGETHER = tuple(f"together-{number}" for number in range(20))


def good_operations() -> list[Operation]:
    """Operations of each kind that all succeed on what `prepare` wrote."""
    return [
        a_save("new", expected_version=0),
        a_save("old", must_exist=True, feature="changed"),
        DeleteRequest(workflow_id="doomed", expected_version=2),
        a_save("doomed", expected_version=0),
        DeleteRequest(workflow_id="missing"),
        a_save("old", expected_version=2),
        a_save("fleeting"),
        DeleteRequest(workflow_id="fleeting"),
    ]


def prepare(subject: Subject) -> Any:
    """A backend with some workflows on it."""
    backend = subject.backend()
    apply(backend, a_save("old"), a_save("doomed"), a_save("doomed"), a_save("deleted"))
    apply(backend, DeleteRequest(workflow_id="deleted"))
    return backend


FAILURES: dict[str, tuple[Operation, type[PersistenceError]]] = {
    "conflict": (a_save("bystander", expected_version=7), VersionConflictError),
    "conflict of a creation": (a_save("deleted", expected_version=1), VersionConflictError),
    "conflict of a delete": (DeleteRequest(workflow_id="bystander", expected_version=7), VersionConflictError),
    "must exist": (a_save("deleted", must_exist=True), ContextNotFoundError),
}
ALL_IDS = ("new", "old", "doomed", "missing", "deleted", "bystander", "fleeting")


class BatchLaws:
    """Laws about lists of operations, and about loads of many."""

    @promise("BA01")
    @pytest.mark.parametrize("position", range(len(good_operations()) + 1))
    @pytest.mark.parametrize("failure", FAILURES)
    def test_a_failure_at_any_item_undoes_all(self, subject: Subject, failure: str, position: int) -> None:
        """Saves, deletes and numbers are as they were, wherever the failure stands."""
        backend = prepare(subject)
        before = everything(backend, ALL_IDS)
        failing, error = FAILURES[failure]
        operations = good_operations()
        operations.insert(position, failing)
        with pytest.raises(error):
            backend.batch(BatchRequest(operations=operations))
        assert everything(backend, ALL_IDS) == before
        assert everything(subject.backend(), ALL_IDS) == before
        names = ("new", "old", "doomed", "deleted", "fleeting")
        assert [backend.save(a_save(name)).version for name in names] == [1, 2, 3, 2, 1]

    @promise("BA01", "ID02")
    @pytest.mark.parametrize("position", range(4))
    def test_a_misused_key_at_any_item_undoes_all(self, subject: Subject, position: int) -> None:
        """Neither the items nor their keys stay."""
        subject.requires(Capability.IDEMPOTENCY)
        backend = subject.backend()
        backend.save(a_save("a", key="used"))
        before = everything(backend)
        operations: list[Operation] = [a_save("b", key="k"), a_save("a", key="k"), DeleteRequest(workflow_id="c")]
        operations.insert(position, a_save("a", key="used", feature="other"))
        with pytest.raises(IdempotencyConflictError):
            apply(backend, *operations)
        assert everything(backend, ["b"]) == before | {"b": ()}
        assert backend.save(a_save("a", key="k", feature="free")).version == 2

    @promise("BA01")
    @pytest.mark.parametrize("position", range(4))
    def test_a_bad_value_at_any_item_writes_nothing(self, subject: Subject, position: int) -> None:
        """The contexts before and after it stay unsaved, and those that exist unchanged."""
        store, backend = subject.open(), subject.backend()
        store.save_context(a_context("a"))
        before = everything(backend)
        contexts = [a_context("a"), a_context("b"), a_context("c")]
        contexts.insert(position, a_context("bad", metadata={"when": EPOCH}))
        with pytest.raises(UnserializableValueError):
            store.save_contexts(contexts)
        with pytest.raises(InvalidContextError):
            store.save_contexts([*contexts[:position], "no context"])  # type: ignore[list-item]  # that is the point
        assert everything(backend, ["b", "c", "bad"]) == before | {"b": (), "c": (), "bad": ()}

    @promise("BA01", "BA07")
    def test_inputs_that_break_off_write_nothing(self, store: Store) -> None:
        """An error of the caller's own generator is the caller's, and undoes what it gave before."""

        def contexts() -> Iterator[WorkflowContext]:
            yield a_context("a")
            yield a_context("b")
            raise KeyError("the caller's own")

        with pytest.raises(KeyError, match="the caller's own"):
            store.save_contexts(contexts())
        assert not store.context_exists("a")
        assert store.save_context(a_context("a")) == 1

    @promise("BA02")
    def test_results_follow_the_input(self, store: Store) -> None:
        """Each context's version stands where the context stood; saves of one workflow follow each other."""
        for workflow_id, times in (("a", 3), ("b", 1)):
            for _ in range(times):
                store.save_context(a_context(workflow_id))
        contexts = [a_context(name, metadata={"position": position}) for position, name in enumerate("cabaacba")]
        versions = store.save_contexts(contexts)
        assert versions == [1, 4, 2, 5, 6, 2, 3, 7]
        for context, version in zip(contexts, versions, strict=True):
            assert store.load_context(context.workflow_id, version=version) == context

    @promise("BA02")
    def test_each_operation_has_its_outcome(self, subject: Subject) -> None:
        """One for each, of its kind, in order."""
        backend = subject.backend(clock=TickingClock())
        outcomes = apply(
            backend,
            DeleteRequest(workflow_id="a"),
            a_save("a"),
            DeleteRequest(workflow_id="a"),
            a_save("b"),
            a_save("a"),
            DeleteRequest(workflow_id="b"),
        )
        first, second = SavedVersion(version=1, saved_at=EPOCH), SavedVersion(version=2, saved_at=EPOCH)
        assert outcomes == [Deleted(existed=False), first, Deleted(existed=True), first, second, Deleted(existed=True)]

    @promise("BA03")
    def test_the_empty_batch_succeeds_and_writes_nothing(self, subject: Subject) -> None:
        """Nothing asked, nothing done."""
        store, backend = subject.open(), subject.backend()
        store.save_context(a_context())
        before = everything(backend)
        assert store.save_contexts([]) == []
        assert apply(backend) == []
        assert everything(backend) == before

    @promise("BA03")
    def test_the_empty_batch_leaves_the_storage_as_it_was(self, subject: Subject) -> None:
        """Through the storage access hook, too, nothing has moved."""
        store = subject.open()
        store.save_context(a_context())
        before = subject.raw_storage()
        store.save_contexts([])
        assert subject.raw_storage() == before

    @promise("BA04")
    @pytest.mark.parametrize("handles", [1, 2])
    def test_other_threads_see_a_batch_whole(self, subject: Subject, handles: int) -> None:
        """No load of many shows two rounds at once."""
        stores = [subject.open() for _ in range(handles)]

        def act(number: int) -> list[set[int]]:
            if number:
                return workers.watch_rounds(stores[-1], TOGETHER, 60)
            workers.write_rounds(stores[0], TOGETHER, 60)
            return []

        for seen in in_threads(3, act)[1:]:
            assert [rounds for rounds in seen if len(rounds) != 1] == []

    @promise("BA04")
    def test_queries_see_a_batch_whole(self, subject: Subject) -> None:
        """No query shows two rounds at once."""
        writer, reader = subject.open(), subject.open()
        workers.write_rounds(writer, TOGETHER, 1)

        def look() -> set[int]:
            return {context.metadata["round"] for context in reader.search_contexts({"feature": "checkout"})}

        def act(number: int) -> list[set[int]]:
            if number:
                return workers.watch(look, until=lambda rounds: 60 in rounds)
            workers.write_rounds(writer, TOGETHER, 60)
            return []

        _, seen = in_threads(2, act)
        assert [rounds for rounds in seen if len(rounds) != 1] == []

    @promise("BA04")
    def test_other_processes_see_a_batch_whole(self, subject: Subject) -> None:
        """The same, across processes."""
        subject.requires(Capability.MULTI_PROCESS)
        _, *watchers = in_processes(3, workers.write_or_watch, subject.url, TOGETHER, 60)
        for seen in watchers:
            assert [rounds for rounds in seen if len(rounds) != 1] == []

    @promise("BA05")
    def test_ten_thousand_saves_are_one_batch(self, subject: Subject) -> None:
        """As many as an engine binds parameters, and more: all are saved, or, with a conflict at the end, none."""
        backend = subject.backend()
        request = a_save(metadata={"small": 1})
        saves = [_renamed(request, f"w{number % (MANY_SAVES // 2)}") for number in range(MANY_SAVES)]
        with pytest.raises(VersionConflictError):
            apply(backend, *saves, a_save("w0", expected_version=1))
        assert backend.query(QueryRequest(want=Want.COUNT)).count == 0
        outcomes = apply(backend, *saves)
        half = MANY_SAVES // 2
        versions = [outcome.version for outcome in outcomes if isinstance(outcome, SavedVersion)]
        assert versions == [1] * half + [2] * half
        assert backend.query(QueryRequest(want=Want.COUNT)).count == half
        assert [header.version for header in headers_of(backend, f"w{half - 1}")] == [1, 2]

    @promise("BA05", "BA08")
    def test_fifty_thousand_ids_are_one_load(self, subject: Subject) -> None:
        """All that exist come, in the asked order, however many ids there are and however few of them exist."""
        backend = subject.backend()
        request = a_save()
        apply(backend, *(_renamed(request, f"w{number}") for number in range(0, MANY_IDS, 50)))
        wanted = [f"w{number}" for number in range(MANY_IDS)]
        random.Random(7).shuffle(wanted)  # noqa: S311  # an order, no secret
        expected = [workflow_id for workflow_id in wanted if int(workflow_id[1:]) % 50 == 0]
        for asked in ({}, {"version": 1}, {"as_of": EPOCH.replace(year=9999)}):
            found = loaded(backend, *wanted, **asked)
            assert [document.workflow_id for document in found] == expected

    @promise("BA05", "BA08")
    def test_one_id_may_be_asked_fifty_thousand_times(self, subject: Subject) -> None:
        """Duplicates far apart are given as asked too."""
        backend = subject.backend()
        apply(backend, a_save("a"), a_save("b"))
        wanted = ["a", "b", "missing"] * (MANY_IDS // 3)
        found = loaded(backend, *wanted)
        assert [document.workflow_id for document in found] == ["a", "b"] * (MANY_IDS // 3)

    @promise("BA06")
    def test_mixed_operations_are_one_transaction(self, subject: Subject) -> None:
        """Saves, deletes and conditional saves take effect in order, and each sees those before it."""
        backend = prepare(subject)
        outcomes = backend.batch(BatchRequest(operations=good_operations()))
        assert [getattr(outcome, "version", None) for outcome in outcomes] == [1, 2, None, 3, None, 3, 1, None]
        assert [outcome.existed for outcome in outcomes if isinstance(outcome, Deleted)] == [True, False, True]
        shown = {name: [header.version for header, _ in pairs[1:]] for name, pairs in everything(backend).items()}
        assert shown == {"new": [1], "old": [1, 2, 3], "doomed": [3]}

    @promise("BA06")
    def test_a_workflow_may_come_and_go_within_a_batch(self, subject: Subject) -> None:
        """What is saved and deleted is gone, what is saved after that is there."""
        backend = subject.backend()
        delete = DeleteRequest(workflow_id="a")
        apply(backend, a_save("a"), delete, a_save("a"), delete, a_save("b"), delete)
        assert set(everything(backend, ["a"])["a"]) == set()
        apply(backend, a_save("a"), delete, a_save("a", feature="last", expected_version=0))
        (head, *history) = everything(backend)["a"]
        assert (head[0].version, head[0].feature) == (4, "last")
        assert [header.version for header, _ in history] == [4]

    @promise("BA07")
    def test_inputs_may_be_generators(self, store: Store) -> None:
        """What can be read only once is read once."""
        names = ("b", "a", "b")
        assert store.save_contexts(a_context(name) for name in names) == [1, 1, 2]
        assert store.save_contexts(iter([])) == []
        found = store.load_contexts(name for name in names)
        assert [(context.workflow_id, context.version) for context in found] == [("b", 2), ("a", 1), ("b", 2)]
        assert store.load_contexts(iter([])) == []
        assert [context.workflow_id for context in store.load_contexts(dict.fromkeys(("a", "b")).keys())] == ["a", "b"]

    @promise("BA08")
    def test_load_of_many_keeps_order_and_duplicates_and_leaves_out_the_missing(self, subject: Subject) -> None:
        """The answer reads like the question: heads, or one version of each."""
        store, backend = subject.open(), subject.backend()
        store.save_contexts(a_context(name, metadata={"name": name}) for name in ("a", "b", "c", "b"))
        store.delete_context("c")
        wanted = ("b", "none", "a", "b", "c", "B", "a", "b ")
        heads = [("b", 2), ("a", 1), ("b", 2), ("a", 1)]
        assert [(document.workflow_id, document.version) for document in loaded(backend, *wanted)] == heads
        contexts = store.load_contexts(wanted)
        assert [(context.metadata["name"], context.version) for context in contexts] == heads
        for version, expected in ((1, ["b", "a", "b", "a"]), (2, ["b", "b"]), (3, []), (0, [])):
            found = loaded(backend, *wanted, version=version)
            assert [document.workflow_id for document in found] == expected
            assert {document.version for document in found} <= {version}
        assert loaded(backend) == []
        assert store.load_contexts([]) == []


def _renamed(request: Any, workflow_id: str) -> Any:
    """The same save for another workflow, without serializing anew."""
    return attrs.evolve(request, record=attrs.evolve(request.record, workflow_id=workflow_id))
