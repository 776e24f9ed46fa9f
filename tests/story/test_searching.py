"""Searching: the story's list of tests, and the plans that make it fast."""

from datetime import timedelta

import pytest

from context_core.query import parse_filters
from context_core.records import QueryRequest
from context_core_conformance.samples import EPOCH, a_context
from context_core_sqlite import SqliteBackend

STATUSES = ["running", "failed", "completed", "paused"]


@pytest.fixture
def filled(store):
    """Twelve workflows of three epics and two features; each is newer than the one before."""
    for number in range(12):
        moment = EPOCH + timedelta(hours=number)
        store.save_context(
            a_context(
                f"order-{number:02}",
                epic_num=number % 3 + 1,
                story_num=None if number % 5 == 0 else number % 5,
                feature="checkout" if number % 2 else "search",
                status=STATUSES[number % 4],
                created_at=moment,
                updated_at=moment,
            )
        )
    return store


def ids(contexts):
    return [context.workflow_id for context in contexts]


def test_active_contexts_are_those_that_run(filled):
    """Newest first."""
    assert ids(filled.get_active_contexts()) == ["order-08", "order-04", "order-00"]


def test_failed_contexts_are_those_that_failed(filled):
    """Newest first."""
    assert ids(filled.get_failed_contexts()) == ["order-09", "order-05", "order-01"]


def test_a_context_that_ended_is_not_active(filled):
    """The newest version's status counts."""
    filled.save_context(filled.load_context("order-04").copy_with(status="completed"))
    assert ids(filled.get_active_contexts()) == ["order-08", "order-00"]


def test_contexts_are_found_by_feature(filled):
    """Newest first."""
    assert ids(filled.get_contexts_by_feature("search")) == [f"order-{number:02}" for number in (10, 8, 6, 4, 2, 0)]
    assert filled.get_contexts_by_feature("none") == []


def test_contexts_are_found_by_epic(filled):
    """Its stories and the epic level, newest first."""
    assert ids(filled.get_contexts_by_epic(2)) == ["order-10", "order-07", "order-04", "order-01"]


def test_filters_can_be_joined(filled):
    """All must hold; limit and offset cut a page."""
    found = filled.search_contexts({"feature": "search", "status__in": ["running", "completed"]}, limit=2, offset=1)
    assert ids(found) == ["order-08", "order-06"]


@pytest.mark.parametrize(
    "filters",
    [
        {"status": "running"},
        {"feature": "checkout"},
        {"epic_num": 1},
        {"epic_num": 1, "story_num": 2},
        {"epic_num": 1, "story_num": None},
        {"created_at__gte": EPOCH},
        {},
    ],
    ids=str,
)
def test_indexed_questions_are_answered_by_an_index(tmp_path, filters):
    """SQLite's own plan neither scans the table nor sorts (QU13)."""
    backend = SqliteBackend(tmp_path / "plans.db")
    request = QueryRequest(conditions=parse_filters(filters), limit=10)
    plan = backend.explain(request)
    backend.close()
    assert "USING INDEX" in plan or "USING COVERING INDEX" in plan
    assert "TEMP B-TREE" not in plan
    # A walk along an index in its order is called a scan too; the limit ends it.
    assert [line for line in plan.splitlines() if "SCAN" in line and "USING" not in line] == []
    if filters:
        assert "SCAN" not in plan
