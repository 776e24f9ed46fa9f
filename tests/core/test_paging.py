"""Pages, cursors and streams over what a search finds."""

import base64
from datetime import timedelta

import pytest

from context_core import ContextPersistence, InvalidQueryError
from context_core_conformance.samples import EPOCH, a_context


@pytest.fixture
def store():
    with ContextPersistence("memory://") as store:
        for number in range(7):
            moment = EPOCH + timedelta(hours=number // 2)
            store.save_context(
                a_context(f"order-{number}", epic_num=number % 3 + 1, created_at=moment, updated_at=moment)
            )
        yield store


def ids(contexts):
    return [context.workflow_id for context in contexts]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
@pytest.mark.parametrize(
    "order", [None, "created_at", "workflow_id", ["-created_at", "workflow_id"], "epic_num", "-feature"]
)
def test_pages_together_are_the_whole(store, size, order):
    """In every order and of every size (PA01)."""
    pages, cursor = [], None
    while True:
        page = store.search_page(limit=size, cursor=cursor, order_by=order)
        pages.append(page)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert [one for page in pages for one in ids(page.items)] == ids(store.search_contexts(order_by=order))
    assert all(len(page.items) == size for page in pages[:-1])


@pytest.mark.parametrize(
    ("order", "stable"), [(None, True), ("created_at", True), ("-workflow_id", True), ("epic_num", False)]
)
def test_a_page_tells_whether_it_stays_true(store, order, stable):
    """Only orders by fields that never change do (PA02)."""
    assert store.search_page(order_by=order).is_stable is stable


def test_a_cursor_outlives_its_row(store):
    """The next page begins behind the place where it was (PA05)."""
    page = store.search_page(limit=3)
    store.delete_context(page.items[-1].workflow_id)
    assert ids(store.search_page(cursor=page.next_cursor).items) == ["order-3", "order-2", "order-1", "order-0"]


def test_a_cursor_is_bound_to_its_search(store):
    """Another filter or order refuses it (PA04)."""
    cursor = store.search_page(limit=2).next_cursor
    for other in ({"filters": {"epic_num": 1}}, {"order_by": "created_at"}):
        with pytest.raises(InvalidQueryError, match="another filter or order"):
            store.search_page(cursor=cursor, **other)


@pytest.mark.parametrize("cursor", ["", "x", "ö", 5, b"AAAA", base64.urlsafe_b64encode(bytes(40)).decode()])
def test_what_is_no_cursor_is_refused(store, cursor):
    """As a cursor of another search (PA04)."""
    with pytest.raises(InvalidQueryError, match="next_cursor"):
        store.search_page(cursor=cursor)


@pytest.mark.parametrize("limit", [0, -1, "1", True])
def test_a_page_holds_one_or_more(store, limit):
    """An empty one would lead nowhere."""
    with pytest.raises(InvalidQueryError, match="limit"):
        store.search_page(limit=limit)


@pytest.mark.parametrize("page_size", [1, 3, 50])
def test_a_stream_gives_what_a_search_gives(store, page_size):
    """Whatever the size of its pages (PA06)."""
    found = list(store.iter_contexts({"epic_num__lte": 2}, page_size=page_size))
    assert found == store.search_contexts({"epic_num__lte": 2})


def test_a_search_can_be_counted_and_listed(store):
    """Without documents, and in agreement (QU09, QU12)."""
    filters = {"epic_num": 1}
    assert store.count_contexts(filters) == len(store.search_contexts(filters)) == 3
    headers = store.list_headers(filters, 2, 1, order_by="-workflow_id")
    assert [header.workflow_id for header in headers] == ["order-3", "order-0"]
