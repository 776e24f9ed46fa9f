"""Laws of document codecs: what a store's codec hides stays hidden, and comes back."""

import hashlib
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from context_core import (
    Capability,
    ConfigurationError,
    CorruptDocumentError,
    Delete,
    IdempotencyConflictError,
    ImportResult,
    JsonPath,
    Save,
    UnsupportedOperationError,
)
from context_core.records import LoadRequest
from context_core_conformance.call_counter import CallCountingBackend
from context_core_conformance.promises import promise
from context_core_conformance.restoring import whole
from context_core_conformance.samples import EPOCH, a_context
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Store, everything

SECRET: Final = "xyzzy"  # noqa: S105  # a mark to look for
INSIDE: Final[tuple[Any, ...]] = (
    {"decisions.k": 1},
    {JsonPath("metadata", "k"): SECRET},
    {"artifacts__contains": 1},
    {"errors": []},
    {"feature": "checkout", "metadata.k__isnull": True},
)
"""Filters that need to look into documents."""


class XorCodec:
    """Encrypts as a toy does: a stream made of key, workflow and save id, and a check sum. Never for real secrets."""

    def __init__(self, key: bytes = b"key", *, prefix: bytes = b"") -> None:
        self.key = key
        self.prefix = prefix

    def encode(self, workflow_id: str, save_id: bytes, document: bytes) -> bytes:
        """Hide."""
        return self.prefix + self._mixed(workflow_id, save_id, hashlib.sha256(document).digest() + document)

    def decode(self, workflow_id: str, save_id: bytes, stored: bytes) -> bytes:
        """Show, or refuse."""
        plain = self._mixed(workflow_id, save_id, stored.removeprefix(self.prefix))
        if hashlib.sha256(plain[32:]).digest() != plain[:32]:
            raise ValueError("not encoded by this codec")
        return plain[32:]

    def _mixed(self, workflow_id: str, save_id: bytes, content: bytes) -> bytes:
        seed = hashlib.sha256(self.key + save_id + workflow_id.encode()).digest()
        return bytes(byte ^ key for byte, key in zip(content, itertools.cycle(seed), strict=False))


def a_secret(workflow_id: str = "order-7", number: int = 0, **fields: Any) -> Any:
    """A context with a mark in each field that only its document has."""
    hidden = f"{SECRET}{number}"
    return a_context(
        workflow_id,
        **({"decisions": {"k": hidden}, "metadata": {hidden: 1}, "artifacts": [hidden], "errors": [hidden]} | fields),
    )


