"""Laws of stores that may only read."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from context_core import (
    BackendClosedError,
    Capability,
    ConfigurationError,
    Delete,
    PersistenceError,
    ReadOnlyError,
    Save,
    UnsupportedOperationError,
)
from context_core.records import BatchRequest, DeleteRequest, SaveRequest
from context_core_conformance.promises import promise
from context_core_conformance.samples import a_context
from context_core_conformance.skipping import refuses, skip_undeclared
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Store, everything, record_of

WRITES: Final[dict[str, Callable[[Store], object]]] = {
    "save_context": lambda store: store.save_context(a_context("w")),
    "save_context of a new one": lambda store: store.save_context(a_context("new")),
    "save_context with a conflict": lambda store: store.save_context(a_context("w"), expected_version=9),
    "update_context": lambda store: store.update_context(a_context("w")),
    "save_contexts": lambda store: store.save_contexts([a_context("w"), a_context("new")]),
    "batch": lambda store: store.batch([Save(a_context("w")), Delete("w")]),
    "rollback": lambda store: store.rollback("w", 1),
    "fork": lambda store: store.fork("w", "new"),
    "delete_context": lambda store: store.delete_context("w"),
    "delete_context of none": lambda store: store.delete_context("none"),
}


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below *folder*, with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class ReadOnlyLaws:
    @pytest.fixture
    def filled(self, subject: Subject) -> Subject:
        """A storage that holds something and that nobody has open."""
        subject.requires(Capability.READ_ONLY)
        subject.close_all()
        with subject.open() as store:
            store.save_context(a_context("w", epic_num=1))
            store.save_context(a_context("w", epic_num=2, decisions={"k": 1}))
        return subject

    @promise("ER06")
    def test_read_only_store_reads_everything(self, filled: Subject) -> None:
        """Heads, versions, histories, searches and counts."""
        store = filled.open_read_only()
        assert store.load_context("w").decisions == {"k": 1}
        assert store.load_context("w", version=1).epic_num == 1
        assert [header.version for header in store.history("w")] == [1, 2]
        assert [found.version for found in store.search_contexts({"epic_num": 2})] == [2]
        assert [found.version for found in store.load_contexts(["w", "none"])] == [2]
        assert (store.context_exists("w"), store.context_exists("none")) == (True, False)
        assert store.get_version_count(2, 2) == 1

    @promise("ER06")
    @pytest.mark.parametrize("name", WRITES)
    def test_read_only_store_refuses_every_write(self, filled: Subject, name: str) -> None:
        """With ReadOnlyError, whatever else is wrong with the write."""
        store = filled.open_read_only()
        with pytest.raises(ReadOnlyError):
            WRITES[name](store)

    @promise("ER06")
    def test_read_only_verbs_change_no_byte(self, filled: Subject, tmp_path: Path) -> None:
        """Neither reads nor refused writes change or create a file, while the store is open and after."""
        before = files_of(tmp_path)
        store = filled.open_read_only()
        store.search_contexts({"epic_num": 2})
        for write in WRITES.values():
            with contextlib.suppress(ReadOnlyError):
                write(store)
        meanwhile = files_of(tmp_path)
        store.close()
        assert meanwhile == before
        assert files_of(tmp_path) == before

    @promise("ER06")
    def test_read_only_store_leaves_the_contents_as_they_were(self, filled: Subject) -> None:
        """Seen through a handle that may write."""
        with contextlib.closing(filled.backend()) as backend:
            before = everything(backend)
        with filled.open_read_only() as store:
            for write in WRITES.values():
                with contextlib.suppress(ReadOnlyError):
                    write(store)
        assert everything(filled.backend()) == before

    @promise("ER06")
    def test_read_only_store_creates_nothing(self, subject: Subject, tmp_path: Path) -> None:
        """Where no storage is yet, it says so or is empty, and makes none."""
        before = files_of(tmp_path)
        try:
            with contextlib.suppress(PersistenceError):
                assert subject.open_read_only().search_contexts() == []
        except ConfigurationError:
            skip_undeclared(Capability.READ_ONLY)
        assert files_of(tmp_path) == before

    @promise("ER06", "CO04")
    def test_read_only_store_follows_a_writer(self, filled: Subject) -> None:
        """It sees what was written after it was opened, before, while and after the writer has the storage open."""
        reader = filled.open_read_only()
        with filled.open() as writer:
            writer.save_context(a_context("w", epic_num=3))
            assert reader.load_context("w").epic_num == 3
            writer.save_context(a_context("w", epic_num=4))
            assert reader.load_context("w").epic_num == 4
        assert reader.load_context("w").epic_num == 4
        with filled.open() as writer:
            writer.save_context(a_context("w", epic_num=5))
        assert reader.load_context("w").epic_num == 5

    @promise("ER06", "ER05")
    def test_read_only_store_is_closed_like_any(self, filled: Subject) -> None:
        """After close it refuses reads and writes alike, as closed."""
        store = filled.open_read_only()
        store.close()
        for call in (lambda: store.load_context("w"), lambda: store.save_context(a_context("w"))):
            with pytest.raises(BackendClosedError):
                call()

    @promise("ER06")
    def test_read_only_backend_refuses_the_bare_verbs(self, filled: Subject) -> None:
        """The driver refuses by itself."""
        backend = filled.read_only_backend()
        save: Any = SaveRequest(record=record_of(a_context("w")))
        with pytest.raises(ReadOnlyError):
            backend.save(save)
        for operation in (save, DeleteRequest(workflow_id="w")):
            with pytest.raises(ReadOnlyError):
                backend.batch(BatchRequest(operations=[operation]))

    @promise("ER06", "ER08")
    @refuses(Capability.READ_ONLY)
    def test_read_only_is_refused_where_it_is_not_declared(self, subject: Subject) -> None:
        """A driver that could write all the same does not take the option."""
        if Capability.READ_ONLY in subject.capabilities:
            assert subject.open_read_only().search_contexts() == []
        else:
            with pytest.raises((ConfigurationError, UnsupportedOperationError)):
                subject.open_read_only()
