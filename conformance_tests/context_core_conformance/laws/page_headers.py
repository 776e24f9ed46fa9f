"""Laws of pages of headers, and of what a cursor stands on."""

import itertools
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, Final

import pytest

from context_core import InvalidQueryError, Page
from context_core.records import QueryRequest, Want
from context_core_conformance.call_counter import CallCountingBackend
from context_core_conformance.promises import promise
from context_core_conformance.samples import EPOCH, a_context
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Store

ORDERS: Final[tuple[Any, ...]] = (None, "created_at", "workflow_id", ["-created_at", "workflow_id"])
"""Orders by what never changes."""
CHANGING: Final[tuple[Any, ...]] = ("saved_at", "-version", ["feature", "-workflow_id"])
FILTERS: Final[tuple[dict[str, Any], ...]] = ({}, {"epic_num": 1}, {"tags__contains": "odd"}, {"feature": "none such"})

PagesOf = Callable[..., Page[Any]]
PAGING: Final[dict[str, Callable[[Store], PagesOf]]] = {
    "contexts": lambda store: store.search_page,
    "headers": lambda store: store.headers_page,
}


def pages(page_of: PagesOf, filters: Any = None, **options: Any) -> Iterator[Page[Any]]:
    """The pages of a search, each asked for when the one before it was looked at."""
    cursor = None
    while True:
        page = page_of(filters, cursor=cursor, **options)
        yield page
        cursor = page.next_cursor
        if cursor is None:
            return


class HeaderPageLaws:
    @promise("PA01", "QU12")
    @pytest.mark.parametrize("order_by", ORDERS + CHANGING, ids=str)
    def test_pages_of_headers_make_up_the_full_list(self, store: Store, order_by: Any) -> None:
        """Of any size, under any filter; a stream of headers gives the same."""
        store.save_contexts(
            a_context(
                f"w{number:02}",
                epic_num=1 + number % 3,
                feature=f"f{number % 5}",
                created_at=EPOCH + timedelta(seconds=number * 7 % 5),
                tags=["odd"] * (number % 2),
            )
            for number in range(23)
        )
        for filters, size in itertools.product(FILTERS, (1, 5, 22, 23, 24, 2**63 - 1)):
            whole = store.list_headers(filters, order_by=order_by)
            found = list(pages(store.headers_page, filters, limit=size, order_by=order_by))
            assert [header for page in found for header in page.items] == whole
            assert {len(page.items) for page in found[:-1]} <= {size}
            assert {page.is_stable for page in found} == {order_by in ORDERS}
            assert list(store.iter_headers(filters, order_by=order_by, page_size=size)) == whole

    @promise("QU12")
    @pytest.mark.parametrize("order_by", [None, "version"], ids=str)
    def test_pages_of_headers_ask_for_no_document(self, subject: Subject, order_by: Any) -> None:
        """What a driver is asked for is headers, page by page."""
        counter = CallCountingBackend(subject.backend())
        store = subject.around(counter)
        store.save_contexts(a_context(f"w{number}") for number in range(5))
        counter.calls.clear()
        assert len(list(store.iter_headers(page_size=2, order_by=order_by))) == 5
        assert {call.want for call in counter.calls if isinstance(call, QueryRequest)} == {Want.HEADERS}
        assert len(counter.calls) == 3

    @promise("PA02")
    @pytest.mark.parametrize("paging", PAGING)
    def test_no_page_repeats_a_row_when_new_ones_come_first(self, store: Store, paging: str) -> None:
        """Newest first, each new workflow stands before the page that was read: counting rows would show some twice."""
        page_of = PAGING[paging](store)
        steady = [f"w{number:02}" for number in range(20)]
        store.save_contexts(a_context(name, created_at=EPOCH + timedelta(seconds=n)) for n, name in enumerate(steady))
        seen: list[str] = []
        for turn, page in enumerate(pages(page_of, limit=3)):
            seen += [item.workflow_id for item in page.items]
            store.save_context(a_context(f"new-{turn}", created_at=EPOCH + timedelta(days=1 + turn)))
        assert seen == steady[::-1]

    @promise("PA04")
    def test_a_cursor_of_headers_is_bound_to_its_query(self, store: Store) -> None:
        """Another filter or order refuses it; contexts of the same query go on from it."""
        store.save_contexts(a_context(f"w{number}") for number in range(5))
        cursor = store.headers_page({"epic_num": 1}, limit=2).next_cursor
        for other in ({"filters": {"epic_num": 2}}, {"filters": {"epic_num": 1}, "order_by": "workflow_id"}, {}):
            with pytest.raises(InvalidQueryError, match="cursor"):
                store.headers_page(cursor=cursor, **other)
        assert [found.workflow_id for found in store.search_page({"epic_num": 1}, cursor=cursor).items] == [
            "w2",
            "w1",
            "w0",
        ]

    @promise("PA05", "PA02")
    @pytest.mark.parametrize("paging", PAGING)
    @pytest.mark.parametrize("order_by", ORDERS, ids=str)
    @pytest.mark.parametrize("days", [-9, 9], ids=["made before", "made after"])
    def test_a_cursor_stays_where_its_row_was_made_anew_elsewhere(
        self, store: Store, paging: str, order_by: Any, days: int
    ) -> None:
        """The next page goes on behind the old place, so that every row that stayed is seen exactly once."""
        page_of = PAGING[paging](store)
        names = [f"w{number:02}" for number in range(12)]
        store.save_contexts(a_context(name, created_at=EPOCH + timedelta(seconds=n)) for n, name in enumerate(names))
        whole = [header.workflow_id for header in store.list_headers(order_by=order_by)]
        seen: list[str] = []
        made_anew = whole[3]
        for turn, page in enumerate(pages(page_of, limit=4, order_by=order_by)):
            seen += [item.workflow_id for item in page.items]
            if turn == 0:
                assert seen[-1] == made_anew
                store.delete_context(made_anew)
                store.save_context(a_context(made_anew, created_at=EPOCH + timedelta(days=days)))
        assert [name for name in seen if name != made_anew] == [name for name in whole if name != made_anew]
