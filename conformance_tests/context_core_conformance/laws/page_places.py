"""Laws of `QueryRequest.after`: what comes behind a place in an order, whether a row stands there or not."""

import itertools
from datetime import datetime, timedelta
from typing import Any, Final

import pytest

from context_core.query import parse_filters, parse_order, total_order
from context_core.records import QueryRequest, Want
from context_core_conformance.promises import promise
from context_core_conformance.samples import EPOCH, a_context
from context_core_conformance.subject import Subject

NAMES: Final = ("A", "a", "a\u0301", "ab", "b", "á", "\uffff", "\U0001f600")
MOMENTS: Final = (EPOCH, EPOCH + timedelta(microseconds=1), EPOCH.replace(microsecond=0))
NOWHERE: Final = (("", EPOCH), ("aa", EPOCH), ("\U0010ffff", EPOCH.replace(year=9999)), ("a", EPOCH.replace(year=1)))
"""Places at which no row stands: before all, between two, behind all."""

ORDERS: Final[tuple[Any, ...]] = (
    (),
    ("workflow_id",),
    ("-workflow_id",),
    ("created_at",),
    ("-created_at",),
    ("created_at", "-workflow_id"),
    ("-created_at", "workflow_id"),
    ("-created_at", "-workflow_id"),
    ("workflow_id", "-created_at"),
)

each_order: Final = pytest.mark.parametrize("order_by", ORDERS, ids=str)


class PlaceLaws:
    @promise("PA01", "PA05")
    @each_order
    def test_what_is_after_a_place_is_what_the_order_says(self, subject: Subject, order_by: Any) -> None:
        """Row by row of a mixed order, for places with a row and without; by code point and microsecond."""
        rows = {f"{name}{number}": moment for name in NAMES for number, moment in enumerate(MOMENTS)}
        subject.open().save_contexts(a_context(name, created_at=moment) for name, moment in rows.items())
        backend, terms = subject.backend(), total_order(parse_order(order_by))
        whole = [
            (header.workflow_id, header.created_at)
            for header in backend.query(QueryRequest(order=parse_order(order_by), want=Want.HEADERS)).headers
        ]
        assert dict(whole) == rows
        for place in (*whole, *NOWHERE):
            after = tuple(place[term.field == "created_at"] for term in terms)
            expected = [row for row in whole if _is_behind(row, place, terms)]
            request = QueryRequest(order=parse_order(order_by), want=Want.HEADERS, after=after)
            found = [(header.workflow_id, header.created_at) for header in backend.query(request).headers]
            assert (place, found) == (place, expected)

    @promise("PA01", "PA03")
    @pytest.mark.parametrize("want", [Want.HEADERS, Want.DOCUMENTS])
    @pytest.mark.parametrize("order_by", [("status", "-created_at"), ("-feature", "epic_num", "created_at")], ids=str)
    def test_a_place_is_told_by_every_field_of_its_order(self, subject: Subject, order_by: Any, want: Want) -> None:
        """Rows that equal the place in the first fields of the order come after it if a later field says so."""
        backend, order = subject.backend(), parse_order(order_by)
        subject.open().save_contexts(
            a_context(
                f"w{number:02}",
                status=("failed", "paused")[number % 2],
                feature=f"f{number // 8}",
                epic_num=1 + number // 2 % 2,
                created_at=MOMENTS[number % 3],
            )
            for number in range(16)
        )
        whole = backend.query(QueryRequest(order=order, want=Want.HEADERS)).headers
        names = [header.workflow_id for header in whole]
        for place, header in enumerate(whole, 1):
            after = tuple(getattr(header, term.field) for term in total_order(order))
            found = backend.query(QueryRequest(order=order, want=want, after=after, limit=3))
            assert [each.workflow_id for each in found.headers or found.documents] == names[place : place + 3]

    @promise("PA01", "QU09")
    @each_order
    def test_a_place_goes_with_conditions_limits_and_every_want(self, subject: Subject, order_by: Any) -> None:
        """Conditions, a limit and an offset apply to what comes after it, whatever is wanted."""
        store, backend, order = subject.open(), subject.backend(), parse_order(order_by)
        store.save_contexts(
            a_context(f"w{n:02}", epic_num=1 + n % 2, tags=["x"] * (n % 3), created_at=MOMENTS[n % 3])
            for n in range(24)
        )
        for filters in ({}, {"epic_num": 1}, {"tags__contains": "x"}):
            conditions = parse_filters(filters)
            every = backend.query(QueryRequest(conditions=conditions, order=order, want=Want.HEADERS)).headers
            after = tuple(getattr(every[2], term.field) for term in total_order(order))
            for limit, offset in itertools.product((None, 0, 1, 3, 100), (0, 1, 50)):
                expected = [header.workflow_id for header in every[3:][offset:][:limit]]
                headers, documents, records = (
                    backend.query(
                        QueryRequest(
                            conditions=conditions, order=order, want=want, limit=limit, offset=offset, after=after
                        )
                    )
                    for want in (Want.HEADERS, Want.DOCUMENTS, Want.RECORDS)
                )
                assert [header.workflow_id for header in headers.headers] == expected
                assert [document.workflow_id for document in documents.documents] == expected
                assert (records.headers, records.documents) == (headers.headers, documents.documents)
                assert records.count == len(expected)

    @promise("QU09")
    @pytest.mark.parametrize("filters", [{}, {"tags__contains": "x"}], ids=str)
    def test_a_count_ignores_the_place(self, subject: Subject, filters: dict[str, Any]) -> None:
        """COUNT is of all pages: a place is part of one, as limit and offset are."""
        subject.open().save_contexts(a_context(f"w{number}", tags=["x"]) for number in range(5))
        conditions = parse_filters(filters)
        request = QueryRequest(conditions=conditions, order=parse_order("workflow_id"), want=Want.COUNT, after=("w2",))
        assert subject.backend().query(request).count == 5


def _is_behind(row: tuple[str, datetime], place: tuple[str, datetime], terms: Any) -> bool:
    for term in terms:
        own, value = row[term.field == "created_at"], place[term.field == "created_at"]
        if own != value:
            return (own < value) is term.descending  # type: ignore[operator]  # two texts, or two times
    return False
