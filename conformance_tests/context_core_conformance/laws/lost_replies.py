"""Laws of writes whose reply, or request, was lost on the way."""

import itertools
import random
from collections.abc import Callable
from typing import Final, TypeVar

import pytest

from context_core import Capability, Delete, OutcomeUnknownError, Save, VersionConflictError
from context_core_conformance.faults.lossy_replies import Loss, LossyBackend, losing
from context_core_conformance.linearizability.checker import linearize
from context_core_conformance.linearizability.recorder import Session
from context_core_conformance.linearizability.workload import RACING, Racer, look_at_all, refusals
from context_core_conformance.promises import promise
from context_core_conformance.racing import in_threads
from context_core_conformance.samples import a_context
from context_core_conformance.subject import Subject

T = TypeVar("T")

LOSSES: Final = pytest.mark.parametrize("lost", [Loss.REQUEST, Loss.REPLY])


class LostReplyLaws:
    @promise("ID03", "ID01", "BA01")
    @LOSSES
    def test_a_batch_with_keys_is_repeated_until_it_is_told(self, subject: Subject, lost: Loss) -> None:
        """Whether it had been done or not, each of its items makes one version, and the answer is the first one's."""
        subject.requires(Capability.IDEMPOTENCY)
        store = subject.around(LossyBackend(subject.backend(), losing(Loss.NOTHING, lost, lost)))
        store.save_context(a_context("b"))
        items = [
            Save(a_context(name, epic_num=number), idempotency_key=f"key {number}")
            for number, name in enumerate(("a", "b", "a"), start=1)
        ]
        for _ in range(2):
            with pytest.raises(OutcomeUnknownError):
                store.batch(items)
        assert store.batch(items) == [1, 2, 2]
        assert [len(store.history(name)) for name in ("a", "b")] == [2, 2]
        assert [store.load_context("a", version=version).epic_num for version in (1, 2)] == [1, 3]

    @promise("ID03", "CA01")
    @LOSSES
    def test_an_expected_version_tells_the_retry_what_became_of_it(self, subject: Subject, lost: Loss) -> None:
        """Without a key a conditional save is done once all the same: its own success is the conflict."""
        store = subject.around(LossyBackend(subject.backend(), losing(Loss.NOTHING, lost)))
        store.save_context(a_context())
        with pytest.raises(OutcomeUnknownError):
            store.save_context(a_context(feature="x"), expected_version=1)
        if lost is Loss.REPLY:
            with pytest.raises(VersionConflictError):
                store.save_context(a_context(feature="x"), expected_version=1)
        else:
            assert store.save_context(a_context(feature="x"), expected_version=1) == 2
        assert [header.feature for header in store.history("order-7")] == ["checkout", "x"]

    @promise("ID03", "VE06")
    def test_without_a_key_a_retry_is_another_save(self, subject: Subject) -> None:
        """A save without a key is never taken for a repetition: a caller that retries without a key must load first."""
        store = subject.around(LossyBackend(subject.backend(), losing(Loss.REPLY)))
        with pytest.raises(OutcomeUnknownError):
            store.save_context(a_context())
        assert store.load_context("order-7").version == 1
        assert store.save_context(a_context()) == 2

    @promise("ID03", "CA07", "DE05")
    @LOSSES
    def test_a_delete_may_be_repeated(self, subject: Subject, lost: Loss) -> None:
        """In a batch beside a save with a key, too: what is gone is not deleted twice, and numbers stay."""
        store = subject.around(LossyBackend(subject.backend(), losing(Loss.NOTHING, lost)))
        store.save_contexts([a_context("gone"), a_context("stays")])
        with pytest.raises(OutcomeUnknownError):
            store.batch([Delete("gone")])
        assert store.batch([Delete("gone")]) == [lost is Loss.REQUEST]
        assert [store.save_context(a_context(name)) for name in ("gone", "stays")] == [2, 2]

    @promise("ID03", "ID04", "CO06")
    def test_many_writers_on_a_lossy_connection_lose_nothing_and_double_nothing(self, subject: Subject) -> None:
        """Four threads repeat each keyed save until they are told; every one of them is one version."""
        subject.requires(Capability.IDEMPOTENCY)
        rng = random.Random(3)  # noqa: S311  # variety, not secrecy
        backend = LossyBackend(subject.backend(), lambda: rng.choice([*Loss, Loss.NOTHING]))
        store = subject.around(backend)

        def write(number: int) -> list[int]:
            contexts = [a_context("shared", metadata={"writer": number, "turn": turn}) for turn in range(20)]
            return [
                _until_told(lambda: store.save_context(context, idempotency_key=f"{number}.{turn}"))  # noqa: B023  # called at once
                for turn, context in enumerate(contexts)
            ]

        versions = in_threads(4, write)
        assert sorted(itertools.chain(*versions)) == list(range(1, 81))
        reader = subject.open()
        assert len(reader.history("shared")) == 80
        for number, own in enumerate(versions):
            assert own == sorted(own)
            for turn, version in enumerate(own):
                found = reader.load_context("shared", version=version)
                assert found.metadata == {"writer": number, "turn": turn}

    @promise("CO06", "ID03", "BA01")
    def test_what_was_told_to_be_unknown_is_whole_or_not_there(self, subject: Subject) -> None:
        """Racing threads, some writes of which are lost on the way or on the way back, have an order."""
        rng = random.Random(4)  # noqa: S311  # variety, not secrecy
        store = subject.around(LossyBackend(subject.backend(), lambda: rng.choice([*[Loss.NOTHING] * 6, *Loss])))
        sessions = [Session(store, f"thread {number}") for number in range(4)]
        weights = {action: weight for action, weight in RACING.items() if action not in ("delete", "renew")}
        in_threads(4, lambda number: Racer(sessions[number], number, weights=weights).run(60))
        last = Session(subject.open(), "the last look")
        look_at_all(last)
        history = [call for session in (*sessions, last) for call in session.calls]
        assert refusals(history) == {"OutcomeUnknownError"}
        linearize(history)


def _until_told(action: Callable[[], T]) -> T:
    for _ in range(200):
        try:
            return action()
        except OutcomeUnknownError:
            continue
    raise TimeoutError("two hundred replies in a row were lost")
