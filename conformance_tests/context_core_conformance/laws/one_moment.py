"""Laws of snapshots, exports and backups: each is of one moment, waits for no writer and leaves nothing open."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from context_core import Capability, ContextBackend
from context_core.query import parse_filters
from context_core.records import DeleteRequest, LoadRequest, QueryRequest, Story, VersionRequest, Want
from context_core_conformance.laws.endurance import growth
from context_core_conformance.promises import promise
from context_core_conformance.restoring import a_restored_tombstone, whole
from context_core_conformance.samples import TickingClock, a_context
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Store, a_save, apply

PATIENCE_S: Final = 60
LONGEST_COPY_S: Final = 20
STORY: Final = Story(epic_num=1, story_num=2)
EPIC: Final = Story(epic_num=1, story_num=None)

QUESTIONS: Final[dict[str, Callable[[ContextBackend, datetime], Any]]] = {
    "tombstones": lambda view, _: view.query(QueryRequest(want=Want.TOMBSTONES)).tombstones,
    "a count": lambda view, _: view.query(QueryRequest(want=Want.COUNT)).count,
    "a filtered count": lambda view, _: view.query(_paused(Want.COUNT)).count,
    "found headers": lambda view, _: list(view.query(_paused(Want.HEADERS)).headers),
    "found documents": lambda view, _: [each.document for each in view.query(_paused(Want.DOCUMENTS)).documents],
    "pages by offset": lambda view, _: list(view.query(QueryRequest(want=Want.HEADERS, offset=1, limit=2)).headers),
    "a story's history": lambda view, _: list(view.version(VersionRequest(of=STORY)).headers),
    "a story's documents": lambda view, _: len(view.version(VersionRequest(of=STORY, want=Want.DOCUMENTS)).documents),
    "a story's count": lambda view, _: view.version(VersionRequest(of=STORY, want=Want.COUNT)).count,
    "an epic's count": lambda view, _: view.version(VersionRequest(of=EPIC, want=Want.COUNT)).count,
    "a workflow's count": lambda view, _: view.version(VersionRequest(of="a", want=Want.COUNT)).count,
    "the newest first": lambda view, _: list(view.version(VersionRequest(of="a", newest_first=True, limit=1)).headers),
    "heads": lambda view, _: list(view.load(LoadRequest(workflow_ids=("a", "b", "new", "gone")))),
    "a version": lambda view, _: list(view.load(LoadRequest(workflow_ids=("a",), version=3))),
    "a moment": lambda view, moment: list(view.load(LoadRequest(workflow_ids=("a", "b"), as_of=moment))),
}
"""What a snapshot can be asked beside its histories."""


def _paused(want: Want) -> QueryRequest:
    return QueryRequest(conditions=parse_filters({"status": "paused"}), want=want)


class OneMomentLaws:
    @promise("MO02")
    @pytest.mark.parametrize("question", QUESTIONS)
    def test_a_snapshot_answers_everything_as_of_its_moment(self, subject: Subject, question: str) -> None:
        """Tombstones, counts, searches, loads and a story's history, whatever was written since."""
        subject.requires(Capability.SNAPSHOT)
        clock = TickingClock()
        backend, other = subject.backend(clock=clock), subject.open(clock=clock)
        saves = (a_save(name, story_num=2, status="paused") for name in ("a", "a", "b", "c", "gone", "back"))
        apply(backend, *saves, a_save("e", story_num=None))
        apply(backend, DeleteRequest(workflow_id="gone"), DeleteRequest(workflow_id="back"))
        ask, later = QUESTIONS[question], clock.now + timedelta(days=1)
        view = backend.snapshot()
        try:
            before = ask(backend, later)
            clock.advance(60)
            other.save_contexts([a_context("a", story_num=2, status="failed"), a_context("new", status="paused")])
            other.save_contexts([a_context("new", story_num=2), a_context("e", story_num=None)])
            apply(backend, DeleteRequest(workflow_id="b"), a_save("back"), a_restored_tombstone(7, "elsewhere"))
            assert ask(view, later) == before
            assert ask(view, later) == before, "asked again"
        finally:
            view.close()
        assert ask(backend, later) != before, "a law that shows nothing"

    @promise("MO02", "CO03")
    @pytest.mark.parametrize("verb", ["snapshot", "export", "backup"])
    def test_a_copy_waits_for_no_writer(self, subject: Subject, tmp_path: Path, verb: str) -> None:
        """While a writer stands inside its transaction, the copy is made of the state before it."""
        subject.requires(Capability.BACKUP if verb == "backup" else Capability.SNAPSHOT)
        is_inside, may_go_on = threading.Event(), threading.Event()

        def slow_clock() -> datetime:
            is_inside.set()
            assert may_go_on.wait(PATIENCE_S)
            return TickingClock().now

        store = subject.open(clock=TickingClock())
        store.save_context(a_context("w"))
        backend, writer, seen = subject.backend(), subject.open(clock=slow_clock), list[object]()
        copying = threading.Thread(target=lambda: seen.append(_copied(verb, backend, store, tmp_path / "copy")))
        writing = threading.Thread(target=writer.save_context, args=(a_context("w"),))
        writing.start()
        try:
            assert is_inside.wait(PATIENCE_S)
            copying.start()
            copying.join(LONGEST_COPY_S)
            seen_meanwhile = list(seen)
        finally:
            may_go_on.set()
            writing.join(PATIENCE_S)
            if copying.ident is not None:
                copying.join(PATIENCE_S)
        assert seen_meanwhile == [1]
        assert [header.version for header in store.history("w")] == [1, 2]

    @promise("MO02", "CO09")
    @pytest.mark.parametrize("verb", ["snapshot", "export", "backup"])
    def test_a_copy_leaves_nothing_open(self, subject: Subject, tmp_path: Path, verb: str) -> None:
        """After fifty of them there are as many threads and handles as before, and the store is as usable."""
        subject.requires(Capability.BACKUP if verb == "backup" else Capability.SNAPSHOT)
        store, backend = subject.open(), subject.backend()
        store.save_contexts([a_context("w"), a_context("w")])
        numbers = iter(range(1_000))

        def copy(rounds: int) -> None:
            for _ in range(rounds):
                assert _copied(verb, backend, store, tmp_path / f"copy-{next(numbers)}") in (2, 0)

        assert growth(lambda: copy(5), lambda: copy(50)) == (0, 0)
        before = whole(backend)
        assert store.save_context(a_context("w")) == 3
        assert whole(backend) != before


def _copied(verb: str, backend: ContextBackend, store: Store, target: Path) -> int:
    """Make a copy, and tell how many versions it holds where that can be seen at once; of a backup, one file."""
    if verb == "export":
        return store.export(target).count
    if verb == "backup":
        store.backup(target)
        return 1 if store.history("w")[-1].version == 1 else 0
    view = backend.snapshot()
    try:
        return view.version(VersionRequest(of="w", want=Want.COUNT)).count
    finally:
        view.close()
