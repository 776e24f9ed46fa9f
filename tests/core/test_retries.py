"""Retries under idempotency keys that a driver cannot tell by its hashes."""

import attrs
import pytest

from context_core import ConfigurationError, ContextPersistence, IdempotencyConflictError, Save
from context_core.idempotency import content_of, idempotency_key
from context_core.records import IdempotencyKey, StoredDocument
from context_core.serialization import ContextSerializer
from context_core_conformance.call_counter import CallCountingBackend
from context_core_conformance.laws.hooks_codec import XorCodec
from context_core_conformance.laws.idem_content import KeyedCodec, built
from context_core_conformance.samples import a_context
from context_core_conformance.verbs import a_save
from context_core_memory import MemoryBackend


class Meddling(CallCountingBackend):
    """Does something before a load."""

    def __init__(self, inner):
        super().__init__(inner)
        self.meddle = lambda documents: documents

    def load(self, request):
        """Meddle, once at most."""
        return self.meddle(super().load(request))


def unhashed():
    """A save whose key is kept without a hash."""
    return attrs.evolve(a_save(), idempotency=IdempotencyKey(key="k", content_hash=None))


@pytest.mark.parametrize("secret", ["text", b"", bytearray(8), 7])
def test_a_secret_that_is_no_bytes_is_refused(secret):
    """When the store is opened, not at the first save."""

    class Codec(XorCodec):
        idempotency_secret = secret

    with pytest.raises(ConfigurationError, match="idempotency_secret"):
        ContextPersistence("memory://", document_codec=Codec())


def test_a_retry_whose_version_was_deleted_meanwhile_writes_anew():
    """Between the conflict and the look at the version: its key is free again."""
    backend = Meddling(MemoryBackend())
    with ContextPersistence(backend) as store:
        backend.inner.save(unhashed())
        backend.meddle = lambda _: [None for _ in "x" if not store.delete_context("order-7")]
        assert store.save_context(a_context(), idempotency_key="k") == 2


@pytest.mark.parametrize("is_batch", [False, True])
def test_a_version_that_cannot_be_read_is_a_conflict(is_batch):
    """What cannot be compared is not taken for the same."""
    backend = Meddling(MemoryBackend())
    with ContextPersistence(backend) as store:
        backend.inner.save(unhashed())
        backend.meddle = lambda documents: [StoredDocument(each.workflow_id, each.version, b"{") for each in documents]
        saves = [Save(a_context("b"), idempotency_key="k"), Save(a_context(), idempotency_key="k")]
        with pytest.raises(IdempotencyConflictError):
            store.batch(saves) if is_batch else store.save_context(a_context(), idempotency_key="k")
        assert not store.context_exists("b")


def test_a_driver_that_goes_on_refusing_is_not_asked_for_ever():
    """A driver that looks at nothing but hashes is asked three times."""

    class Stubborn(CallCountingBackend):
        def save(self, request):
            name = request.idempotency
            return super().save(attrs.evolve(request, idempotency=name and attrs.evolve(name, same_as=None)))

    backend = Stubborn(MemoryBackend())
    with ContextPersistence(backend) as store:
        backend.inner.save(unhashed())
        with pytest.raises(IdempotencyConflictError):
            store.save_context(a_context(), idempotency_key="k")
        assert len(backend.calls) <= 6


def test_a_secret_makes_another_hash_for_each_key():
    """So that equal contents under two keys show nothing."""
    serializer = ContextSerializer(type(a_context()), (), KeyedCodec())
    record = serializer.to_record(a_context())
    names = [serializer.idempotency_key(key, record) for key in "ab"]
    assert names[0].content_hash != names[1].content_hash
    assert names[0] == serializer.idempotency_key("a", record)
    assert len({name.content_hash for name in (*names, idempotency_key("a", record))}) == 3


def test_content_of_what_is_no_object_is_the_document():
    """And a document with times of another shape keeps them where they are none of ours."""
    deep = b"[" * 300 + b"]" * 300
    for document in (b"", b"{", b"[1]", b"null", b"\xff", b'{"a":' + deep + b"}"):
        assert content_of(document) == document
    assert content_of(b'{"phase_history": [1, null], "b": 1, "a": {"created_at": 2}}') == (
        b'{"a":{"created_at":2},"b":1,"phase_history":[1,null]}'
    )
    assert content_of(b'{"phase_history": 7, "updated_at": 1}') == b'{"phase_history":7}'


def test_content_is_what_a_context_built_again_has_in_common():
    """All but the times."""
    serializer = ContextSerializer(type(a_context()))
    first, second = (content_of(serializer.to_record(built(minutes)).document) for minutes in (0, 7))
    assert first == second


def test_the_hash_of_a_context_is_that_of_its_document():
    """An import, which has the document alone, keeps the very hash that the save kept."""
    for codec in (None, KeyedCodec()):
        serializer = ContextSerializer(type(a_context()), (), codec)
        context = attrs.evolve(
            built(metadata={"b": [1.0, {"ü": 2**63, "a": "\u2028"}], "a": -0.0}), unknown_fields={"z": 1, "a": None}
        )
        record = serializer.to_record(context)
        fields = serializer.to_fields(context)
        assert serializer.idempotency_key("k", record, fields) == serializer.idempotency_key("k", record)
        later = attrs.evolve(context, created_at=context.updated_at)
        again = serializer.idempotency_key("k", serializer.to_record(later), serializer.to_fields(later))
        assert again == serializer.idempotency_key("k", record)
