"""Laws of the idem group: safe retries."""

from datetime import timedelta
from typing import Any

import pytest

from context_core import (
    Capability,
    IdempotencyConflictError,
    OutcomeUnknownError,
    UnsupportedOperationError,
    VersionConflictError,
)
from context_core.records import DeleteRequest, SavedVersion
from context_core_conformance.faults.lossy_replies import Loss, LossyBackend, losing
from context_core_conformance.promises import promise
from context_core_conformance.racing import in_processes, in_threads
from context_core_conformance.samples import EPOCH, TickingClock, a_context
from context_core_conformance.skipping import refuses
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import a_save, apply, everything, headers_of
from context_core_conformance.workers import racing_workers as workers

SIMILAR_KEYS = (
    "k",
    "K",
    "k ",
    " k",
    "k%",
    "k_",
    "ké",
    "ke\u0301",
    "1",
    "01",
    "1.0",
    "null",
    "'",
    "👩‍👩‍👧",
    "x" * 254,
    "x" * 255,
)


class IdempotencyLaws:
    """Laws about idempotency keys."""

    @promise("ID01", "ER08")
    @refuses(Capability.IDEMPOTENCY)
    def test_keys_are_kept_or_refused(self, subject: Subject) -> None:
        """A driver that does not keep keys refuses a save that has one, alone and in a batch, and writes nothing."""
        backend = subject.backend()
        if Capability.IDEMPOTENCY in subject.capabilities:
            assert backend.save(a_save(key="k")).version == 1
            assert [header.idempotency_key for header in headers_of(backend, "order-7")] == ["k"]
            return
        with pytest.raises(UnsupportedOperationError):
            backend.save(a_save(key="k"))
        with pytest.raises(UnsupportedOperationError):
            apply(backend, a_save(), a_save(key="k"))
        assert everything(backend, ["order-7"]) == {"order-7": ()}

    @promise("ID01")
    def test_same_key_and_content_writes_once(self, subject: Subject) -> None:
        """A retry gives the first answer, its time too, and writes nothing, even after other saves."""
        subject.requires(Capability.IDEMPOTENCY)
        clock = TickingClock()
        backend = subject.backend(clock=clock)
        backend.save(a_save())
        first = backend.save(a_save(key="k", feature="keyed"))
        assert first == SavedVersion(version=2, saved_at=EPOCH)
        clock.advance(60)
        backend.save(a_save(feature="later"))
        before = everything(backend)
        for _ in range(3):
            replay = backend.save(a_save(key="k", feature="keyed"))
            assert replay == SavedVersion(version=2, saved_at=EPOCH, is_replay=True)
        assert everything(backend) == before
        assert backend.save(a_save()) == SavedVersion(version=4, saved_at=EPOCH + timedelta(seconds=60))

    @promise("ID01")
    def test_store_returns_the_first_version(self, subject: Subject) -> None:
        """Both ways to save know the key, whichever used it."""
        subject.requires(Capability.IDEMPOTENCY)
        store = subject.open()
        assert store.save_context(a_context(), idempotency_key="k") == 1
        assert store.update_context(a_context(), idempotency_key="k") == 1
        assert store.save_context(a_context(feature="next")) == 2
        assert store.save_context(a_context(), idempotency_key="k") == 1
        assert len(store.history("order-7")) == 2
        assert store.load_context("order-7").feature == "next"

    @promise("ID01", "CA01")
    def test_a_key_is_looked_at_before_the_expected_version(self, subject: Subject) -> None:
        """The retry of a conditional save, which has itself moved the head, is no conflict."""
        subject.requires(Capability.IDEMPOTENCY)
        backend = subject.backend()
        for _ in range(2):
            assert backend.save(a_save(key="create", expected_version=0)).version == 1
            assert backend.save(a_save(key="change", feature="x", expected_version=1, must_exist=True)).version == 2
        with pytest.raises(VersionConflictError):
            backend.save(a_save(key="new", expected_version=1))
        assert backend.save(a_save(key="new", expected_version=2)).version == 3

    @promise("ID01", "VE09")
    def test_rollback_is_safe_to_retry(self, subject: Subject) -> None:
        """The same rollback with its key appends once."""
        subject.requires(Capability.IDEMPOTENCY)
        store = subject.open()
        store.save_contexts([a_context(feature="old"), a_context(feature="new")])
        assert [store.rollback("order-7", 1, idempotency_key="k") for _ in range(2)] == [3, 3]
        assert store.rollback("order-7", 1, expected_version=2, idempotency_key="k") == 3
        assert len(store.history("order-7")) == 3

    @promise("ID01")
    def test_keys_are_unique_within_their_workflow_only(self, subject: Subject) -> None:
        """Another workflow may use the same key, for other content too."""
        subject.requires(Capability.IDEMPOTENCY)
        backend = subject.backend()
        for workflow_id in ("a", "ab", "A"):
            answer = backend.save(a_save(workflow_id, key="k", feature=workflow_id))
            assert (answer.version, answer.is_replay) == (1, False)

    @promise("ID01", "RT13")
    def test_similar_keys_stay_apart(self, subject: Subject) -> None:
        """A key is text to the character."""
        subject.requires(Capability.IDEMPOTENCY)
        store = subject.open()
        versions = [store.save_context(a_context(feature=f"f{len(key)}"), idempotency_key=key) for key in SIMILAR_KEYS]
        assert versions == list(range(1, len(SIMILAR_KEYS) + 1))
        assert [header.idempotency_key for header in store.history("order-7")] == list(SIMILAR_KEYS)

    @promise("ID01", "VE06")
    def test_saves_without_a_key_are_no_retries(self, subject: Subject) -> None:
        """The same content without the key, or with a new one, is a new version."""
        subject.requires(Capability.IDEMPOTENCY)
        store = subject.open()
        keys = ("k", None, "l", None, "k")
        assert [store.save_context(a_context(), idempotency_key=key) for key in keys] == [1, 2, 3, 4, 1]
        assert [header.idempotency_key for header in store.history("order-7")] == ["k", None, "l", None]

    @promise("ID02")
    @pytest.mark.parametrize(
        "change", [{"metadata": {"n": 1.0}}, {"metadata": {"n": True}}, {"feature": "x"}, {"tags": ["t"]}]
    )
    def test_a_key_with_other_content_is_refused(self, subject: Subject, change: dict[str, Any]) -> None:
        """The error names the version that has the key, and nothing is written: 1 is other content than 1.0."""
        subject.requires(Capability.IDEMPOTENCY)
        store, backend = subject.open(), subject.backend()
        original: dict[str, Any] = {"metadata": {"n": 1}}
        store.save_context(a_context())
        store.save_context(a_context(**original), idempotency_key="k")
        store.save_context(a_context())
        before = everything(backend)
        for expected in (None, 3, 1):
            with pytest.raises(IdempotencyConflictError) as caught:
                store.save_context(a_context(**(original | change)), idempotency_key="k", expected_version=expected)
            assert (caught.value.workflow_id, caught.value.key, caught.value.version) == ("order-7", "k", 2)
        assert everything(backend) == before
        assert store.save_context(a_context(**original), idempotency_key="k") == 2

    @promise("ID01", "ID02", "BA01", "BA02")
    def test_each_item_of_a_batch_has_its_own_key(self, subject: Subject) -> None:
        """A batch may be retried whole, items may share a key, and a key misused undoes the batch."""
        subject.requires(Capability.IDEMPOTENCY)
        backend = subject.backend(clock=TickingClock())
        batch = (a_save("a", key="1"), a_save("b", key="1"), a_save("a", key="2"), a_save("a", key="1"))
        fresh, replay = SavedVersion(version=1, saved_at=EPOCH), SavedVersion(version=1, saved_at=EPOCH, is_replay=True)
        second = SavedVersion(version=2, saved_at=EPOCH)
        assert apply(backend, *batch) == [fresh, fresh, second, replay]
        before = everything(backend)
        second_replay = SavedVersion(version=2, saved_at=EPOCH, is_replay=True)
        assert apply(backend, *batch) == [replay, replay, second_replay, replay]
        for misuse in (a_save("a", key="2", feature="x"), a_save("c", key="3", feature="x")):
            with pytest.raises(IdempotencyConflictError):
                apply(backend, a_save("c", key="3"), DeleteRequest(workflow_id="b"), misuse)
        assert everything(backend, ["c"]) == before | {"c": ()}

    @promise("ID03")
    @pytest.mark.parametrize("lost", [1, 2])
    def test_a_lost_reply_and_its_retry_make_one_version(self, subject: Subject, lost: int) -> None:
        """The caller who was told nothing tries again until it is told, and one version stands."""
        subject.requires(Capability.IDEMPOTENCY)
        store = subject.around(LossyBackend(subject.backend(), losing(Loss.NOTHING, *[Loss.REPLY] * lost)))
        assert store.save_context(a_context()) == 1
        for _ in range(lost):
            with pytest.raises(OutcomeUnknownError):
                store.save_context(a_context(feature="x"), expected_version=1, idempotency_key="k")
        assert store.save_context(a_context(feature="x"), expected_version=1, idempotency_key="k") == 2
        assert [header.version for header in store.history("order-7")] == [1, 2]

    @promise("ID04")
    def test_keys_are_known_to_another_handle(self, subject: Subject) -> None:
        """A key is kept in the store, not in the handle."""
        subject.requires(Capability.IDEMPOTENCY)
        store = subject.open()
        store.save_context(a_context(), idempotency_key="k")
        store.close()
        again = subject.open()
        assert again.save_context(a_context(), idempotency_key="k") == 1
        with pytest.raises(IdempotencyConflictError):
            again.save_context(a_context(feature="x"), idempotency_key="k")
        assert len(again.history("order-7")) == 1

    @promise("ID04")
    @pytest.mark.parametrize("handles", [1, 4])
    def test_racing_threads_with_one_key_write_once(self, subject: Subject, handles: int) -> None:
        """Round by round, all get the same version."""
        subject.requires(Capability.IDEMPOTENCY)
        stores = [subject.open() for _ in range(handles)]
        for number in range(1, 11):
            content = a_context(metadata={"round": number})
            versions = in_threads(
                8,
                lambda racer: stores[racer % handles].save_context(content, idempotency_key=f"k{number}"),  # noqa: B023  # called within the round
            )
            assert versions == [number] * 8
        assert len(stores[0].history("order-7")) == 10

    @promise("ID04")
    def test_racing_processes_with_one_key_write_once(self, subject: Subject) -> None:
        """The same, across processes."""
        subject.requires(Capability.IDEMPOTENCY)
        subject.requires(Capability.MULTI_PROCESS)
        assert in_processes(4, workers.save_with_key, subject.url, "order-7", "k") == [1] * 4
        assert len(subject.open().history("order-7")) == 1

    @promise("ID02", "DE01")
    def test_a_key_dies_with_its_version(self, subject: Subject) -> None:
        """After a delete the key is free: the content it stood for is gone, and its answer would be a lie."""
        subject.requires(Capability.IDEMPOTENCY)
        store = subject.open()
        store.save_context(a_context(), idempotency_key="k")
        store.delete_context("order-7")
        assert store.save_context(a_context(feature="x"), idempotency_key="k") == 2
        assert store.save_context(a_context(feature="x"), idempotency_key="k") == 2
        assert [header.version for header in store.history("order-7")] == [2]

    @promise("ID01", "DE01")
    def test_a_retry_after_the_delete_writes_again(self, subject: Subject) -> None:
        """The same key with the same content is a new save, to every handle: what it stood for is gone."""
        subject.requires(Capability.IDEMPOTENCY)
        stores = (subject.open(), subject.open())
        for number, store in enumerate((*stores, *stores), start=1):
            assert store.save_context(a_context(), idempotency_key="k") == number
            assert store.load_context("order-7").version == number
            assert store.delete_context("order-7") is True
