"""Laws of live stores on the move: snapshots, exports and backups beside writers."""

import itertools
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from context_core import BackendClosedError, Capability, ReadOnlyError, StorageError, UnsupportedOperationError
from context_core.maintenance import BackupRequest, PruneRequest
from context_core.records import DeleteRequest
from context_core_conformance.calls import VERBS
from context_core_conformance.promises import promise
from context_core_conformance.racing import in_threads
from context_core_conformance.restoring import whole
from context_core_conformance.samples import a_context
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Store, a_save, apply, headers_of

T = TypeVar("T")
PAIR = ("left", "right")


class LiveLaws:
    @promise("MO02")
    def test_a_snapshot_stays_as_it_was(self, subject: Subject) -> None:
        """Whatever is saved, deleted, restored or pruned after it was opened, through any handle."""
        subject.requires(Capability.SNAPSHOT)
        backend, other = subject.backend(), subject.open()
        apply(backend, *(a_save(name) for name in "aabbcd"), DeleteRequest(workflow_id="d"))
        before = whole(backend)
        view = backend.snapshot()
        try:
            other.save_contexts([a_context("a", feature="later"), a_context("new"), a_context("d")])
            other.delete_context("b")
            backend.save(a_save("c"))
            if Capability.PRUNE in other.describe().capabilities:
                other.prune()
            assert whole(view) == before
            assert [header.version for header in headers_of(view, "a")] == [1, 2]
        finally:
            view.close()
        assert whole(backend) != before

    @promise("MO02", "ER08")
    def test_a_snapshot_refuses_to_write(self, subject: Subject) -> None:
        """It is a view; it describes itself as its store does."""
        subject.requires(Capability.SNAPSHOT)
        backend = subject.backend()
        backend.save(a_save())
        before = whole(backend)
        view = backend.snapshot()
        for write in (
            lambda: view.save(a_save()),
            lambda: apply(view, a_save("new")),
            lambda: apply(view, DeleteRequest(workflow_id="order-7")),
            lambda: apply(view),
        ):
            with pytest.raises(ReadOnlyError):
                write()
        assert (whole(view), view.describe().limits) == (before, backend.describe().limits)
        view.close()
        assert whole(backend) == before

    @promise("MO02", "RE01")
    @pytest.mark.parametrize("dry_run", [False, True])
    def test_a_snapshot_is_not_pruned(self, subject: Subject, dry_run: bool) -> None:  # noqa: FBT001  # a parameter
        """A prune of it is refused, and removes nothing of its store either."""
        subject.requires(Capability.SNAPSHOT)
        backend = subject.backend()
        apply(backend, a_save(), a_save())
        before = whole(backend)
        view = backend.snapshot()
        with pytest.raises((ReadOnlyError, UnsupportedOperationError)):
            view.prune(PruneRequest(dry_run=dry_run))
        assert whole(view) == before
        view.close()
        assert whole(backend) == before

    @promise("MO02", "ER05")
    def test_a_closed_snapshot_refuses_everything(self, subject: Subject) -> None:
        """Closing it again does nothing, its store goes on, and a closed store gives none."""
        subject.requires(Capability.SNAPSHOT)
        backend = subject.backend()
        view = backend.snapshot()
        view.close()
        view.close()
        for verb in VERBS.values():
            with pytest.raises(BackendClosedError):
                verb(view)
        assert backend.save(a_save()).version == 1
        backend.close()
        with pytest.raises(BackendClosedError):
            backend.snapshot()

    @promise("MO02", "CO01")
    def test_a_snapshot_serves_several_threads(self, subject: Subject) -> None:
        """As its store does, and each sees the same."""
        subject.requires(Capability.SNAPSHOT)
        backend = subject.backend()
        apply(backend, *(a_save(f"w{number}") for number in range(20)))
        view = backend.snapshot()
        backend.save(a_save("w0"))
        views = in_threads(4, lambda _: [whole(view) for _ in range(5)])
        view.close()
        first, *others = itertools.chain(*views)
        assert [other for other in others if other != first] == []
        assert {len(pairs) for pairs in first[0].values()} == {2}

    @promise("MO02")
    def test_an_export_of_a_live_store_is_one_moment(self, subject: Subject, tmp_path: Path) -> None:
        """Two workflows that a writer keeps in step are in step in every export, as a whole with all others."""
        subject.requires(Capability.SNAPSHOT)
        store, writer = subject.open(), subject.open()
        store.save_contexts(a_context(f"between-{number}") for number in range(300))
        for number, lines in enumerate(_beside(writer, lambda n: _exported(store, tmp_path / f"{n}"))):
            heads = [[line["version"] for line in lines if line["workflow_id"] == name] for name in PAIR]
            assert (number, heads[0]) == (number, heads[1])
            assert heads[0] == list(range(1, len(heads[0]) + 1))
            assert sum(line["workflow_id"].startswith("between") for line in lines) == 300

    @promise("MO02")
    def test_a_backup_opens_with_equal_content(self, subject: Subject, tmp_path: Path) -> None:
        """It is a store of its own: what happens to either is not seen in the other."""
        subject.requires(Capability.BACKUP)
        store = subject.open()
        store.save_contexts([a_context("a"), a_context("a"), a_context("b"), a_context("gone")])
        store.fork("a", "fork", 1)
        store.delete_context("gone")
        store.backup(tmp_path / "backup")
        store.backup(str(tmp_path / "as text"))
        copy = subject.open_backup(tmp_path / "backup")
        assert copy.history("fork") == store.history("fork")
        assert copy.search_contexts() == store.search_contexts()
        assert copy.save_context(a_context("gone")) == 2
        assert copy.save_context(a_context("a")) == 3
        assert store.save_context(a_context("new")) == 1
        assert (store.load_context("a").version, copy.context_exists("new")) == (2, False)
        assert subject.open_backup(tmp_path / "as text").search_contexts({"workflow_id": "a"})[0].version == 2

    @promise("MO02")
    def test_a_backup_under_load_opens_and_verifies(self, subject: Subject, tmp_path: Path) -> None:
        """Each copy is one moment of the store, sound, and the writer went on meanwhile."""
        subject.requires(Capability.BACKUP)
        store, writer = subject.open(), subject.open()
        store.save_contexts(a_context(f"between-{number}", metadata={"k": "x" * 1_000}) for number in range(300))
        _beside(writer, lambda number: store.backup(tmp_path / f"backup-{number}"))
        for number in range(5):
            copy = subject.open_backup(tmp_path / f"backup-{number}")
            left, right = ([header.version for header in copy.history(name)] for name in PAIR)
            assert left == right == list(range(1, len(left) + 1))
            if Capability.VERIFY in copy.describe().capabilities:
                report = copy.verify()
                assert (report.is_sound, report.checked_versions) == (True, 300 + 2 * len(left))

    @promise("MO02", "ER01")
    def test_a_backup_overwrites_nothing(self, subject: Subject, tmp_path: Path) -> None:
        """The file must be new, its folder must exist: for the store, and for the driver when it is called directly."""
        subject.requires(Capability.BACKUP)
        store, backend = subject.open(), subject.backend()
        store.save_context(a_context())
        (tmp_path / "precious").write_bytes(b"precious")
        for target in (tmp_path / "precious", tmp_path, tmp_path / "missing" / "backup"):
            with pytest.raises(StorageError):
                store.backup(target)
            with pytest.raises(StorageError):
                backend.backup(BackupRequest(target=target))
        assert (tmp_path / "precious").read_bytes() == b"precious"
        assert not (tmp_path / "missing").exists()
        assert store.load_context("order-7").version == 1


def _beside(writer: Store, look: Callable[[int], T]) -> list[T]:
    """Look five times while *writer* saves the pair, always both in one batch."""
    writer.save_contexts(a_context(name) for name in PAIR)
    is_done = threading.Event()

    def work(number: int) -> list[T]:
        if number:
            try:
                return [look(turn) for turn in range(5)]
            finally:
                is_done.set()
        while not is_done.is_set():
            writer.save_contexts(a_context(name) for name in PAIR)
        return []

    return in_threads(2, work)[1]


def _exported(store: Store, target: Path) -> list[dict[str, Any]]:
    store.export(target)
    return [json.loads(line) for line in target.read_bytes().splitlines()][1:-1]
