"""Laws of reads beside writes: nothing that a handle or a thread read before stands for what is there now."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Final, TypeAlias

import attrs
import pytest

from context_core import ContextBackend
from context_core.query import parse_filters, parse_order
from context_core.records import (
    DeleteRequest,
    LoadRequest,
    Operation,
    QueryRequest,
    Story,
    VersionRequest,
    Want,
)
from context_core_conformance.promises import promise
from context_core_conformance.racing import PATIENCE_S
from context_core_conformance.restoring import a_restore, a_restored_tombstone
from context_core_conformance.samples import EPOCH, TickingClock
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import a_save, apply

Read: TypeAlias = Callable[[ContextBackend], object]

_FAR: Final = EPOCH + timedelta(days=9_999)
_QUERIES: Final = (
    QueryRequest(conditions=parse_filters({"feature": "checkout"})),
    QueryRequest(conditions=parse_filters({"status__in": ["failed", "running"]}), order=parse_order("version")),
    QueryRequest(conditions=parse_filters({"workflow_id": "a"})),
    QueryRequest(),
)

_IDS: Final = (["a"], ["a", "b", "c", "d", "a"])
_HISTORIES: Final = ("a", "c", Story(epic_num=1, story_num=2))
_WANTS: Final = (Want.HEADERS, Want.DOCUMENTS, Want.RECORDS, Want.COUNT)


def _load(request: LoadRequest) -> Read:
    return lambda backend: list(backend.load(request))


def _history(request: VersionRequest) -> Read:
    return lambda backend: _plain(backend.version(request))


def _query(request: QueryRequest) -> Read:
    return lambda backend: _plain(backend.query(request))


READS: Final[dict[str, Read]] = {
    **{
        str(each): _load(each)
        for ids in _IDS
        for each in (LoadRequest(ids), LoadRequest(ids, 1), LoadRequest(ids, as_of=_FAR))
    },
    **{
        str(each): _history(each) for of in _HISTORIES for each in (VersionRequest(of=of, want=want) for want in _WANTS)
    },
    **{str(each): _query(each) for query in _QUERIES for each in (attrs.evolve(query, want=want) for want in _WANTS)},
    "tombstones": _query(QueryRequest(want=Want.TOMBSTONES)),
}
"""Everything that can be asked of a store."""

WRITES: Final[dict[str, Sequence[Operation]]] = {
    "save": [a_save("a", feature="new")],
    "new workflow": [a_save("c", expected_version=0)],
    "delete": [DeleteRequest(workflow_id="b")],
    "batch": [DeleteRequest(workflow_id="a"), a_save("a", feature="again"), a_save("d"), a_save("b", status="failed")],
    "restore": [a_restored_tombstone(7, "buried", deleted_at=_FAR), a_restore(9, "e", saved_at=_FAR)],
    "delete for good": [DeleteRequest(workflow_id=name) for name in ("a", "b", "c", "d", "e")],
}


class FreshReadLaws:
    @promise("CO04", "CO05", "CO01")
    @pytest.mark.parametrize("how", ["another handle", "another thread"])
    def test_every_read_sees_what_was_written_elsewhere(self, subject: Subject, how: str) -> None:
        """Whatever a handle, or a thread of it, was told before: after each write it is told what a new handle is."""
        clock = TickingClock()
        writer, fresh = subject.backend(clock=clock), subject.backend(clock=clock)
        reader = writer if how == "another thread" else subject.backend(clock=clock)
        apply(writer, a_save("a"), a_save("a"), a_save("b"), a_save("gone"), DeleteRequest(workflow_id="gone"))
        with ThreadPoolExecutor(max_workers=1) as thread:

            def told() -> dict[str, object]:
                return {name: read(reader) for name, read in READS.items()}

            thread.submit(told).result(PATIENCE_S)
            for name, operations in WRITES.items():
                apply(writer, *operations)
                now = {read: READS[read](fresh) for read in READS}
                assert thread.submit(told).result(PATIENCE_S) == now, name
                fresh = subject.backend(clock=clock)
                assert now == {read: READS[read](fresh) for read in READS}, name

    @promise("BA05", "BA04", "CO03")
    @pytest.mark.parametrize("way", ["load", "headers", "documents", "records"])
    def test_a_read_of_many_is_of_one_moment(self, subject: Subject, way: str) -> None:
        """Workflows that are always written together always have one version, however many one read gives."""
        backend, reader = subject.backend(), subject.backend()
        names = [f"w{number:03}" for number in range(250)]
        apply(backend, *(a_save(name) for name in names))
        ended = threading.Event()

        def write() -> None:
            try:
                for _ in range(6):
                    apply(backend, *(a_save(name) for name in names))
            finally:
                ended.set()

        with ThreadPoolExecutor(max_workers=1) as thread:
            writing = thread.submit(write)
            while True:
                is_last = ended.is_set()
                versions = _versions(reader, way, names)
                assert len(versions) == 250
                assert len(set(versions)) == 1
                if is_last:
                    break
            writing.result(PATIENCE_S)

    @promise("DE04", "BA04", "CO03")
    @pytest.mark.parametrize("want", [Want.HEADERS, Want.DOCUMENTS, Want.RECORDS, Want.COUNT])
    def test_a_history_is_read_at_one_moment(self, subject: Subject, want: Want) -> None:
        """A history that comes and goes as a whole is read as a whole or not at all."""
        backend, reader = subject.backend(), subject.backend()
        ended = threading.Event()

        def write() -> None:
            try:
                for _ in range(12):
                    apply(backend, *(a_save("w") for _ in range(40)))
                    apply(backend, DeleteRequest(workflow_id="w"))
            finally:
                ended.set()

        with ThreadPoolExecutor(max_workers=1) as thread:
            writing = thread.submit(write)
            while not ended.is_set():
                found = reader.version(VersionRequest(of="w", want=want))
                assert found.count in (0, 40)
                assert {len(found.headers), len(found.documents)} <= {0, found.count}
                pairs = zip(found.headers, found.documents, strict=want is Want.RECORDS)
                assert all(header.version == document.version for header, document in pairs)
            writing.result(PATIENCE_S)


def _versions(backend: ContextBackend, way: str, names: Sequence[str]) -> list[int]:
    """The version of each workflow, twice where a read gives header and document."""
    if way == "load":
        return [document.version for document in backend.load(LoadRequest(workflow_ids=names))]
    found = backend.query(QueryRequest(want=Want(way)))
    pairs = zip(found.headers, found.documents, strict=way == "records")
    assert all((header.workflow_id, header.version) == document[:2] for header, document in pairs)
    return [each.version for each in found.headers or found.documents]


def _plain(found: Any) -> tuple[object, ...]:
    return tuple(found.headers), tuple(found.documents), found.count, tuple(found.tombstones), tuple(found.damaged)
