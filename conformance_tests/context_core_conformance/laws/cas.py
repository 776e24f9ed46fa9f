"""Laws of the cas group: optimistic concurrency."""

from collections import Counter
from collections.abc import Callable

import pytest

from context_core import (
    BackendUnavailableError,
    Capability,
    ContextNotFoundError,
    OutcomeUnknownError,
    VersionConflictError,
)
from context_core.records import DeleteRequest, SaveRequest
from context_core_conformance.call_counter import CallCountingBackend
from context_core_conformance.promises import promise
from context_core_conformance.racing import in_processes, in_threads
from context_core_conformance.samples import a_context
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Store, a_save, apply, everything
from context_core_conformance.workers import racing_workers as workers

RACERS = 8
PROCESSES = 4


class CasLaws:
    """Laws about `expected_version`, alone and in races."""

    @promise("CA01")
    @pytest.mark.parametrize("expected", [0, 1, 2, 4, 5, -1, 2**63 - 1, -(2**63)])
    def test_a_stale_writer_is_refused(self, subject: Subject, expected: int) -> None:
        """Any version but the head's is a conflict that carries the facts, and nothing is written."""
        store, backend = subject.open(), subject.backend()
        for number in (1, 2, 3):
            store.save_context(a_context(metadata={"number": number}))
        before = everything(backend)
        for save in (store.save_context, store.update_context):
            with pytest.raises(VersionConflictError) as caught:
                save(a_context(feature="late"), expected_version=expected)
            facts = (caught.value.workflow_id, caught.value.expected, caught.value.actual)
            assert facts == ("order-7", expected, 3)
        assert everything(backend) == before
        assert store.save_context(a_context(), expected_version=3) == 4

    @promise("CA01")
    @pytest.mark.parametrize("expected", [1, 2, -1])
    def test_what_does_not_exist_is_at_no_version(self, subject: Subject, expected: int) -> None:
        """A writer that saw a version of a missing workflow is told that it is at 0."""
        backend = subject.backend()
        with pytest.raises(VersionConflictError) as caught:
            backend.save(a_save(expected_version=expected))
        assert (caught.value.expected, caught.value.actual) == (expected, 0)
        assert everything(backend, ["order-7"]) == {"order-7": ()}
        assert backend.save(a_save()).version == 1

    @promise("CA01")
    def test_the_head_alone_decides(self, store: Store) -> None:
        """Another workflow's version is no excuse, and a fresh reader always gets through."""
        for workflow_id in ("a", "a", "b"):
            store.save_context(a_context(workflow_id))
        with pytest.raises(VersionConflictError):
            store.save_context(a_context("b"), expected_version=2)
        for _ in range(3):
            seen = store.load_context("a")
            assert store.save_context(seen, expected_version=seen.version) == seen.version + 1

    @promise("CA01", "VE04")
    def test_must_exist_refuses_what_does_not(self, subject: Subject) -> None:
        """An update creates nothing, of a deleted workflow neither; it is looked at before the expected version."""
        store, backend = subject.open(), subject.backend()
        for expected in (None, 0, 1):
            with pytest.raises(ContextNotFoundError) as caught:
                backend.save(a_save(must_exist=True, expected_version=expected))
            assert caught.value.workflow_id == "order-7"
        assert everything(backend, ["order-7"]) == {"order-7": ()}
        store.save_context(a_context())
        assert store.update_context(a_context(), expected_version=1) == 2
        store.delete_context("order-7")
        with pytest.raises(ContextNotFoundError):
            store.update_context(a_context())
        assert everything(backend, ["order-7"]) == {"order-7": ()}

    @promise("CA02")
    def test_expected_zero_only_creates(self, subject: Subject) -> None:
        """0 means "does not exist": it is no falsy "any"."""
        store, backend = subject.open(), subject.backend()
        assert store.save_context(a_context(), expected_version=0) == 1
        before = everything(backend)
        with pytest.raises(VersionConflictError) as caught:
            store.save_context(a_context(feature="late"), expected_version=0)
        assert (caught.value.expected, caught.value.actual) == (0, 1)
        assert everything(backend) == before

    @promise("CA02", "VE05")
    def test_expected_zero_creates_again_after_delete(self, store: Store) -> None:
        """A deleted workflow does not exist, though its numbers go on."""
        store.save_context(a_context())
        store.delete_context("order-7")
        with pytest.raises(VersionConflictError) as caught:
            store.save_context(a_context(), expected_version=1)
        assert caught.value.actual == 0
        assert store.save_context(a_context(), expected_version=0) == 2

    @promise("CA03")
    @pytest.mark.parametrize("handles", [1, RACERS])
    def test_one_of_many_racing_threads_wins(self, subject: Subject, handles: int) -> None:
        """Round by round exactly one racer saves upon the version that all have seen; its content is the head's."""
        stores = [subject.open() for _ in range(handles)]
        for head in range(10):
            results = in_threads(
                RACERS,
                lambda number: workers.try_save(stores[number % handles], number, "order-7", head),  # noqa: B023  # called within the round
            )
            assert Counter(results) == {head + 1: 1, None: RACERS - 1}
            assert stores[0].load_context("order-7").metadata["racer"] == results.index(head + 1)
        assert [header.version for header in stores[0].history("order-7")] == list(range(1, 11))

    @promise("CA03")
    @pytest.mark.parametrize("head", [0, 1])
    def test_one_of_many_racing_processes_wins(self, subject: Subject, head: int) -> None:
        """Exactly one process creates, or saves upon the version that all have seen."""
        subject.requires(Capability.MULTI_PROCESS)
        store = subject.open()
        for _ in range(head):
            store.save_context(a_context())
        results = in_processes(PROCESSES, workers.save_expecting, subject.url, "order-7", head)
        assert Counter(results) == {head + 1: 1, None: PROCESSES - 1}
        assert store.load_context("order-7").metadata["racer"] == results.index(head + 1)
        assert len(store.history("order-7")) == head + 1

    @promise("CA04")
    def test_no_increment_is_lost_between_threads(self, subject: Subject) -> None:
        """Writers that retry on conflict all get through, each exactly once."""
        store = subject.open()
        store.save_context(a_context(metadata={"counter": 0}))
        stores = [store, *(subject.open() for _ in range(3))]

        def count_up(number: int) -> None:
            for _ in range(10):
                workers.increment(stores[number], "order-7")

        in_threads(4, count_up)
        assert (store.load_context("order-7").metadata["counter"], store.load_context("order-7").version) == (40, 41)

    @promise("CA04")
    def test_no_increment_is_lost_between_processes(self, subject: Subject) -> None:
        """The same, across processes."""
        subject.requires(Capability.MULTI_PROCESS)
        store = subject.open()
        store.save_context(a_context(metadata={"counter": 0}))
        in_processes(PROCESSES, workers.increment_often, subject.url, "order-7", 10)
        assert store.load_context("order-7").metadata["counter"] == PROCESSES * 10

    @promise("CA05")
    def test_unconditional_saves_of_racing_threads_all_count(self, subject: Subject) -> None:
        """Every save gets a number of its own, and none is left out."""
        stores = [subject.open() for _ in range(4)]

        def save_ten(number: int) -> list[int]:
            return [
                stores[number].save_context(a_context(metadata={"racer": number, "turn": turn})) for turn in range(10)
            ]

        _check_races(stores[0], in_threads(4, save_ten), turns=10)

    @promise("CA05")
    def test_unconditional_saves_of_racing_processes_all_count(self, subject: Subject) -> None:
        """The same, across processes."""
        subject.requires(Capability.MULTI_PROCESS)
        versions = in_processes(PROCESSES, workers.save_often, subject.url, "order-7", 10)
        _check_races(subject.open(), versions, turns=10)

    @promise("CA06", "VE05")
    def test_delete_and_create_again_is_noticed(self, store: Store) -> None:
        """A writer that read before the delete is refused, though as many versions exist as when it read."""
        store.save_context(a_context())
        seen = store.load_context("order-7")
        store.delete_context("order-7")
        store.save_context(a_context(feature="another"))
        changes: list[Callable[[], object]] = [
            lambda: store.save_context(seen, expected_version=seen.version),
            lambda: store.delete_context("order-7", expected_version=seen.version),
            lambda: store.rollback("order-7", 2, expected_version=seen.version),
        ]
        for change in changes:
            with pytest.raises(VersionConflictError) as caught:
                change()
            assert (caught.value.expected, caught.value.actual) == (1, 2)
        assert [(header.version, header.feature) for header in store.history("order-7")] == [(2, "another")]

    @promise("CA07", "DE05")
    @pytest.mark.parametrize("expected", [0, 1, 3, -1])
    def test_delete_takes_an_expected_version(self, subject: Subject, expected: int) -> None:
        """With any but the head's nothing is deleted; with that it is."""
        store, backend = subject.open(), subject.backend()
        store.save_contexts([a_context(), a_context(), a_context("other")])
        before = everything(backend)
        with pytest.raises(VersionConflictError) as caught:
            store.delete_context("order-7", expected_version=expected)
        assert (caught.value.workflow_id, caught.value.expected, caught.value.actual) == ("order-7", expected, 2)
        assert everything(backend) == before
        assert store.delete_context("order-7", expected_version=2) is True
        assert not store.context_exists("order-7")

    @promise("CA07", "DE03")
    def test_delete_of_what_is_missing_takes_an_expected_version(self, store: Store) -> None:
        """Who saw a version that is gone is told; who saw none is not."""
        assert store.delete_context("order-7", expected_version=0) is False
        with pytest.raises(VersionConflictError) as caught:
            store.delete_context("order-7", expected_version=3)
        assert (caught.value.expected, caught.value.actual) == (3, 0)

    @promise("CA07", "VE09")
    @pytest.mark.parametrize("expected", [0, 1, 3])
    def test_rollback_takes_an_expected_version(self, subject: Subject, expected: int) -> None:
        """With any but the head's nothing is appended."""
        store, backend = subject.open(), subject.backend()
        store.save_contexts([a_context(feature="old"), a_context(feature="new")])
        before = everything(backend)
        with pytest.raises(VersionConflictError) as caught:
            store.rollback("order-7", 1, expected_version=expected)
        assert (caught.value.expected, caught.value.actual) == (expected, 2)
        assert everything(backend) == before
        assert store.rollback("order-7", 1, expected_version=2) == 3

    @promise("CA07", "BA06")
    def test_items_of_a_batch_take_expected_versions(self, subject: Subject) -> None:
        """Each item is held to its own, and sees what the items before it did."""
        backend = subject.backend()
        apply(backend, a_save("a"), a_save("b"), a_save("b"))
        apply(
            backend,
            a_save("a", expected_version=1),
            DeleteRequest(workflow_id="b", expected_version=2),
            a_save("a", expected_version=2),
            a_save("b", expected_version=0),
            a_save("c", expected_version=0),
            a_save("c", expected_version=1),
        )
        heads = {workflow_id: versions[0][0].version for workflow_id, versions in everything(backend).items()}
        assert heads == {"a": 3, "b": 3, "c": 2}

    @promise("CA08")
    def test_a_conflict_is_not_retried_inside(self, subject: Subject) -> None:
        """The driver is asked once, and the caller decides."""
        counter = CallCountingBackend(subject.backend())
        store = subject.around(counter)
        store.save_context(a_context())
        with pytest.raises(VersionConflictError):
            store.save_context(a_context(), expected_version=7)
        assert [type(call) for call in counter.calls] == [SaveRequest, SaveRequest]

    @promise("CA08")
    def test_a_conflict_is_final_and_leaves_the_store_usable(self, subject: Subject) -> None:
        """It is no transient error, and the very next call works, on this handle and on others."""
        store, other = subject.open(), subject.open()
        store.save_context(a_context())
        attempts: list[Callable[[], object]] = [
            lambda: store.save_context(a_context(), expected_version=9),
            lambda: store.delete_context("order-7", expected_version=9),
            lambda: apply(subject.backend(), a_save("b"), a_save(expected_version=9)),
        ]
        for position, attempt in enumerate(attempts, start=1):
            with pytest.raises(VersionConflictError) as caught:
                attempt()
            assert not isinstance(caught.value, (BackendUnavailableError, OutcomeUnknownError))
            assert store.save_context(a_context()) == 2 * position
            assert other.save_context(a_context()) == 2 * position + 1
            assert store.load_context("order-7").version == 2 * position + 1


def _check_races(store: Store, versions: list[list[int]], *, turns: int) -> None:
    """Every acknowledged number holds what its writer saved, and each writer's numbers grow."""
    assert sorted(version for racer in versions for version in racer) == list(range(1, len(versions) * turns + 1))
    assert all(racer == sorted(racer) for racer in versions)
    for number, racer in enumerate(versions):
        for turn, version in enumerate(racer):
            assert store.load_context("order-7", version=version).metadata == {"racer": number, "turn": turn}
    assert len(store.history("order-7")) == len(versions) * turns
