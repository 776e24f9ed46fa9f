"""Laws of a store's life: opened, used, closed, opened again."""

import contextlib
import gc
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from context_core import BackendClosedError, Capability, ContextBackend, ContextPersistence
from context_core.maintenance import BackupRequest, PruneRequest, RepairRequest
from context_core.records import QueryRequest
from context_core_conformance.calls import CALLS, NEEDS, VERBS, WORK_WHEN_CLOSED
from context_core_conformance.promises import promise
from context_core_conformance.racing import in_threads
from context_core_conformance.samples import a_context
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import a_save, everything

ADDED: Final[dict[Capability, Callable[[ContextBackend, Path], object]]] = {
    Capability.EXPLAIN: lambda backend, _: backend.explain(QueryRequest()),
    Capability.PRUNE: lambda backend, _: backend.prune(PruneRequest(dry_run=True)),
    Capability.VERIFY: lambda backend, _: backend.verify(),
    Capability.SNAPSHOT: lambda backend, _: backend.snapshot(),
    Capability.BACKUP: lambda backend, target: backend.backup(BackupRequest(target=target)),
    Capability.MIGRATE: lambda backend, _: backend.migrate(),
    Capability.REPAIR: lambda backend, _: backend.repair(RepairRequest(dry_run=True)),
}
"""The verb of each capability that has one."""


class LifecycleLaws:
    @promise("ER05")
    @pytest.mark.parametrize("name", CALLS)
    def test_closed_store_refuses_every_call(self, subject: Subject, tmp_path: Path, name: str) -> None:
        """After close every method that reads or writes raises BackendClosedError."""
        if name in NEEDS:
            subject.requires(NEEDS[name])
        store, folder = subject.open(), tmp_path / "files"
        folder.mkdir()
        store.save_context(a_context("w"))
        store.export(folder / "exported.jsonl")
        CALLS[name](store, folder)
        store.close()
        with pytest.raises(BackendClosedError):
            CALLS[name](store, folder)

    @promise("ER05")
    def test_no_method_is_left_out(self) -> None:
        """The law above knows every public method."""
        public = {name for name in dir(ContextPersistence) if not name.startswith("_")}
        assert public - WORK_WHEN_CLOSED == set(CALLS)

    @promise("ER05")
    @pytest.mark.parametrize("name", VERBS)
    def test_closed_backend_refuses_every_verb(self, subject: Subject, name: str) -> None:
        """The backend refuses by itself, also what would need no storage."""
        backend = subject.backend()
        VERBS[name](backend)
        backend.close()
        with pytest.raises(BackendClosedError):
            VERBS[name](backend)

    @promise("ER05")
    @pytest.mark.parametrize("capability", ADDED)
    def test_closed_backend_refuses_what_capabilities_add(
        self, subject: Subject, tmp_path: Path, capability: Capability
    ) -> None:
        """So does each verb that a capability adds."""
        subject.requires(capability)
        backend = subject.backend()
        backend.save(a_save("w"))
        backend.close()
        with pytest.raises(BackendClosedError):
            ADDED[capability](backend, tmp_path / "new")
        assert not (tmp_path / "new").exists()

    @promise("ER05")
    def test_backend_that_is_closed_under_a_store_refuses(self, subject: Subject) -> None:
        """A store around a backend that someone else closed raises the same error."""
        backend = subject.backend()
        store = subject.around(backend)
        backend.close()
        with pytest.raises(BackendClosedError):
            store.save_context(a_context())

    @promise("ER05")
    def test_close_is_idempotent(self, subject: Subject) -> None:
        """Closing again does nothing, in any thread, and the store still describes itself."""
        store, backend = subject.open(), subject.backend()
        before, was_closed = store.describe(), store.is_closed
        for closable in (store, store, backend, backend):
            closable.close()
        in_threads(2, lambda _: store.close())
        assert (was_closed, store.is_closed) == (False, True)
        assert store.describe() == before

    @promise("ER05")
    def test_close_of_one_handle_takes_nothing_from_another(self, subject: Subject) -> None:
        """Another handle on the same storage goes on."""
        closing, other = subject.open(), subject.open()
        closing.save_context(a_context("w"))
        closing.close()
        assert other.save_context(a_context("w")) == 2

    @promise("ER05")
    def test_with_block_closes_the_store(self, subject: Subject) -> None:
        """Also when its body raises, and the error goes on."""
        store = subject.open()

        def fail_inside() -> None:
            with store:
                store.save_context(a_context("w"))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail_inside()
        assert store.is_closed is True
        assert subject.open().load_context("w").version == 1

    @promise("ER05", "CO01")
    def test_close_under_use_gives_results_or_the_closed_error(self, subject: Subject) -> None:
        """Threads that are at work when the store is closed finish or are refused; what was acknowledged is there."""
        store = subject.open()
        store.save_context(a_context("w"))
        are_working = threading.Barrier(4, timeout=60)

        def work(number: int) -> int:
            are_working.wait()
            if number == 0:
                store.close()
                return 0
            acknowledged = 0
            with contextlib.suppress(BackendClosedError):
                while True:
                    store.save_context(a_context(f"w{number}"))
                    acknowledged += 1
                    store.load_context("w")
            return acknowledged

        acknowledged = in_threads(4, work)
        reopened = subject.open()
        kept = [len(reopened.history(f"w{number}")) for number in range(1, 4)]
        assert kept == acknowledged[1:]

    @promise("ER05")
    def test_closed_store_leaves_no_warning(self, subject: Subject) -> None:
        """A store that several threads used is collected without a ResourceWarning."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            _use_and_close(subject.url)
            gc.collect()
        assert [str(warning.message) for warning in caught if warning.category is ResourceWarning] == []

    @promise("ER06")
    def test_reopened_store_sees_everything(self, subject: Subject) -> None:
        """Every version, header and head is there as it was; a store that is not durable is held open meanwhile."""
        if Capability.DURABLE not in subject.capabilities:
            subject.open()
        store = ContextPersistence[Any](subject.url)
        for number in range(3):
            store.save_context(a_context("w", epic_num=number + 1, decisions={"n": number}, tags=["x"]))
        store.save_contexts([a_context("other"), a_context("gone")])
        store.delete_context("gone")
        with contextlib.closing(subject.backend()) as backend:
            before = everything(backend, ["gone"])
        store.close()
        reopened = subject.open()
        assert everything(subject.backend(), ["gone"]) == before
        assert sorted(before) == ["gone", "other", "w"]
        assert reopened.load_context("w", version=1).decisions == {"n": 0}
        assert [reopened.save_context(a_context(name)) for name in ("w", "other", "gone")] == [4, 2, 2]

    @promise("ER06", "VE02")
    def test_opening_again_and_again_changes_nothing(self, subject: Subject) -> None:
        """To open and close is not to write."""
        held = subject.open()
        held.save_context(a_context("w"))
        before = everything(subject.backend())
        for _ in range(3):
            subject.open().close()
        assert everything(subject.backend()) == before


def _use_and_close(url: str) -> None:
    store = ContextPersistence[Any](url)
    in_threads(3, lambda number: store.save_context(a_context(f"w{number}")))
    store.search_contexts()
    store.close()
