"""Lists go past rows that cannot be read, or raise them, as they are told."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from context_core import (
    ContextPersistence,
    CorruptDocumentError,
    InvalidQueryError,
    UnsupportedSchemaError,
    WorkflowContext,
)
from context_core.records import SaveRequest
from context_core.serialization import ContextSerializer
from context_core_memory import MemoryBackend

NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)
IDS = [f"w{number:02}" for number in range(30)]
BAD = {"w00", "w03", "w04", "w05", "w17", "w29"}
GOOD = [workflow_id for workflow_id in IDS if workflow_id not in BAD]

every_list = pytest.mark.parametrize(
    "verb",
    [
        lambda store, **how: store.search_contexts(**how),
        lambda store, **how: store.search_page(limit=100, **how).items,
        lambda store, **how: list(store.iter_contexts(page_size=4, **how)),
        lambda store, **how: store.get_active_contexts(**how),
        lambda store, **how: store.get_contexts_by_epic(1, **how),
        lambda store, **how: store.get_contexts_by_feature("f", **how),
        lambda store, **how: store.get_context_versions(1, 2, **how),
        lambda store, **how: store.load_contexts(IDS, **how),
    ],
    ids=["search", "page", "iter", "active", "epic", "feature", "versions", "load"],
)


@pytest.fixture
def store():
    """Thirty workflows, six of which hold what is no context."""
    backend = MemoryBackend()
    serializer = ContextSerializer(WorkflowContext)
    for number, workflow_id in enumerate(IDS):
        context = WorkflowContext(
            workflow_id=workflow_id,
            epic_num=1,
            story_num=2,
            feature="f",
            workflow_name=f"n{number % 3}",
            created_at=NOON + timedelta(seconds=number),
        )
        record = serializer.to_record(context)
        if workflow_id in BAD:
            record = attrs.evolve(record, document=b'{"schema": 99}' if workflow_id == "w17" else b"no json")
        backend.save(SaveRequest(record=record))
    with ContextPersistence(backend) as opened:
        yield opened


@pytest.mark.promise("CR06")
@every_list
def test_a_list_raises_the_row_that_cannot_be_read(store, verb):
    """It is the default, and the error names the row."""
    with pytest.raises((CorruptDocumentError, UnsupportedSchemaError)) as caught:
        verb(store)
    assert vars(caught.value)["workflow_id"] in BAD


@pytest.mark.promise("CR06")
@every_list
def test_a_list_leaves_out_what_cannot_be_read_and_tells(store, verb, caplog):
    """Once for each row: by a call, and by a warning; the others are all there."""
    told: list[Any] = []
    with caplog.at_level(logging.WARNING, "context_core"):
        found = verb(store, damaged="skip", on_damaged=told.append)
    assert sorted(context.workflow_id for context in found) == GOOD
    assert sorted(error.workflow_id for error in told) == sorted(BAD)
    assert len(caplog.records) == len(BAD)


@pytest.mark.promise("CR06", "QU11")
@pytest.mark.parametrize("limit", [1, 2, 5, 23, 24, 25, 30, 2**63 - 1])
@pytest.mark.parametrize("order_by", ["created_at", "-created_at", "workflow_name", None])
def test_a_row_left_out_does_not_count_towards_the_limit(store, limit, order_by):
    """The list is the first so many of the whole list."""
    every = store.search_contexts(order_by=order_by, damaged="skip")
    assert len(every) == len(GOOD)
    assert store.search_contexts(order_by=order_by, limit=limit, damaged="skip") == every[:limit]
    assert store.search_contexts(limit=0, damaged="skip") == []


@pytest.mark.promise("CR06", "PA01")
@pytest.mark.parametrize("size", [1, 2, 3, 7, 24, 30])
@pytest.mark.parametrize("order_by", ["created_at", "-created_at", "workflow_name", None])
def test_pages_go_past_damaged_rows_without_loss_or_repeat(store, size, order_by):
    """Each readable row is on one page, each damaged row is told of by one, and pages are full but for the last."""
    told: list[Any] = []
    pages: list[Any] = []
    cursor = None
    for _ in range(40):
        page = store.search_page(
            limit=size,
            cursor=cursor,
            order_by=order_by,
            damaged="skip",
            on_damaged=told.append,
        )
        pages.append(page.items)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert cursor is None
    assert [c for page in pages for c in page] == store.search_contexts(order_by=order_by, damaged="skip")
    assert sorted(error.workflow_id for error in told) == sorted(BAD)
    assert all(len(page) == size for page in pages[:-2])


@pytest.mark.promise("CR06", "QU09")
def test_rows_that_may_meet_a_filter_are_raised_or_left_out(store):
    """Whether a document that is no JSON meets a condition on it cannot be told; nothing is guessed."""
    wanted = {"decisions__isnull": False}
    for verb in (store.search_contexts, store.count_contexts):
        with pytest.raises(CorruptDocumentError):
            verb(wanted)
    told: list[Any] = []
    assert len(store.search_contexts(wanted, damaged="skip", on_damaged=told.append)) == len(GOOD)
    assert store.count_contexts(wanted, damaged="skip") == len(GOOD)
    assert {error.workflow_id for error in told} == BAD - {"w17"}


@pytest.mark.promise("ER04")
@pytest.mark.parametrize(
    "wrong", [{"damaged": "ignore"}, {"damaged": None}, {"damaged": "skip", "on_damaged": 7}, {"on_damaged": print}]
)
@every_list
def test_what_to_do_with_damage_is_said_exactly(store, verb, wrong):
    """Another word, or a callback that nothing would call, is refused."""
    with pytest.raises(InvalidQueryError):
        verb(store, **wrong)
