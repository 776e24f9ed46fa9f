"""Laws of what an idempotency key stands for: the content of a save, without the times that the library sets itself."""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import attrs
import pytest

from context_core import (
    Capability,
    Delete,
    IdempotencyConflictError,
    RestoreConflictError,
    Save,
    WorkflowContext,
)
from context_core.records import BatchRequest, IdempotencyKey, RestoreRequest, SavedVersion, SaveRequest
from context_core.serialization import ContextSerializer
from context_core_conformance.call_counter import CallCountingBackend
from context_core_conformance.laws.hooks_codec import XorCodec
from context_core_conformance.promises import promise
from context_core_conformance.racing import in_threads
from context_core_conformance.restoring import a_restore
from context_core_conformance.samples import EPOCH, TickingClock, a_context
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import a_save, apply, everything, record_of


class KeyedCodec(XorCodec):
    """A codec that gives a secret for hashes."""

    idempotency_secret = b"a secret of thirty-two bytes ..."


CODECS: Final[dict[str, Callable[[], dict[str, Any]]]] = {
    "plain": dict,
    "with a secret": lambda: {"document_codec": KeyedCodec()},
    "without a secret": lambda: {"document_codec": XorCodec()},
}
each_codec: Final = pytest.mark.parametrize("codec", CODECS)


def built(minutes: int = 0, workflow_id: str = "order-7", **fields: Any) -> WorkflowContext:
    """The context of a workflow that was built, from the same content, some minutes later."""
    began = EPOCH + timedelta(minutes=minutes)
    context = a_context(workflow_id, created_at=began, updated_at=began, **fields)
    context = context.transition_phase("build", at=began + timedelta(seconds=1 + minutes))
    return context.transition_phase("review", at=began + timedelta(seconds=9 * (1 + minutes)))


