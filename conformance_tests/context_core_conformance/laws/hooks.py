"""Laws of wrappers: they see every write, may veto it, and change nothing else."""

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

from context_core import ContextPersistence, Delete, Save, VersionConflictError, hookimpl
from context_core.records import BatchRequest, DeleteRequest, Operation, Outcome, SavedVersion, SaveRequest
from context_core_conformance.laws.hooks_codec import CodecLaws
from context_core_conformance.laws.hooks_hostile import HostileLaws
from context_core_conformance.promises import promise
from context_core_conformance.restoring import a_restore, whole
from context_core_conformance.samples import TickingClock, a_context
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Store, apply

T = TypeVar("T")

WRITES: Final[dict[str, Callable[[Store, Path], object]]] = {
    "save_context": lambda store, _: store.save_context(a_context("new")),
    "update_context": lambda store, _: store.update_context(a_context("a")),
    "save_contexts": lambda store, _: store.save_contexts([a_context("a"), a_context("new")]),
    "delete_context": lambda store, _: store.delete_context("a"),
    "rollback": lambda store, _: store.rollback("a", 1),
    "fork": lambda store, _: store.fork("a", "new"),
    "batch": lambda store, _: store.batch([Save(a_context("new")), Delete("a")]),
    "import_": lambda store, source: store.import_(source),
}
"""Every method that writes a context."""

CALLS: Final[dict[str, Callable[[Store], object]]] = {
    "save_context": lambda store: [store.save_context(a_context(name, feature=name)) for name in "aabc"],
    "batch": lambda store: store.batch([Save(a_context("d"), expected_version=0), Delete("c"), Delete("none")]),
    "load_context": lambda store: store.load_context("a", version=1),
    "load_contexts": lambda store: store.load_contexts(["b", "none", "a"]),
    "rollback": lambda store: store.rollback("a", 1),
    "fork": lambda store: store.fork("a", "fork"),
    "history": lambda store: store.history("a"),
    "search_contexts": lambda store: store.search_contexts({"feature__ne": "b"}),
    "search_page": lambda store: store.search_page(limit=2),
    "iter_contexts": lambda store: list(store.iter_contexts(page_size=1)),
    "headers_page": lambda store: store.headers_page(limit=2),
    "iter_headers": lambda store: list(store.iter_headers(page_size=1)),
    "count_contexts": lambda store: store.count_contexts(),
    "list_headers": lambda store: store.list_headers(),
    "diff": lambda store: str(store.diff("a", 1, 2)),
    "delete_context": lambda store: store.delete_context("b"),
    "get_context_versions": lambda store: store.get_context_versions(1, 2),
}
"""Calls of every kind, and what they give."""


class VetoError(Exception):
    """A wrapper's own error, none of ours."""


class Veto:
    """Refuses every write from the moment it is told to."""

    is_on = False

    @hookimpl(wrapper=True)
    def save(self, request: SaveRequest) -> Generator[None, SavedVersion, SavedVersion]:
        """Refuse, or let pass."""
        self._judge(request)
        return (yield)

    @hookimpl(wrapper=True)
    def batch(self, request: BatchRequest) -> Generator[None, list[Outcome], list[Outcome]]:
        """Refuse, or let pass."""
        self._judge(request)
        return (yield)

    def _judge(self, request: object) -> None:
        if self.is_on:
            raise VetoError(type(request).__name__)


class Audit:
    """Notes what passes: before the driver is asked, and what came of it."""

    def __init__(self, name: str = "", notes: list[Any] | None = None) -> None:
        self.name = name
        self.notes: list[Any] = [] if notes is None else notes

    @hookimpl(wrapper=True)
    def save(self, request: SaveRequest) -> Generator[None, SavedVersion, SavedVersion]:
        """Note a save."""
        return (yield from self._watch([request]))

    @hookimpl(wrapper=True)
    def batch(self, request: BatchRequest) -> Generator[None, list[Outcome], list[Outcome]]:
        """Note each operation."""
        return (yield from self._watch(request.operations))

    def _watch(self, operations: Sequence[Operation]) -> Generator[None, T, T]:
        self.notes.append((self.name, "before", [_subject_of(operation) for operation in operations]))
        try:
            result = yield
        except Exception as error:
            self.notes.append((self.name, "failed", type(error).__name__))
            raise
        self.notes.append((self.name, "after", [_subject_of(operation) for operation in operations]))
        return result


