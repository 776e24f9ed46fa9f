"""Laws of pages and streams: whole, also while others write, and bound to what was asked."""

import base64
import itertools
import threading
import weakref
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import attrs
import pytest

from context_core import Capability, InvalidQueryError, Page
from context_core.records import BatchRequest
from context_core_conformance.call_counter import CallCountingBackend
from context_core_conformance.laws.endurance import growth
from context_core_conformance.laws.page_places import PlaceLaws
from context_core_conformance.promises import promise
from context_core_conformance.racing import PATIENCE_S, in_threads
from context_core_conformance.samples import EPOCH, a_context
from context_core_conformance.stateful.query_strategies import SORTABLE
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Store, a_save

STABLE_ORDERS: Final[tuple[Any, ...]] = (
    None,
    "created_at",
    "-created_at",
    "workflow_id",
    "-workflow_id",
    ["created_at", "-workflow_id"],
    ["-created_at", "workflow_id"],
    ["-workflow_id", "created_at"],
)
"""Orders by what never changes, None being the default, newest first."""

CHANGING_ORDERS: Final[tuple[Any, ...]] = (
    "-version",
    "updated_at",
    ["feature", "-workflow_id"],
    ["created_at", "status"],
)
FILTERS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"epic_num": 1},
    {"epic_num__ne": 1, "tags__contains": "odd"},
    {"story_num": None},
    {"workflow_id__prefix": "none such"},
)
ROWS: Final = 23
SIZES: Final = (1, 2, 5, ROWS - 1, ROWS, ROWS + 1)

OTHER_QUERIES: Final[dict[str, dict[str, Any]]] = {
    "no filter": {"filters": None},
    "another value": {"filters": {"epic_num": 2}},
    "another operator": {"filters": {"epic_num__gte": 1}},
    "another field": {"filters": {"story_num": 1}},
    "one filter more": {"filters": {"epic_num": 1, "status": "running"}},
    "an order": {"order_by": "created_at"},
    "another direction": {"order_by": ["created_at", "workflow_id"]},
    "an order by offset": {"order_by": "version"},
}

each_stable_order: Final = pytest.mark.parametrize("order_by", STABLE_ORDERS, ids=str)


def pages(store: Store, size: int, filters: Any = None, order_by: Any = None) -> Iterator[Page[Any]]:
    """The pages of a search, each asked for when the one before it was looked at."""
    cursor = None
    while True:
        page = store.search_page(filters, limit=size, cursor=cursor, order_by=order_by)
        yield page
        cursor = page.next_cursor
        if cursor is None:
            return


def ids(contexts: Any) -> list[str]:
    """The ids of contexts, in their order."""
    return [context.workflow_id for context in contexts]