class IdempotencyContentLaws:
    @promise("ID01", "ID03")
    @each_codec
    def test_a_context_that_was_built_again_is_the_same_content(self, subject: Subject, codec: str) -> None:
        """Its times are new, its phases took other seconds, its objects may have another order: it is a retry."""
        subject.requires(Capability.IDEMPOTENCY)
        store, other = subject.open(**CODECS[codec]()), subject.open(**CODECS[codec]())
        assert store.save_context(built(decisions={"a": 1, "b": {"c": 2, "d": 3}}), idempotency_key="k") == 1
        before = everything(subject.backend())
        again = built(7, decisions={"b": {"d": 3, "c": 2}, "a": 1})
        for handle in (store, other):
            assert handle.save_context(again, idempotency_key="k") == 1
            assert handle.save_context(again, expected_version=0, idempotency_key="k") == 1
            assert handle.batch([Save(again, idempotency_key="k")]) == [1]
        assert everything(subject.backend()) == before
        assert store.load_context("order-7") == built(decisions={"a": 1, "b": {"c": 2, "d": 3}})

    @promise("ID02")
    @each_codec
    @pytest.mark.parametrize(
        "other",
        [
            {"metadata": {"n": 1.0}},
            {"metadata": {"n": True}},
            {"metadata": {"n": 1, "updated_at": None}},
            {"artifacts": [2, 1]},
            {"artifacts": [1, 2, {"timestamp": 3}]},
            {"feature": "x"},
            {"tags": ["t"]},
            {"status": "failed"},
        ],
        ids=str,
    )
    def test_other_content_is_refused_whatever_is_kept_of_the_first(
        self, subject: Subject, codec: str, other: dict[str, Any]
    ) -> None:
        """Alone and in a batch, whose other items are not written either."""
        subject.requires(Capability.IDEMPOTENCY)
        store = subject.open(**CODECS[codec]())
        content: dict[str, Any] = {"metadata": {"n": 1}, "artifacts": [1, 2]}
        store.save_context(a_context())
        store.save_context(built(**content), idempotency_key="k")
        before = everything(subject.backend())
        changed = built(**(content | other))
        for wrong in (
            lambda: store.save_context(changed, idempotency_key="k"),
            lambda: store.batch([Save(a_context("b")), Save(changed, idempotency_key="k")]),
            lambda: store.batch([Save(built(**content), idempotency_key="k"), Save(changed, idempotency_key="k")]),
        ):
            with pytest.raises(IdempotencyConflictError) as caught:
                wrong()
            assert (caught.value.workflow_id, caught.value.key, caught.value.version) == ("order-7", "k", 2)
        assert everything(subject.backend(), ["b"]) == before | {"b": ()}

    @promise("ID02")
    @each_codec
    def test_phases_are_content_though_their_times_are_not(self, subject: Subject, codec: str) -> None:
        """Which phases were left, and in which order."""
        subject.requires(Capability.IDEMPOTENCY)
        store = subject.open(**CODECS[codec]())
        store.save_context(built(), idempotency_key="k")
        with pytest.raises(IdempotencyConflictError):
            store.save_context(built().transition_phase("review"), idempotency_key="k")
        with pytest.raises(IdempotencyConflictError):
            store.save_context(built().copy_with(phase_history=built().phase_history[::-1]), idempotency_key="k")

    @promise("ID04")
    @pytest.mark.parametrize("codec", ["plain", "with a secret"])
    def test_keys_of_the_older_rule_go_on_working(self, subject: Subject, codec: str) -> None:
        """A hash of the whole document, times included, was kept before: the same content replays, other is refused."""
        subject.requires(Capability.IDEMPOTENCY)
        store = subject.open(**CODECS[codec]())
        store.save_context(a_context())
        head = store.load_context("order-7")
        subject.backend().save(_of_the_older_rule(head.copy_with(feature="kept", updated_at=EPOCH), "k"))
        first = store.load_context("order-7")
        assert first.version == 2
        for content in (first, first.copy_with(created_at=EPOCH.replace(year=2030))):
            assert store.save_context(content, idempotency_key="k") == 2
            assert store.batch([Save(a_context("b"), idempotency_key="k"), Save(content, idempotency_key="k")])[1] == 2
        with pytest.raises(IdempotencyConflictError):
            store.save_context(first.copy_with(feature="x"), idempotency_key="k")
        assert [header.version for header in store.history("order-7")] == [1, 2]

    @promise("ID04", "MO01")
    @each_codec
    @pytest.mark.parametrize("target", CODECS)
    def test_keys_go_on_working_where_they_were_moved_to(
        self, subject: Subject, tmp_path: Any, codec: str, target: str
    ) -> None:
        """Export and import carry keys, whatever the codecs of the two stores."""
        subject.requires(Capability.IDEMPOTENCY)
        subject.open(**CODECS[codec]()).save_context(built(), idempotency_key="k")
        subject.open(**CODECS[codec]()).export(tmp_path / "export")
        moved = subject.another().open(**CODECS[target]())
        moved.import_(tmp_path / "export")
        assert moved.save_context(built(3), idempotency_key="k") == 1
        with pytest.raises(IdempotencyConflictError):
            moved.save_context(built(feature="x"), idempotency_key="k")

    @promise("ID01", "BA01", "BA02")
    @each_codec
    def test_a_batch_may_repeat_itself_and_be_repeated(self, subject: Subject, codec: str) -> None:
        """Items that share a key, keys freed by a delete between them, and the whole batch once more."""
        subject.requires(Capability.IDEMPOTENCY)
        store = subject.open(**CODECS[codec]())
        again = [Save(built(1, "b"), idempotency_key="k"), Save(built(2, "a"), idempotency_key="k")]
        batch: list[Save | Delete] = [
            Save(built(0, "a"), idempotency_key="k"),
            Save(built(0, "b"), idempotency_key="k"),
            *again,
            Save(built(0, "a", feature="x"), idempotency_key="l"),
        ]
        assert store.batch(batch) == [1, 1, 1, 1, 2]
        assert store.batch(batch) == [1, 1, 1, 1, 2]
        freed: list[Save | Delete] = [
            Save(built(5, "a"), idempotency_key="k"),
            Delete("a"),
            Save(built(6, "a"), idempotency_key="k"),
        ]
        assert store.batch(freed) == [1, True, 3]
        assert [header.version for header in store.history("a")] == [3]

    @promise("ID01", "BA01")
    def test_a_large_batch_under_keys_is_repeated_without_a_hash(self, subject: Subject) -> None:
        """Far more keys than one page of headers has, in one workflow and in many."""
        subject.requires(Capability.IDEMPOTENCY)
        store = subject.open(**CODECS["without a secret"]())
        batch = [Save(built(n, "one", metadata={"n": n}), idempotency_key=f"k{n}") for n in range(450)]
        batch += [Save(built(n, f"w{n}"), idempotency_key="k") for n in range(150)]
        assert store.batch(batch) == [*range(1, 451), *[1] * 150]
        assert store.batch(batch) == [*range(1, 451), *[1] * 150]
        assert store.save_context(built(1, "one", metadata={"n": 0}), idempotency_key="k0") == 1

    @promise("ID04")
    @each_codec
    def test_racing_writers_of_content_built_apart_write_once(self, subject: Subject, codec: str) -> None:
        """Each racer builds its context itself, with times of its own, round by round."""
        subject.requires(Capability.IDEMPOTENCY)
        stores = [subject.open(**CODECS[codec]()) for _ in range(4)]
        for number in range(1, 6):
            versions = in_threads(
                8,
                lambda racer: stores[racer % 4].save_context(
                    built(racer, metadata={"n": number}),  # noqa: B023  # called within the round
                    idempotency_key=f"k{number}",  # noqa: B023
                ),
            )
            assert versions == [number] * 8
        assert len(stores[0].history("order-7")) == 5

    @promise("HO04")
    @pytest.mark.parametrize("codec", ["with a secret", "without a secret"])
    def test_nothing_that_is_kept_lets_a_guess_be_tried(self, subject: Subject, codec: str) -> None:
        """Who knows all of a context but a PIN of four digits, and reads all that is stored, does not learn the PIN."""
        subject.requires(Capability.IDEMPOTENCY)
        store = subject.open(**CODECS[codec]())
        store.save_context(_with_pin(1234), idempotency_key="k")
        guess = a_save(key="k", metadata={"pin": 1234})
        kept = guess.idempotency
        assert kept is not None
        assert kept.content_hash is not None
        guesses = [hashlib.sha256(guess.record.document).digest(), kept.content_hash]
        stored = subject.raw_storage()
        assert [each for each in guesses if each in stored or each.hex().encode() in stored] == []

    @promise("HO04")
    def test_what_a_driver_is_given_to_keep_is_keyed_or_nothing(self, subject: Subject) -> None:
        """In saves, batches and imports alike; a key of one workflow says nothing of another's content."""
        subject.requires(Capability.IDEMPOTENCY)
        plain = a_save(key="k").idempotency
        assert plain is not None
        for codec, has_hash in (("with a secret", True), ("without a secret", False)):
            place = subject.another()
            source, target = CallCountingBackend(place.backend()), CallCountingBackend(subject.another().backend())
            store = subject.around(source, **CODECS[codec]())
            store.save_context(a_context(), idempotency_key="k")
            store.batch([Save(a_context(), idempotency_key="l"), Save(a_context("b"), idempotency_key="k")])
            place.open(**CODECS[codec]()).export(subject.folder / codec)
            subject.around(target, **CODECS[codec]()).import_(subject.folder / codec)
            hashes = [name.content_hash for name in (*_keys(source), *_keys(target))]
            assert len(hashes) == 6
            assert plain.content_hash not in hashes
            assert [each is not None for each in hashes] == [has_hash] * 6
            assert not has_hash or len(set(hashes)) == 3

    @promise("HO04", "ID04", "MI03")
    @pytest.mark.parametrize("codec", ["with a secret", "without a secret"])
    def test_migrate_takes_away_the_hashes_by_which_contents_could_be_guessed(
        self, subject: Subject, codec: str
    ) -> None:
        """Those that older code kept are keyed anew or removed; keys and histories stay as they are."""
        subject.requires(Capability.IDEMPOTENCY)
        subject.requires(Capability.MIGRATE)
        store, backend = subject.open(**CODECS[codec]()), subject.backend()
        for number in range(3):
            serializer = ContextSerializer(WorkflowContext, (), CODECS[codec]()["document_codec"])
            record = serializer.to_record(_with_pin(number))
            name = IdempotencyKey(key=f"k{number}", content_hash=hashlib.sha256(record.document).digest())
            backend.save(SaveRequest(record=serializer.seal(record), idempotency=name))
            store.save_context(_with_pin(number))
        old = [hashlib.sha256(record_of(_with_pin(number)).document).digest() for number in range(3)]
        before = everything(backend)
        for _ in range(2):
            store.migrate()
            assert everything(backend) == before
            assert [store.save_context(_with_pin(n), idempotency_key=f"k{n}") for n in range(3)] == [1, 3, 5]
            for number in range(3):  # a driver that is asked by the old hash says that it keeps another
                name = IdempotencyKey(key=f"k{number}", content_hash=old[number])
                with pytest.raises(IdempotencyConflictError):
                    backend.save(SaveRequest(record=record_of(_with_pin(number)), idempotency=name))
        for number in range(3):
            name = serializer.idempotency_key(f"k{number}", record_of(_with_pin(number)))
            keyed = SaveRequest(record=record_of(_with_pin(number)), idempotency=name)
            if codec == "with a secret":
                assert backend.save(keyed).is_replay
        assert store.verify().is_sound

    @promise("ID01", "ID02")
    def test_a_driver_believes_what_the_core_has_compared(self, subject: Subject) -> None:
        """`same_as` names the version of the same content: that key on that version replays, on another it conflicts.

        Where no hash is kept, or none is asked about, there is nothing that could be equal.
        """
        subject.requires(Capability.IDEMPOTENCY)
        backend = subject.backend(clock=TickingClock())
        name = IdempotencyKey(key="k", content_hash=None)
        save = attrs.evolve(a_save(), idempotency=name)
        assert backend.save(save) == SavedVersion(version=1, saved_at=EPOCH)
        replay = SavedVersion(version=1, saved_at=EPOCH, is_replay=True)
        for wrong in (name, attrs.evolve(name, same_as=2), attrs.evolve(name, content_hash=bytes(32))):
            for write in (backend.save, lambda request: apply(backend, a_save("b"), request)):
                with pytest.raises(IdempotencyConflictError):
                    write(attrs.evolve(save, idempotency=wrong))
        right = attrs.evolve(save, idempotency=attrs.evolve(name, same_as=1))
        assert backend.save(right) == replay
        assert apply(backend, a_save("b"), right) == [SavedVersion(version=1, saved_at=EPOCH), replay]
        assert [header.idempotency_key for header in subject.open().history("order-7")] == ["k"]

    @promise("MO01", "ID02")
    @pytest.mark.parametrize("feature", ["checkout", "other"])
    def test_a_restore_under_a_taken_key_is_a_restore_conflict(self, subject: Subject, feature: str) -> None:
        """No two versions have one key, whatever their contents; the error tells where the workflow stands."""
        subject.requires(Capability.IDEMPOTENCY)
        backend = subject.backend()
        apply(backend, a_restore(1, key="k"), a_restore(2))
        taken: list[RestoreRequest] = [a_restore(3, key="k", feature=feature)]
        taken.append(attrs.evolve(taken[0], idempotency=IdempotencyKey(key="k", content_hash=None)))
        for request in taken:
            with pytest.raises(RestoreConflictError) as caught:
                apply(backend, request)
            assert (caught.value.version, caught.value.head_version) == (3, 2)


def _keys(counter: CallCountingBackend) -> list[IdempotencyKey]:
    """The keys that a driver was given, one by one."""
    operations: list[Any] = []
    for call in counter.calls:
        operations += call.operations if isinstance(call, BatchRequest) else [call]
    names = (getattr(each, "idempotency", None) for each in operations)
    return [name for name in names if name is not None]


def _with_pin(pin: int) -> WorkflowContext:
    return a_context(metadata={"pin": pin})


def _of_the_older_rule(context: WorkflowContext, key: str) -> SaveRequest:
    record = record_of(context)
    name = IdempotencyKey(key=key, content_hash=hashlib.sha256(record.document).digest())
    return SaveRequest(record=record, idempotency=name)