class CodecLaws:
    @pytest.fixture
    def encoded(self, subject: Subject) -> Store:
        """A store with a codec."""
        return subject.open(document_codec=XorCodec())

    @promise("HO04")
    def test_a_codec_round_trips_through_every_verb(self, subject: Subject, encoded: Store) -> None:
        """Saves, batches, loads, searches, histories, rollbacks, forks and diffs, on this handle and another."""
        first, second = a_secret(number=1), a_secret(number=2)
        assert encoded.save_context(first) == 1
        assert encoded.batch([Save(second), Save(a_secret("b")), Delete("none")]) == [2, 1, False]
        assert encoded.rollback("order-7", 1) == 3
        assert encoded.fork("order-7", "fork", 2) == 1
        for store in (encoded, subject.open(document_codec=XorCodec())):
            assert [store.load_context("order-7", version=version) for version in (1, 2, 3)] == [first, second, first]
            assert store.load_context("order-7", as_of=EPOCH.replace(year=9000)) == first
            assert store.load_contexts(["b", "order-7"]) == [a_secret("b"), first]
            (forked,) = store.search_contexts({"workflow_id": "fork"})
            assert forked == a_secret("fork", 2, created_at=forked.created_at, updated_at=forked.created_at)
            assert list(store.iter_contexts(page_size=1)) == store.search_contexts()
            assert len(store.get_context_versions(1, 2)) == 5
            assert len(store.history("order-7")) == 3
            assert store.diff("order-7", 1, 2).apply(first) == second

    @promise("HO04")
    def test_no_plain_text_is_stored(self, subject: Subject, encoded: Store) -> None:
        """Nothing that only the document holds is seen through the storage access hook."""
        encoded.save_contexts([a_secret(number=number) for number in range(3)])
        encoded.rollback("order-7", 2)
        encoded.fork("order-7", "fork")
        assert SECRET.encode() not in subject.raw_storage()
        subject.open().save_context(a_secret("plain"))
        assert SECRET.encode() in subject.raw_storage()

    @promise("HO04")
    def test_every_save_has_an_id_of_its_own(self, subject: Subject, encoded: Store) -> None:
        """Equal contexts are stored differently: the save id is new each time, and kept beside the document."""
        encoded.save_contexts([a_secret()] * 5)
        documents = [document for _, document in everything(subject.backend())["order-7"][1:]]
        assert {len(document.save_id or b"") for document in documents} == {16}
        assert (
            len({document.save_id for document in documents}) == len({document.document for document in documents}) == 5
        )

    @promise("HO04")
    @pytest.mark.parametrize("prefix", [b"{", b"{}", b"[", b'"', b"{\xff", b"\0", b"{\xc3\x28\0", b"null"], ids=repr)
    def test_a_codec_may_give_any_bytes(self, subject: Subject, prefix: bytes) -> None:
        """Also such as begin like JSON and are none."""
        store = subject.open(document_codec=XorCodec(prefix=prefix))
        store.save_contexts([a_secret(f"w{number}", number) for number in range(5)])
        assert sorted(found.workflow_id for found in store.search_contexts()) == [f"w{number}" for number in range(5)]
        assert store.load_context("w3") == a_secret("w3", 3)

    @promise("HO04", "ID01", "ID02")
    def test_a_retry_is_recognised_though_the_codec_is_random(self, subject: Subject, encoded: Store) -> None:
        """The hash of its content is taken before the codec."""
        subject.requires(Capability.IDEMPOTENCY)
        assert [encoded.save_context(a_secret(), idempotency_key="k") for _ in range(3)] == [1, 1, 1]
        assert encoded.batch([Save(a_secret(), idempotency_key="k")]) == [1]
        with pytest.raises(IdempotencyConflictError):
            encoded.save_context(a_secret(number=1), idempotency_key="k")

    @promise("HO04", "MO01")
    @pytest.mark.parametrize("codec", [None, XorCodec(), XorCodec(b"another")], ids=["none", "same", "another"])
    def test_histories_move_between_stores_of_different_codecs(
        self, subject: Subject, encoded: Store, tmp_path: Path, codec: XorCodec | None
    ) -> None:
        """They leave in plain and are encoded anew; importing again finds all of them there."""
        has_keys = Capability.IDEMPOTENCY in encoded.describe().capabilities
        encoded.save_context(a_secret(), idempotency_key="k" if has_keys else None)
        encoded.save_contexts([a_secret(number=1), a_secret("b")])
        assert encoded.export(tmp_path / "export").count == 3
        assert SECRET.encode() in (tmp_path / "export").read_bytes()
        target = subject.another().open(document_codec=codec)
        for result in (ImportResult(written=3, present=0), ImportResult(written=0, present=3)):
            assert target.import_(tmp_path / "export") == result
        assert encoded.import_(tmp_path / "export") == ImportResult(written=0, present=3)
        assert target.history("order-7") == encoded.history("order-7")
        assert target.get_context_versions(1, 2) == encoded.get_context_versions(1, 2)
        if has_keys:
            assert target.save_context(a_secret(), idempotency_key="k") == 1

    @promise("HO04", "QU06")
    @pytest.mark.parametrize("filters", INSIDE, ids=str)
    def test_filters_that_look_inside_are_refused(self, subject: Subject, filters: Any) -> None:
        """By every way to search, before any verb; nothing is found by chance."""
        counter = CallCountingBackend(subject.backend())
        store = subject.around(counter, document_codec=XorCodec())
        searches: tuple[Callable[..., Any], ...] = (
            store.search_contexts,
            store.count_contexts,
            store.list_headers,
            store.search_page,
            lambda filters: list(store.iter_contexts(filters)),
        )
        for search in searches:
            with pytest.raises(UnsupportedOperationError) as caught:
                search(filters)
            assert caught.value.backend == store.describe().name
        assert counter.calls == []

    @promise("HO04")
    def test_filters_on_indexed_fields_work(self, encoded: Store) -> None:
        """Fields, tags and times are no secrets."""
        encoded.save_contexts([a_secret("a", tags=["x"]), a_secret("b", story_num=None)])
        assert encoded.search_contexts({"tags__contains": "x"}) == [a_secret("a", tags=["x"])]
        assert encoded.search_contexts({"story_num": None, "created_at": EPOCH}) == [a_secret("b", story_num=None)]
        assert encoded.count_contexts({"feature__prefix": "check"}) == 2

    @promise("HO04", "CR06")
    @pytest.mark.parametrize("codec", [None, XorCodec(b"another")], ids=["none", "another"])
    def test_without_the_codec_a_document_is_corrupt(self, subject: Subject, encoded: Store, codec: Any) -> None:
        """The error tells nothing of it; headers and what was stored in plain are read as ever."""
        subject.open().save_context(a_context("plain"))
        encoded.save_context(a_secret())
        store = subject.open(document_codec=codec)
        for read in (
            lambda: store.load_context("order-7"),
            lambda: store.load_contexts(["plain", "order-7"]),
            store.search_contexts,
            lambda: store.get_context_versions(1, 2),
        ):
            with pytest.raises(CorruptDocumentError) as caught:
                read()
            assert (caught.value.workflow_id, caught.value.version) == ("order-7", 1)
            assert SECRET not in str(caught.value)
        assert store.load_context("plain") == a_context("plain")
        assert len(store.list_headers()) == 2
        assert store.delete_context("order-7") is True

    @promise("HO04", "CR06")
    def test_verify_reads_through_the_codec(self, subject: Subject, encoded: Store) -> None:
        """With it all is sound, without it each hidden document is named."""
        subject.requires(Capability.VERIFY)
        subject.open().save_context(a_context("plain"))
        encoded.save_contexts([a_secret(), a_secret(), a_secret("b")])
        assert encoded.verify().is_sound
        damages = subject.open().verify().damages
        assert sorted((str(damage.workflow_id), damage.version) for damage in damages) == [
            *(("b", 1), ("order-7", 1), ("order-7", 2)),
        ]

    @promise("HO04")
    def test_a_document_is_bound_to_its_row(self, subject: Subject, encoded: Store) -> None:
        """The codec is given the workflow and the save id it was stored with, so that one put elsewhere is noticed."""
        given: list[tuple[str, bytes]] = []

        class Noting(XorCodec):
            def decode(self, workflow_id: str, save_id: bytes, stored: bytes) -> bytes:
                given.append((workflow_id, save_id))
                return super().decode(workflow_id, save_id, stored)

        encoded.save_contexts([a_secret(), a_secret("b")])
        subject.open(document_codec=Noting()).load_contexts(["order-7", "b"])
        documents = subject.backend().load(LoadRequest(workflow_ids=("order-7", "b")))
        assert given == [(document.workflow_id, document.save_id) for document in documents]

    @promise("HO04", "HO01")
    def test_a_codec_that_fails_leaves_nothing_written(self, subject: Subject) -> None:
        """Its error is the caller's; of a batch nothing is written either."""

        class KeyLostError(Exception):
            pass

        class Failing(XorCodec):
            def encode(self, workflow_id: str, save_id: bytes, document: bytes) -> bytes:
                if workflow_id == "bad":
                    raise KeyLostError
                return super().encode(workflow_id, save_id, document)

        store = subject.open(document_codec=Failing())
        before = whole(subject.backend())
        for write in (
            lambda: store.save_context(a_secret("bad")),
            lambda: store.save_contexts([a_secret("good"), a_secret("bad")]),
            lambda: store.batch([Save(a_secret("good")), Save(a_secret("bad"))]),
        ):
            with pytest.raises(KeyLostError):
                write()
        assert whole(subject.backend()) == before

    @promise("HO04", "ER04")
    def test_what_is_no_codec_is_refused(self, subject: Subject) -> None:
        """When the store is opened, not when it is used."""
        wrong: Any
        for wrong in (object(), "key", {"encode": len}):
            with pytest.raises(ConfigurationError, match="codec"):
                subject.open(document_codec=wrong)