class PageLaws(PlaceLaws):
    """Laws of the store's pages; those of the driver's own come with them."""

    @pytest.fixture
    def paged(self, store: Store) -> Store:
        """A store of rows among which there are equal times, numbers and features."""
        store.save_contexts(
            a_context(
                f"w{number:02}",
                epic_num=1 + number % 3,
                story_num=number % 4 or None,
                feature=f"f{number % 5}",
                created_at=EPOCH + timedelta(seconds=number * 7 % 5),
                updated_at=EPOCH + timedelta(days=number % 6),
                tags=["odd"] if number % 2 else ["even"],
            )
            for number in range(ROWS)
        )
        store.save_contexts([a_context("w03", epic_num=3), a_context("w17", story_num=None)])
        return store

    @promise("PA01")
    @pytest.mark.parametrize("order_by", STABLE_ORDERS + CHANGING_ORDERS, ids=str)
    def test_pages_make_up_the_full_list(self, paged: Store, order_by: Any) -> None:
        """Of any size, in any direction, under any filter; no page but the last is short."""
        for filters in FILTERS:
            expected = paged.search_contexts(filters, order_by=order_by)
            for size in SIZES:
                found = [list(page.items) for page in pages(paged, size, filters, order_by)]
                assert list(itertools.chain(*found)) == expected
                assert [len(items) for items in found[:-1]] == [size] * (len(found) - 1)
                assert bool(found[-1]) == bool(expected)

    @promise("PA01", "PA06")
    @pytest.mark.parametrize("order_by", STABLE_ORDERS + CHANGING_ORDERS, ids=str)
    def test_a_stream_is_the_full_list(self, paged: Store, order_by: Any) -> None:
        """`iter_contexts` gives what `search_contexts` gives, whatever it reads at a time."""
        for filters, size in itertools.product(FILTERS, SIZES):
            expected = paged.search_contexts(filters, order_by=order_by)
            assert list(paged.iter_contexts(filters, order_by=order_by, page_size=size)) == expected

    @promise("PA01")
    @pytest.mark.parametrize("limit", [0, -1, True, 1.0, "1", None, 2**63], ids=repr)
    def test_a_page_of_no_size_is_refused(self, paged: Store, limit: Any) -> None:
        """A page holds one row or more."""
        with pytest.raises(InvalidQueryError, match="limit"):
            paged.search_page(limit=limit)
        with pytest.raises(InvalidQueryError, match="limit"):
            next(paged.iter_contexts(page_size=limit))

    @promise("PA01", "QU11")
    @pytest.mark.parametrize("order_by", [None, "version"])
    def test_the_largest_page_is_the_full_list(self, paged: Store, order_by: Any) -> None:
        """A size that nothing fills means all, as it does for a search."""
        page = paged.search_page(limit=2**63 - 1, order_by=order_by)
        assert (list(page.items), page.next_cursor) == (paged.search_contexts(order_by=order_by), None)

    @promise("PA02")
    def test_a_page_says_whether_it_is_stable(self, store: Store) -> None:
        """It is, in orders by `created_at` and `workflow_id` alone."""
        shown = {field: store.search_page(order_by=f"-{field}").is_stable for field in SORTABLE}
        assert {field for field, is_stable in shown.items() if is_stable} == {"created_at", "workflow_id"}
        assert [store.search_page(order_by=order).is_stable for order in STABLE_ORDERS] == [True] * len(STABLE_ORDERS)
        assert [store.search_page(order_by=order).is_stable for order in CHANGING_ORDERS] == [False] * 4

    @promise("PA02")
    @each_stable_order
    def test_rows_that_stay_are_seen_once_whatever_comes_and_goes(self, subject: Subject, order_by: Any) -> None:
        """Between pages rows are put before and behind, the last one shown is removed, and others are saved again."""
        store, other = subject.open(), subject.open()
        steady = [f"{number:03}-steady" for number in range(60)]
        store.save_contexts(
            a_context(name, created_at=EPOCH + timedelta(seconds=n // 20)) for n, name in enumerate(steady)
        )
        later = EPOCH + timedelta(days=9)
        seen: list[str] = []
        for turn, page in enumerate(pages(store, 7, {"feature": "checkout"}, order_by)):
            seen += ids(page.items)
            last = page.items[-1].workflow_id
            if last not in steady:
                other.delete_context(last)
            other.save_contexts(
                a_context(f"{number:03}-fleeting-{turn}", created_at=EPOCH + timedelta(seconds=number // 20))
                for number in range(turn, 60, 9)
            )
            other.save_contexts(a_context(name, created_at=later, updated_at=later) for name in steady[turn::7])
        expected = [name for name in ids(store.search_contexts(order_by=order_by)) if name in steady]
        assert [name for name in seen if name in steady] == expected
        assert sorted(expected) == steady
        assert len(seen) == len(set(seen))

    @promise("PA02", "PA03")
    @pytest.mark.parametrize("size", [9, 50])
    def test_rows_of_one_moment_are_seen_once_beside_a_writer(self, subject: Subject, size: int) -> None:
        """1,000 rows of equal times, while a thread inserts and deletes among them as fast as it can."""
        store, other = subject.open(), subject.open()
        steady = [f"{number:04}" for number in range(1_000)]
        store.save_contexts(a_context(name) for name in steady)
        is_read = threading.Event()

        def work(number: int) -> list[str]:
            if number:
                try:
                    return [name for page in pages(store, size) for name in ids(page.items)]
                finally:
                    is_read.set()
            for turn in itertools.count():
                names = [f"{(turn * 37 + step) % 1_000:04}-fleeting" for step in range(0, 1_000, 200)]
                other.save_contexts(a_context(name) for name in names)
                for name in names:
                    other.delete_context(name)
                if is_read.is_set():
                    break
            return []

        _, seen = in_threads(2, work)
        assert [name for name in seen if len(name) == 4] == steady[::-1]
        assert len(seen) == len(set(seen))

    @promise("PA03")
    @pytest.mark.parametrize("order_by", STABLE_ORDERS[:3], ids=str)
    def test_a_thousand_equal_times_paginate(self, store: Store, order_by: Any) -> None:
        """The id breaks the tie, wherever a page ends."""
        names = [f"{number:04}" for number in range(1_000)]
        store.save_contexts(a_context(name) for name in names)
        expected = names if order_by == "created_at" else names[::-1]
        if order_by == "-created_at":
            expected = names
        for size in (49, 500, 999, 1_000):
            assert [name for page in pages(store, size, order_by=order_by) for name in ids(page.items)] == expected

    @promise("PA03")
    def test_equal_times_paginate_at_every_size(self, store: Store) -> None:
        """Sizes from 1 to 50."""
        names = [f"{number:03}" for number in range(60)]
        store.save_contexts(a_context(name) for name in names)
        for size in range(1, 51):
            assert [name for page in pages(store, size) for name in ids(page.items)] == names[::-1]

    @promise("PA04")
    @pytest.mark.parametrize("other", OTHER_QUERIES)
    def test_a_cursor_of_another_query_is_refused(self, paged: Store, other: str) -> None:
        """It is bound to its filter and its order; the size of pages may change."""
        cursor = paged.search_page({"epic_num": 1}, limit=2).next_cursor
        query = {"filters": {"epic_num": 1}} | OTHER_QUERIES[other]
        with pytest.raises(InvalidQueryError, match="cursor"):
            paged.search_page(**query, cursor=cursor, limit=2)
        rest = paged.search_page({"epic_num": 1}, cursor=cursor, limit=100)
        assert list(rest.items) == paged.search_contexts({"epic_num": 1}, offset=2)

    @promise("PA04", "QU03")
    def test_a_cursor_tells_values_of_different_kinds_apart(self, subject: Subject) -> None:
        """A filter by 1 is not one by true, nor by 1.0 or text."""
        subject.requires(Capability.JSON_PATHS)
        store = subject.open()
        values = [1, True, 1.0, "1", None, -0.0, 0]
        store.save_contexts(a_context(f"w{n}", decisions={"k": value}) for n, value in enumerate(values * 3))
        for value, other in itertools.permutations(values, 2):
            cursor = store.search_page({"decisions.k": value}, limit=1).next_cursor
            with pytest.raises(InvalidQueryError, match="cursor"):
                store.search_page({"decisions.k": other}, limit=1, cursor=cursor)

    @promise("PA04", "ER04")
    @pytest.mark.parametrize("order_by", [None, "version"])
    def test_a_forged_cursor_is_refused_before_any_verb(self, subject: Subject, order_by: Any) -> None:
        """Cut short, changed at any place, made longer, or no cursor at all."""
        counter = CallCountingBackend(subject.backend())
        store = subject.around(counter)
        store.save_contexts([a_context("a"), a_context("b")])
        cursor = store.search_page(limit=1, order_by=order_by).next_cursor
        assert cursor is not None
        forged: list[Any] = ["", "x", "cursor", "é", "\ud800", cursor.encode(), 7, [cursor], cursor + cursor]
        forged += [cursor[:end] for end in range(len(cursor))]
        forged += [_changed_at(cursor, place) for place in range(len(base64.urlsafe_b64decode(cursor)))]
        counter.calls.clear()
        for wrong in forged:
            with pytest.raises(InvalidQueryError, match="cursor"):
                store.search_page(limit=1, order_by=order_by, cursor=wrong)
        assert counter.calls == []

    @promise("PA05")
    @each_stable_order
    def test_a_cursor_survives_reopen(self, subject: Subject, paged: Store, order_by: Any) -> None:
        """It goes on through any handle, also one that is opened later."""
        cursor = paged.search_page(limit=5, order_by=order_by).next_cursor
        expected = paged.search_contexts(order_by=order_by, offset=5)
        paged.close()
        assert list(subject.open().search_page(cursor=cursor, order_by=order_by).items) == expected

    @promise("PA05")
    @each_stable_order
    def test_a_cursor_survives_the_deletion_of_its_row(self, paged: Store, order_by: Any) -> None:
        """Also when everything before it is deleted, and when the row comes back elsewhere."""
        page = paged.search_page(limit=5, order_by=order_by)
        expected = paged.search_contexts(order_by=order_by, offset=5)
        for name in reversed(ids(page.items)):
            paged.delete_context(name)
            assert list(paged.search_page(cursor=page.next_cursor, order_by=order_by).items) == expected

    @promise("PA06")
    def test_a_stream_of_many_rows_holds_one_page(self, subject: Subject) -> None:
        """10,000 rows are read a page at a time, and no more of their contexts are alive than a page has."""
        counter, request = CallCountingBackend(subject.backend()), a_save()
        names = [f"{number:05}" for number in range(10_000)]
        text = request.record.document
        documents = {name: text.replace(request.record.workflow_id.encode(), name.encode()) for name in names}
        renamed = (attrs.evolve(request.record, workflow_id=name, document=documents[name]) for name in names)
        counter.inner.batch(BatchRequest(operations=[attrs.evolve(request, record=record) for record in renamed]))
        alive: list[weakref.ref[Any]] = []
        most = count = 0
        for context in subject.around(counter).iter_contexts(page_size=1_000):
            count += 1
            alive.append(weakref.ref(context))
            if count % 500 == 0:
                alive = [reference for reference in alive if reference() is not None]
                most = max(most, len(alive))
        assert count == 10_000
        assert most <= 2 * 1_000
        assert max(getattr(call, "limit", None) or 2**63 for call in counter.calls) <= 1_001

    @promise("PA06")
    def test_a_stream_blocks_no_writer(self, subject: Subject, paged: Store) -> None:
        """Between two rows, in the middle of a page, others write and the stream goes on."""
        other = subject.open()
        stream = paged.iter_contexts(page_size=5)
        seen = ids(itertools.islice(stream, 7))
        writing = threading.Thread(target=lambda: (other.save_context(a_context("new")), other.delete_context("w00")))
        writing.start()
        writing.join(PATIENCE_S)
        assert not writing.is_alive()
        assert paged.save_context(a_context("w01")) == 2
        assert paged.context_exists("w00") is False
        seen += ids(stream)
        assert sorted(set(seen) - {"new", "w00"}) == [f"w{number:02}" for number in range(1, ROWS)]

    @promise("PA06", "CO09")
    def test_an_abandoned_stream_holds_nothing(self, paged: Store) -> None:
        """Neither connection nor thread, whether it is closed or only forgotten."""

        def abandon(times: int) -> None:
            for _ in range(times):
                assert len(list(itertools.islice(paged.iter_contexts(page_size=2), 3))) == 3
                stream = paged.iter_contexts(page_size=2)
                next(stream)
                stream.close()  # type: ignore[attr-defined]  # it is a generator

        assert growth(lambda: abandon(2), lambda: abandon(50)) == (0, 0)


def _changed_at(cursor: str, place: int) -> str:
    raw = bytearray(base64.urlsafe_b64decode(cursor))
    raw[place] ^= 1
    return base64.urlsafe_b64encode(raw).decode()
