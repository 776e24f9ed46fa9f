"""Laws of exports and imports: histories that move to another store are the same there."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from context_core import (
    BackendURL,
    Capability,
    ConfigurationError,
    ContextBackend,
    ContextCoreError,
    ImportResult,
    RestoreConflictError,
    StorageError,
)
from context_core.plugins import open_backend
from context_core.records import DeleteRequest, Selection, VersionRequest
from context_core_conformance.call_counter import CallCountingBackend
from context_core_conformance.laws.move_live import LiveLaws
from context_core_conformance.promises import promise
from context_core_conformance.restoring import a_restore, whole
from context_core_conformance.samples import EPOCH, TickingClock, a_context
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Store, a_save, apply

EXACT: Final[list[Any]] = [
    *(1, 1.0, True, "1", None, -0.0, 0.1 + 0.2, 5e-324, 1.7976931348623157e308, 2**53 + 1, 2**64 - 1, -(2**63)),
    *("", "nul \0 crlf \r\n\u2028", "😀 \u202e é e\u0301", {"z": 1, "a": {}, "": []}, {"a.b": "$", "~/": '"'}),
]
"""Values of which some travel badly."""

OLDER: Final = b'{"context_core_export": 1}\n'
"""How exports began that have no last line to tell whether they are whole."""

DAMAGES: Final[dict[str, Callable[[list[bytes]], list[bytes]]]] = {
    "empty": lambda _: [],
    "no header": lambda lines: lines[1:],
    "another format": lambda lines: [b'{"context_core_export": 3}\n', *lines[1:]],
    "no json": lambda lines: [*lines[:3], b"{\n"],
    "cut in a line": lambda lines: [*lines[:3], lines[3][:-30]],
    "a list": lambda lines: [*lines, b"[]\n"],
    "a text": lambda lines: [*lines, b'"text"\n'],
    "a number": lambda lines: [*lines, b"7\n"],
    "a field too few": lambda lines: [*lines[:3], lines[3].replace(b'"saved_at"', b'"x"')],
    "a field too many": lambda lines: [*lines[:3], lines[3].replace(b'{"', b'{"x":1,"', 1)],
    "a naive time": lambda lines: [*lines[:3], lines[3].replace(b"+00:00", b"")],
    "a version of text": lambda lines: [*lines[:3], lines[3].replace(b'"version":', b'"version":"x","y":')],
    "a workflow id of null": lambda lines: [*lines[:3], lines[3].replace(b'"order-7"', b"null", 1)],
    "an epic of text": lambda lines: [*lines[:3], re.sub(rb'"epic_num":(\d+)', rb'"epic_num":"\1"', lines[3], count=1)],
}
"""What is no export, made of one; each stops an import within its first batch."""

_DOCUMENTS: Final[list[Any]] = [None, [], "text", 7, {}, {"workflow_id": "order-7"}]

UNFIT: Final[list[dict[str, Any]]] = [
    *({"workflow_id": value} for value in ("", "a\0b", "x" * 256, "another")),
    *({"version": value} for value in (0, -1, 2**62 + 1, 2**63 - 1, 2**64, True, 1.0)),
    *({"epic_num": value} for value in (0, -1, 2**63, 9)),
    *({"story_num": value} for value in (0, 9, "1")),
    *({"status": value} for value in ("done", "", "failed", None)),
    *({"feature": value} for value in ("other", "x" * 256, "\0")),
    {"tags": ["other"]},
    {"tags": [1]},
    *({"created_at": value} for value in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:00:00-05:00", "2020-01-01")),
    {"saved_at": "0001-01-01T00:00:00+14:00"},
    {"workflow_created_at": "9999-12-31T23:00:00-05:00"},
    *({"idempotency_key": value} for value in ("", "x" * 256, "\0")),
    *({"origin": {"workflow_id": name, "version": number}} for name, number in (("", 1), ("a", 0), ("a", 2**63))),
    *[{"document": value} for value in _DOCUMENTS],
]
"""Fields of a version that no save makes."""

OTHERWISE: Final[dict[str, Callable[[Store, ContextBackend], object]]] = {
    "other content": lambda store, _: store.save_context(a_context(feature="other")),
    "another time": lambda _, backend: apply(backend, a_restore(1, saved_at=EPOCH.replace(year=2020))),
    "a later start": lambda _, backend: apply(backend, a_restore(9)),
    "deleted at a higher number": lambda _, backend: apply(backend, a_restore(9), DeleteRequest(workflow_id="order-7")),
    "a tombstone's workflow": lambda store, _: store.save_context(a_context("deleted")),
}
"""What stands in a target at odds with an export."""


class MoveLaws(LiveLaws):
    """Laws of moving what rests; those of live stores, snapshots and backups come with them."""

    @pytest.fixture
    def moved(self, subject: Subject) -> Store:
        """A store with everything that can travel: histories, forks, keys, tombstones, a workflow that came back."""
        clock = TickingClock()
        store = subject.open(clock=clock)
        key = "k" if Capability.IDEMPOTENCY in store.describe().capabilities else None
        for number in range(1, 5):
            clock.advance(number / 1_000_000)
            moment = EPOCH.replace(year=2025 + number)
            store.save_context(
                a_context(
                    epic_num=number, story_num=None if number == 2 else number, tags=["x", "é"], updated_at=moment
                ),
                idempotency_key=key and f"{key}{number}",
            )
            store.save_context(a_context(f"w{number}", status="paused", created_at=moment, metadata={"it": EXACT}))
        store.rollback("order-7", 2)
        store.fork("order-7", "fork", 3)
        store.save_contexts([a_context("deleted"), a_context("deleted"), a_context("back")])
        clock.advance(60)
        store.delete_context("deleted")
        store.delete_context("back")
        store.save_context(a_context("back", unknown_fields={"newer": {"a": [1.0]}}))
        return store

    @pytest.fixture(params=["memory", "same"])
    def target(self, subject: Subject, request: pytest.FixtureRequest) -> ContextBackend:
        """A fresh store to move to: of the driver that comes with the core, and of the driver under test."""
        if request.param == "same":
            return subject.another().backend(clock=TickingClock())
        return open_backend(BackendURL.parse("memory://"), clock=TickingClock())

    @promise("MO01")
    def test_an_import_gives_what_was_exported(
        self, subject: Subject, moved: Store, target: ContextBackend, tmp_path: Path
    ) -> None:
        """Versions, times, metadata, lineage, keys, tombstones and documents, to the byte."""
        expected = whole(subject.backend())
        count = moved.export(tmp_path / "export").count
        assert count == sum(len(pairs) - 1 for pairs in expected[0].values()) + len(expected[1])
        with subject.around(target) as store:
            assert store.import_(tmp_path / "export") == ImportResult(written=count, present=0)
            assert whole(target) == expected
            assert store.search_contexts() == moved.search_contexts()

    @promise("MO01")
    def test_importing_again_changes_nothing(
        self, subject: Subject, moved: Store, target: ContextBackend, tmp_path: Path
    ) -> None:
        """All is there already; also in the store that it came from."""
        count = moved.export(tmp_path / "export").count
        for backend in (target, subject.backend()):
            store = subject.around(backend)
            store.import_(tmp_path / "export")
            before = whole(backend)
            assert store.import_(str(tmp_path / "export")) == ImportResult(written=0, present=count)
            assert whole(backend) == before

    @promise("MO01")
    def test_an_import_can_be_resumed(
        self, subject: Subject, moved: Store, target: ContextBackend, tmp_path: Path
    ) -> None:
        """What came of a file of the older format that broke off between two lines is completed by the whole one."""
        count = moved.export(tmp_path / "export").count
        lines = (tmp_path / "export").read_bytes().splitlines(keepends=True)
        store = subject.around(target)
        for end in range(1, len(lines)):
            (tmp_path / "part").write_bytes(b"".join([OLDER, *lines[1:end]]))
            result = store.import_(tmp_path / "part")
            assert (result.present, result.is_checked) == (max(0, end - 2), False)
        assert store.import_(tmp_path / "export") == ImportResult(written=0, present=count)
        assert whole(target) == whole(subject.backend())

    @promise("MO01", "VE01", "VE05", "ID01", "TI02")
    def test_histories_go_on_where_they_stood(
        self, subject: Subject, moved: Store, target: ContextBackend, tmp_path: Path
    ) -> None:
        """Numbers, keys and the order of times hold on, for living workflows and deleted ones."""
        moved.export(tmp_path / "export")
        newest = moved.history("order-7")[-1]
        store = subject.around(target)
        store.import_(tmp_path / "export")
        if newest.idempotency_key or moved.history("order-7")[0].idempotency_key:
            retried = moved.load_context("order-7", version=3)
            assert store.save_context(retried, idempotency_key="k3") == 3
        assert store.save_context(a_context(), expected_version=newest.version) == newest.version + 1
        assert store.history("order-7")[-1].saved_at >= newest.saved_at
        assert store.save_context(a_context("deleted"), expected_version=0) == 3
        assert store.save_context(a_context("back"), expected_version=2) == 3

    @promise("MO01")
    @pytest.mark.parametrize("otherwise", OTHERWISE)
    def test_a_target_that_stands_otherwise_is_left_as_it_is(
        self, subject: Subject, moved: Store, target: ContextBackend, tmp_path: Path, otherwise: str
    ) -> None:
        """The import is refused, and nothing of it is written."""
        moved.export(tmp_path / "export")
        store = subject.around(target)
        OTHERWISE[otherwise](store, target)
        before = whole(target)
        with pytest.raises(RestoreConflictError) as caught:
            store.import_(tmp_path / "export")
        assert caught.value.workflow_id == ("deleted" if "tombstone" in otherwise else "order-7")
        assert whole(target) == before

    @promise("MO01", "VE02")
    def test_a_document_that_differs_is_a_conflict(
        self, subject: Subject, moved: Store, target: ContextBackend, tmp_path: Path
    ) -> None:
        """Though its header is the same: what stands is not taken for what is imported, nor overwritten."""
        moved.export(tmp_path / "export")
        store = subject.around(target)
        store.import_(tmp_path / "export")
        before = whole(target)
        exported = (tmp_path / "export").read_bytes()
        for old, new in ((b'"it":[1,1.0', b'"it":[1,1'), (b"5e-324,", b""), (b'"newer":', b'"older":')):
            (tmp_path / "other").write_bytes(exported.replace(old, new))
            assert (tmp_path / "other").read_bytes() != exported
            with pytest.raises(ConfigurationError):
                store.import_(tmp_path / "other")
            (tmp_path / "other").write_bytes(_without_end(exported.replace(old, new)))
            with pytest.raises(RestoreConflictError):
                store.import_(tmp_path / "other")
            assert whole(target) == before

    @promise("MO01")
    def test_a_target_may_hold_other_workflows(
        self, subject: Subject, moved: Store, target: ContextBackend, tmp_path: Path
    ) -> None:
        """They stay as they are."""
        moved.export(tmp_path / "export")
        store = subject.around(target)
        store.save_contexts([a_context("own"), a_context("own")])
        before = store.history("own")
        store.import_(tmp_path / "export")
        assert store.history("own") == before
        assert store.history("fork") == moved.history("fork")

    @promise("MO01", "RE01")
    def test_pruned_histories_travel(
        self, subject: Subject, moved: Store, target: ContextBackend, tmp_path: Path
    ) -> None:
        """From their first retained version on, with the time their workflow was created."""
        subject.requires(Capability.PRUNE)
        moved.save_context(a_context("w1", created_at=EPOCH.replace(year=2030)))
        moved.prune(keep_last=1)
        moved.export(tmp_path / "export")
        store = subject.around(target)
        store.import_(tmp_path / "export")
        assert whole(target) == whole(subject.backend())
        assert [header.created_at.year for header in store.list_headers({"workflow_id": "w1"})] == [2026]

    @promise("MO01", "BA05")
    def test_large_stores_travel(self, subject: Subject, target: ContextBackend, tmp_path: Path) -> None:
        """More workflows, and more versions of one, than are read or written at a time."""
        source = subject.backend(clock=TickingClock())
        apply(source, *(a_save(f"w{number}") for number in range(450)), *(a_save("long") for _ in range(450)))
        subject.around(source).export(tmp_path / "export")
        counter = CallCountingBackend(target)
        assert subject.around(counter).import_(tmp_path / "export") == ImportResult(written=900, present=0)
        assert whole(target) == whole(source)
        assert max(len(getattr(call, "operations", ())) for call in counter.calls) < 900

    @promise("MO01")
    def test_the_empty_store_travels(self, subject: Subject, target: ContextBackend, tmp_path: Path) -> None:
        """Nothing is what there is."""
        assert subject.open().export(tmp_path / "export").count == 0
        assert subject.around(target).import_(tmp_path / "export") == ImportResult(written=0, present=0)
        assert whole(target) == ({}, ())

    @promise("MO01")
    def test_an_export_is_json_lines(self, moved: Store, tmp_path: Path) -> None:
        """One object a line, with the documents as they are, for other tools to read."""
        count = moved.export(tmp_path / "export").count
        first, *rest, end = [json.loads(line) for line in (tmp_path / "export").read_bytes().splitlines()]
        assert (first, len(rest)) == ({"context_core_export": 2}, count)
        assert end["context_core_export_end"]["count"] == count
        documents = [line["document"]["metadata"] for line in rest if line.get("workflow_id") == "w1"]
        assert json.dumps(documents) == json.dumps([{"it": EXACT}])

    @promise("MO01", "ER02")
    def test_an_export_overwrites_nothing(self, moved: Store, tmp_path: Path) -> None:
        """The file must be new, its folder must exist."""
        (tmp_path / "export").write_bytes(b"precious")
        for target in (tmp_path / "export", tmp_path, tmp_path / "missing" / "export"):
            with pytest.raises(ConfigurationError):
                moved.export(target)
        assert (tmp_path / "export").read_bytes() == b"precious"
        assert not (tmp_path / "missing").exists()

    @promise("MO01", "ER01", "HO03")
    @pytest.mark.parametrize("damage", DAMAGES)
    def test_what_is_no_export_is_refused(
        self, subject: Subject, moved: Store, target: ContextBackend, tmp_path: Path, damage: str
    ) -> None:
        """A file that was damaged, or made up, gives an error of ours and nothing is written."""
        moved.export(tmp_path / "export")
        lines = sorted(
            (tmp_path / "export").read_bytes().splitlines(keepends=True), key=lambda line: b'"order-7"' not in line
        )
        header = next(line for line in lines if b'{"context_core_export":' in line)
        lines.remove(header)
        lines = [line for line in lines if b"context_core_export_end" not in line]
        # Of the older format, so that it is the damage itself which is found.
        (tmp_path / "damaged").write_bytes(b"".join(DAMAGES[damage]([OLDER, *lines])))
        with pytest.raises(ConfigurationError):
            subject.around(target).import_(tmp_path / "damaged")
        assert whole(target) == ({}, ())

    @promise("MO01", "ER02")
    def test_a_missing_export_is_refused(self, store: Store, tmp_path: Path) -> None:
        """So is a folder."""
        for source in (tmp_path / "missing", tmp_path):
            with pytest.raises(ContextCoreError) as caught:
                store.import_(source)
            assert type(caught.value) is ConfigurationError

    @promise("MO01", "MO02")
    def test_an_export_that_is_not_whole_is_refused(
        self, subject: Subject, moved: Store, target: ContextBackend, tmp_path: Path
    ) -> None:
        """Wherever it breaks off, between lines or within one; nothing of it is written."""
        moved.export(tmp_path / "export")
        exported = (tmp_path / "export").read_bytes()
        ends = [match.end() for match in re.finditer(rb"\n", exported)]
        for end in (*ends[:-1], *(place - 7 for place in ends[1:])):
            (tmp_path / "part").write_bytes(exported[:end])
            with pytest.raises(ConfigurationError):
                subject.around(target).import_(tmp_path / "part")
        lines = exported.splitlines(keepends=True)
        for changed in ([*lines[:2], *lines[3:]], [*lines[:1], lines[1], *lines[1:]], [*lines, lines[-1]]):
            (tmp_path / "part").write_bytes(b"".join(changed))
            with pytest.raises(ConfigurationError):
                subject.around(target).import_(tmp_path / "part")
        assert whole(target) == ({}, ())

    @promise("MO01", "MO02")
    def test_a_long_export_that_is_not_whole_writes_nothing(
        self, subject: Subject, target: ContextBackend, tmp_path: Path
    ) -> None:
        """Though it holds more than is written at a time before it breaks off."""
        source = subject.backend(clock=TickingClock())
        apply(source, *(a_save(f"w{number}") for number in range(450)))
        subject.around(source).export(tmp_path / "export")
        exported = (tmp_path / "export").read_bytes()
        for part in (exported[:-7], exported[: exported.rindex(b"\n", 0, -1) + 1]):
            (tmp_path / "part").write_bytes(part)
            with pytest.raises(ConfigurationError):
                subject.around(target).import_(tmp_path / "part")
            assert whole(target) == ({}, ())

    @promise("MO01", "MO02")
    def test_a_failed_export_leaves_nothing(self, subject: Subject, moved: Store, tmp_path: Path) -> None:
        """Not at the target, nor beside it; the next one is not in its way."""

        class Breaking(CallCountingBackend):
            def version(self, request: VersionRequest) -> Selection:
                raise StorageError(f"the disk failed under {request.of}")

            def snapshot(self) -> ContextBackend:
                return self

            def close(self) -> None:
                pass

        folder = tmp_path / "files"
        folder.mkdir()
        with pytest.raises(StorageError):
            subject.around(Breaking(subject.backend())).export(folder / "export")
        assert list(folder.iterdir()) == []
        moved.export(folder / "export")
        assert [path.name for path in folder.iterdir()] == ["export"]

    @promise("MO01", "RT13", "VE01")
    @pytest.mark.parametrize("change", UNFIT, ids=repr)
    def test_an_import_refuses_what_saves_refuse(
        self, subject: Subject, target: ContextBackend, tmp_path: Path, change: dict[str, Any]
    ) -> None:
        """Ids, numbers, times, statuses, keys and documents; nothing is written."""
        subject.open().save_context(a_context())
        subject.open().export(tmp_path / "export")
        line = json.loads((tmp_path / "export").read_bytes().splitlines()[1]) | change
        (tmp_path / "unfit").write_bytes(OLDER + json.dumps(line).encode() + b"\n")
        with pytest.raises(ConfigurationError) as caught:
            subject.around(target).import_(tmp_path / "unfit")
        assert len(str(caught.value)) < 600
        assert whole(target) == ({}, ())


def _without_end(exported: bytes) -> bytes:
    """The export in the older format."""
    return b"".join([OLDER, *exported.splitlines(keepends=True)[1:-1]])