class HookLaws(CodecLaws, HostileLaws):
    """Laws of wrappers; those of document codecs and of hostile documents come with them."""

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        """An export of a small store."""
        with ContextPersistence("memory://") as store:
            store.save_contexts([a_context("imported"), a_context("imported")])
            store.export(tmp_path / "source")
        return tmp_path / "source"

    @promise("HO01")
    @pytest.mark.parametrize("write", WRITES)
    def test_a_veto_leaves_nothing_written(self, subject: Subject, source: Path, write: str) -> None:
        """Whatever writes: the caller sees the wrapper's very error, and the store is as it was and usable."""
        veto = Veto()
        store = subject.open(wrappers=[veto])
        store.save_contexts([a_context("a"), a_context("a")])
        before = whole(subject.backend())
        veto.is_on = True
        with pytest.raises(VetoError):
            WRITES[write](store, source)
        assert whole(subject.backend()) == before
        veto.is_on = False
        WRITES[write](store, source)
        assert whole(subject.backend()) != before

    @promise("HO01", "HO02")
    def test_no_write_is_left_out(self, store: Store) -> None:
        """The laws of vetoes know every method of a store that takes or gives a version."""
        names = {"save", "update", "delete", "rollback", "fork", "batch", "import", "restore", "write"}
        public = {name for name in dir(store) if not name.startswith("_") and name.split("_")[0] in names}
        assert public == set(WRITES)

    @promise("HO01")
    def test_the_outermost_veto_is_the_first(self, subject: Subject) -> None:
        """A wrapper outside of it learns of the refusal, one inside of it hears nothing."""
        outer, inner, veto = Audit(), Audit(), Veto()
        store = subject.open(wrappers=[outer, veto, inner])
        veto.is_on = True
        with pytest.raises(VetoError):
            store.save_context(a_context())
        assert [note[1:] for note in outer.notes] == [("before", ["order-7"]), ("failed", "VetoError")]
        assert inner.notes == []

    @promise("HO02")
    @pytest.mark.parametrize("write", WRITES)
    def test_an_audit_sees_every_write(self, subject: Subject, source: Path, write: str) -> None:
        """Each workflow that is written, before it is and after."""
        audit = Audit()
        store = subject.open(wrappers=[audit])
        subject.open().save_contexts([a_context("a"), a_context("a")])
        before = whole(subject.backend())
        WRITES[write](store, source)
        after = whole(subject.backend())
        changed = {name for name in before[0].keys() | after[0].keys() if before[0].get(name) != after[0].get(name)}
        for moment in ("before", "after"):
            assert {name for _, when, names in audit.notes if when == moment for name in names} == changed

    @promise("HO02")
    def test_the_first_wrapper_is_outermost(self, subject: Subject) -> None:
        """Before the driver they run in the given order, after it in the reverse."""
        notes: list[Any] = []
        store = subject.open(wrappers=[Audit(name, notes) for name in ("first", "second", "third")])
        store.save_context(a_context())
        store.delete_context("order-7")
        turn = ["first", "second", "third", "third", "second", "first"]
        assert [name for name, _, _ in notes] == turn * 2
        assert [when for _, when, _ in notes] == (["before"] * 3 + ["after"] * 3) * 2

    @promise("HO02", "ER01")
    def test_a_wrapper_sees_the_drivers_refusal(self, subject: Subject) -> None:
        """And the caller sees it too, unchanged."""
        audit = Audit()
        store = subject.open(wrappers=[audit])
        with pytest.raises(VersionConflictError) as caught:
            store.save_context(a_context(), expected_version=3)
        assert audit.notes[-1] == ("", "failed", type(caught.value).__name__)

    @promise("HO01")
    def test_what_is_raised_after_the_write_undoes_nothing(self, subject: Subject) -> None:
        """A veto comes before the yield; behind it the version is acknowledged."""

        class TooLate:
            @hookimpl(wrapper=True)
            def save(self, request: SaveRequest) -> Generator[None, SavedVersion, SavedVersion]:
                del request
                yield
                raise VetoError

        with pytest.raises(VetoError):
            subject.open(wrappers=[TooLate()]).save_context(a_context())
        assert subject.open().load_context("order-7").version == 1

    @promise("HO02")
    def test_a_driver_works_the_same_with_and_without_wrappers(self, subject: Subject) -> None:
        """Every call gives the same, and leaves the same behind."""
        plain, wrapped = subject.backend(clock=TickingClock()), subject.another().backend(clock=TickingClock())
        clock = TickingClock()
        stores = (
            subject.around(plain, clock=clock),
            subject.around(wrapped, clock=clock, wrappers=[Audit(), Veto()]),
        )
        for name, call in CALLS.items():
            expected, given = (call(store) for store in stores)
            assert (name, given) == (name, expected)
            assert whole(wrapped) == whole(plain)

    @promise("HO02", "MO01")
    def test_an_audit_sees_restores_as_what_they_are(self, subject: Subject, source: Path) -> None:
        """An import shows each version, under its own number."""
        seen: list[Operation] = []

        class Watch:
            @hookimpl(wrapper=True)
            def batch(self, request: BatchRequest) -> Generator[None, list[Outcome], list[Outcome]]:
                seen.extend(request.operations)
                return (yield)

        subject.open(wrappers=[Watch()]).import_(source)
        assert [(type(operation), getattr(operation, "version", None)) for operation in seen] == [
            *((type(a_restore(1)), 1), (type(a_restore(2)), 2)),
        ]

    @promise("HO02")
    def test_wrappers_of_one_store_are_no_business_of_another(self, subject: Subject) -> None:
        """Two stores on one database, and a bare backend, each go their own way."""
        audit = Audit()
        watched, plain = subject.open(wrappers=[audit]), subject.open()
        plain.save_context(a_context("a"))
        apply(subject.backend(), DeleteRequest(workflow_id="a"))
        assert audit.notes == []
        watched.save_context(a_context("b"))
        assert len(audit.notes) == 2


def _subject_of(operation: Any) -> str:
    record = getattr(operation, "record", None)
    return str(operation.workflow_id if record is None else record.workflow_id)
