"""Retention, checks and transfers where the laws of drivers do not reach: pages, capabilities, and what is judged first."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import attrs
import pytest

from context_core import (
    BackendDescription,
    ConfigurationError,
    ContextPersistence,
    ImportResult,
    InvalidQueryError,
    PruneResult,
    UnsupportedOperationError,
    VerifyReport,
    WorkflowContext,
)
from context_core._facade import scans
from context_core.maintenance import Damage, PrunedRange
from context_core.records import SaveRequest
from context_core.serialization import ContextSerializer
from context_core_memory import MemoryBackend

NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)


class BareBackend(MemoryBackend):
    """A backend that declares nothing beyond the five verbs."""

    def describe(self):
        return BackendDescription(name="bare", location="", capabilities=frozenset())

    def prune(self, request):
        raise self._unsupported("prune")

    def verify(self):
        raise self._unsupported("verify")

    def snapshot(self):
        raise self._unsupported("snapshot")


class NotingBackend(MemoryBackend):
    """Notes what it is asked to prune, and says what it is told to say of its storage."""

    asked = None
    found = VerifyReport(checked_versions=0, damages=())

    def prune(self, request):
        self.asked = request
        return PruneResult(ranges=(PrunedRange(workflow_id="a", first=2, last=4),))

    def verify(self):
        return self.found


def a_context(workflow_id="w", **fields):
    return WorkflowContext(
        workflow_id=workflow_id, epic_num=1, story_num=2, feature="f", workflow_name="n", created_at=NOON, **fields
    )


def plant(backend, document, workflow_id="w"):
    """Store a document that no context gives."""
    record = ContextSerializer(WorkflowContext).to_record(a_context(workflow_id))
    backend.save(SaveRequest(record=attrs.evolve(record, document=document)))


@pytest.fixture
def store():
    with ContextPersistence("memory://") as opened:
        yield opened


@pytest.fixture
def backend():
    return NotingBackend()


@pytest.fixture(autouse=True)
def small_pages(monkeypatch):
    """Pages of two, so that a few rows are several pages."""
    monkeypatch.setattr(scans, "PAGE_SIZE", 2)


def test_prune_passes_on_what_was_meant(backend):
    """Times in UTC, statuses as plain text."""
    store = ContextPersistence(backend)
    zone = timezone(timedelta(hours=2))
    result = store.prune(
        keep_last=3, inactive_since=NOON.astimezone(zone), statuses=["failed"], dry_run=True, batch_size=7
    )
    asked = backend.asked
    assert (asked.keep_last, asked.inactive_since, asked.statuses) == (3, NOON, ("failed",))
    assert (asked.inactive_since.tzinfo, asked.dry_run, asked.batch_size) == (UTC, True, 7)
    assert result.count == 3


def test_prune_means_all_statuses_or_none(backend):
    """An empty list is not the same as no list."""
    store = ContextPersistence(backend)
    store.prune()
    assert (backend.asked.statuses, backend.asked.inactive_since, backend.asked.keep_last) == (None, None, 1)
    store.prune(statuses=())
    assert backend.asked.statuses == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"keep_last": 0},
        {"keep_last": True},
        {"batch_size": 2**63},
        {"batch_size": "x" * 1000},
        {"inactive_since": NOON.replace(tzinfo=None)},
        {"inactive_since": "yesterday"},
        {"statuses": ["failed", "done"]},
    ],
    ids=lambda wrong: repr(wrong)[:40],
)
def test_prune_judges_before_it_asks(backend, wrong):
    """The message is short, and names what is known."""
    with pytest.raises(InvalidQueryError) as caught:
        ContextPersistence(backend).prune(**wrong)
    assert backend.asked is None
    assert next(iter(wrong)).rstrip("es") in str(caught.value)
    assert len(str(caught.value)) < 200


def test_a_backend_without_capabilities_refuses_prune_verify_and_backup(tmp_path):
    """What it cannot do is not done another way."""
    store = ContextPersistence(BareBackend())
    for call in (store.prune, store.verify, lambda: store.backup(tmp_path / "b")):
        with pytest.raises(UnsupportedOperationError):
            call()


def test_a_backend_without_snapshots_exports_all_the_same(tmp_path):
    """As well as it can, and it stays open."""
    store = ContextPersistence(BareBackend())
    store.save_contexts(a_context(f"w{number}") for number in range(5))
    assert store.export(tmp_path / "export").count == 5
    assert store.import_(tmp_path / "export") == ImportResult(written=0, present=5)
    assert store.count_contexts() == 5


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5])
def test_pages_end_where_the_store_ends(store, tmp_path, count):
    """Of workflows and of versions, at the size of a page and on either side of it."""
    store.save_contexts(a_context(f"w{number}") for number in range(count) for _ in range(count))
    assert store.export(tmp_path / "export").count == count * count
    assert store.verify() == VerifyReport(checked_versions=count * count, damages=())
    with ContextPersistence("memory://") as other:
        assert other.import_(tmp_path / "export") == ImportResult(written=count * count, present=0)
        assert other.search_contexts() == store.search_contexts()
        assert other.import_(tmp_path / "export") == ImportResult(written=0, present=count * count)


def test_verify_adds_what_only_documents_tell(backend):
    """What the backend named is named once, with its own words; a schema that is too new is damage too."""
    for document in (b"bad", b"bad too", b'{"schema": 99}'):
        plant(backend, document)
    own = Damage(workflow_id="w", version=1, problem="a bit fell over")
    backend.found = VerifyReport(checked_versions=3, damages=(own,))
    report = ContextPersistence(backend).verify()
    assert report.checked_versions == 3
    assert report.damages[0] is own
    assert [(damage.version, damage.problem) for damage in report.damages[1:]] == [
        (2, "it is not the JSON object that was written"),
        (3, "its schema 99 is not one that this code reads"),
    ]
    assert not report.is_sound


def test_verify_names_damage_of_the_storage_itself(backend):
    """Which belongs to no workflow."""
    backend.found = VerifyReport(checked_versions=0, damages=(Damage(workflow_id=None, version=None, problem="x"),))
    assert ContextPersistence(backend).verify() == backend.found


def test_a_refused_export_leaves_no_snapshot_and_no_file(tmp_path):
    """A file that exists is not touched, and what was opened to read is closed."""
    views: list[Any] = []

    class Watched(MemoryBackend):
        def snapshot(self):
            view = super().snapshot()
            views.append(view)
            return view

    store = ContextPersistence(Watched())
    (tmp_path / "export").touch()
    with pytest.raises(ConfigurationError, match="must be a new file"):
        store.export(tmp_path / "export")
    assert [view._is_closed for view in views] == []
    assert (tmp_path / "export").read_bytes() == b""


class CountingBackend(MemoryBackend):
    """Notes how many operations each batch has."""

    sizes: tuple[int, ...] = ()

    def batch(self, request):
        self.sizes += (len(request.operations),)
        return super().batch(request)


def test_an_import_of_nothing_asks_for_no_batch(store, tmp_path):
    """There is nothing to write."""
    store.export(tmp_path / "export")
    backend = CountingBackend()
    assert ContextPersistence(backend).import_(tmp_path / "export") == ImportResult(written=0, present=0)
    assert backend.sizes == ()


def test_an_import_writes_a_page_at_a_time(store, tmp_path):
    """Bounded transactions; the tombstones come last."""
    store.save_contexts(a_context(f"w{number}") for number in range(5))
    store.delete_context("w0")
    store.export(tmp_path / "export")
    backend = CountingBackend()
    target = ContextPersistence(backend)
    assert target.import_(tmp_path / "export").written == 5
    assert backend.sizes == (2, 2, 1)
    assert target.save_context(a_context("w0")) == 2


def test_an_import_that_cannot_be_read_says_so(store, tmp_path):
    """By the name that was given."""
    with pytest.raises(ConfigurationError, match="missing cannot be read"):
        store.import_(tmp_path / "missing")
