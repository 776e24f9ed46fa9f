"""Filters and orders: what they mean, by the evaluator that decides."""

from datetime import timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from context_core import InvalidQueryError, Status
from context_core._converter import encode
from context_core.conditions import FIELDS, SORTABLE, Condition, FieldKind, Operator, OrderTerm
from context_core.query import evaluate, holds, matches, parse_filters, parse_order, total_order
from context_core.records import QueryRequest, StoredDocument, VersionHeader, Want
from context_core_conformance.samples import EPOCH

FREE_FORM = [name for name, kind in FIELDS.items() if kind is FieldKind.FREE_FORM]
EAST = timezone(timedelta(hours=5))


def the_condition(key: Any, value: Any) -> Condition:
    (condition,) = parse_filters({key: value})
    return condition


def a_head(workflow_id="a", fields=None, **columns):
    header = VersionHeader(
        **{
            "workflow_id": workflow_id,
            "version": 1,
            "epic_num": 1,
            "story_num": None,
            "feature": "f",
            "workflow_name": "w",
            "current_phase": "p",
            "status": "running",
            "created_at": EPOCH,
            "updated_at": EPOCH,
            "saved_at": EPOCH,
            **columns,
        }
    )
    return header, StoredDocument(workflow_id=workflow_id, version=1, document=encode(fields or {}))


def is_true(key, wanted, value):
    return holds(the_condition(key, wanted), value)


class TestComparing:
    @pytest.mark.parametrize(
        ("value", "wanted", "equal"),
        [
            (None, None, True), (None, False, False), (None, 0, False), (None, "", False), (True, True, True),
            (True, 1, False), (False, 0, False), (1, 1.0, True), (1, "1", False), (1.5, 1.5, True), ("a", "a", True),
            ("a", "A", False), ("é", "e\u0301", False), ([1, True], [1.0, True], True), ([1], [True], False),
            ([], {}, False), ({"a": 1}, {"a": 1.0}, True), ({"a": 1}, {"a": True}, False), ({"a": None}, {}, False),
            ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True), ([{"a": [0]}], [{"a": [False]}], False), (2**53, 2.0**53, True),
        ],
    )  # fmt: skip
    def test_equality_follows_the_table(self, value, wanted, equal):
        """And `ne` is its opposite, `in` its repetition (QU03)."""
        assert is_true("metadata.x", wanted, value) is equal
        assert is_true("metadata.x__ne", wanted, value) is not equal
        assert is_true("metadata.x__in", ["other", wanted], value) is equal

    def test_in_nothing_is_nothing(self):
        """Not even None (QU02)."""
        assert not is_true("metadata.x__in", [], None)

    @pytest.mark.parametrize(
        ("value", "wanted"), [(1, 2.5), (-1, 0), ("a", "b"), ("Z", "a"), ("a", "ab"), ("\uffff", "\U00010000")]
    )
    def test_ranges_compare_within_a_kind(self, value, wanted):
        """Numbers by value, text by code point."""
        assert is_true("metadata.x__lt", wanted, value)
        assert is_true("metadata.x__lte", wanted, value)
        assert is_true("metadata.x__lte", value, value)
        assert is_true("metadata.x__gte", value, value)
        assert is_true("metadata.x__gt", value, wanted)
        assert not is_true("metadata.x__gt", wanted, value)
        assert not is_true("metadata.x__lt", value, value)

    @pytest.mark.parametrize(("value", "wanted"), [(1, "1"), (True, 1), (None, 1), ([1], 1), ([1], [2]), ({}, {})])
    @pytest.mark.parametrize("operator", ["lt", "lte", "gt", "gte"])
    def test_ranges_hold_for_nothing_between_kinds(self, value, wanted, operator):
        """Nor for what has no order."""
        assert not is_true(f"metadata.x__{operator}", wanted, value)

    def test_ranges_compare_times(self):
        """As moments."""
        assert is_true("created_at__lt", EPOCH.astimezone(EAST), EPOCH - timedelta(microseconds=1))
        assert not is_true("created_at__lt", EPOCH, EPOCH)

    @pytest.mark.parametrize(
        ("value", "holds_it"), [("sqlite", True), ("sql", True), ("SQL", False), (["sql"], False), (None, False)]
    )
    def test_a_prefix_holds_for_text(self, value, holds_it):
        """Case counts, and a list has none."""
        assert is_true("metadata.x__prefix", "sql", value) is holds_it

    @pytest.mark.parametrize(
        ("value", "wanted", "holds_it"),
        [
            ([1, 2], 1, True),
            ([1], True, False),
            ("ab", "a", False),
            ({"a": 1}, "a", False),
            ([None], None, True),
            (None, None, False),
        ],
    )
    def test_contains_looks_at_the_items_of_a_list(self, value, wanted, holds_it):
        """By the table; a text contains nothing."""
        assert is_true("metadata.x__contains", wanted, value) is holds_it

    @pytest.mark.parametrize("value", [None, 0, "", [], False])
    def test_isnull_tells_absent_from_empty(self, value):
        """Only None is absent."""
        assert is_true("metadata.x__isnull", True, value) is (value is None)
        assert is_true("metadata.x__isnull", False, value) is (value is not None)

    @pytest.mark.parametrize(
        ("path", "value"), [("a.b", 1), ("a.c", None), ("a.b.c", None), ("list.0", None), ("text.a", None)]
    )
    def test_a_path_goes_through_objects_only(self, path, value):
        """What cannot be gone into is absent."""
        head = a_head(fields={"metadata": {"a": {"b": 1}, "list": [1], "text": "a"}})
        assert matches(parse_filters({f"metadata.{path}": value}), *head)

    def test_a_document_without_the_field_holds_nothing_there(self):
        """As if it were null."""
        assert matches(parse_filters({"metadata.a": None}), *a_head(fields={}))

    def test_all_conditions_must_hold(self):
        """They are joined by AND."""
        head = a_head(fields={"metadata": {"a": 1}})
        assert matches(parse_filters({"feature": "f", "metadata.a": 1, "metadata.b": None}), *head)
        assert not matches(parse_filters({"metadata.a": 1, "metadata.b": 2}), *head)

    def test_documents_are_not_read_for_indexed_fields(self):
        """They need not even be JSON."""
        header, document = a_head()
        broken = StoredDocument(workflow_id="a", version=1, document=b"{")
        assert matches(parse_filters({"feature": "f", "tags": []}), header, broken)
        assert document.document == b"{}"


class TestOrder:
    def test_no_order_is_no_term(self):
        """The default stands in later."""
        assert parse_order(None) == ()

    def test_a_minus_sorts_descending(self):
        """In a list and alone."""
        assert parse_order("-feature") == (OrderTerm(field="feature", descending=True),)
        assert parse_order(["feature", "-version"]) == (
            OrderTerm(field="feature"),
            OrderTerm(field="version", descending=True),
        )

    @pytest.mark.parametrize("name", SORTABLE)
    def test_every_column_sorts(self, name):
        """In both directions."""
        assert [term.field for term in parse_order([name, f"-{name}"])] == [name, name]

    @pytest.mark.parametrize(
        "order", ["nope", "--status", "tags", "decisions", "", ["status", 5], [None], [["status"]]]
    )
    def test_what_does_not_sort_is_refused_by_name(self, order):
        """With what does (QU06)."""
        with pytest.raises(InvalidQueryError, match="cannot order by .*sortable fields are: workflow_id"):
            parse_order(order)

    def test_an_order_of_another_kind_is_refused(self):
        """A number is neither a field nor a list of them."""
        with pytest.raises(InvalidQueryError, match="not int"):
            parse_order(5)  # type: ignore[arg-type]  # the mistake under test

    def test_the_default_is_newest_first(self):
        """By (created_at, workflow_id), both descending."""
        assert [(term.field, term.descending) for term in total_order(())] == [
            ("created_at", True),
            ("workflow_id", True),
        ]

    def test_an_order_is_made_total(self):
        """By workflow_id, unless that is in it (QU10)."""
        assert [term.field for term in total_order(parse_order("status"))] == ["status", "workflow_id"]
        assert total_order(parse_order("-workflow_id")) == (OrderTerm(field="workflow_id", descending=True),)

    def test_none_comes_first(self):
        """And last where descending."""
        heads = [a_head("a", story_num=2), a_head("b", story_num=None), a_head("c", story_num=1)]
        assert self.ids(heads, "story_num") == ["b", "c", "a"]
        assert self.ids(heads, "-story_num") == ["a", "c", "b"]

    def test_ties_are_broken_by_the_next_term(self):
        """And at last by the id."""
        heads = [
            a_head("b", feature="x"),
            a_head("a", feature="x", version=2),
            a_head("c", feature="w"),
            a_head("d", feature="x"),
        ]
        assert self.ids(heads, ["-feature", "version"]) == ["b", "d", "a", "c"]

    @given(st.lists(st.integers(0, 3), max_size=8), st.integers(0, 9), st.none() | st.integers(0, 9))
    def test_a_page_is_a_slice_of_the_whole(self, epics, offset, limit):
        """For any offset and limit (QU11)."""
        heads = [a_head(f"{position}", epic_num=epic + 1) for position, epic in enumerate(epics)]
        whole = self.ids(heads, "epic_num")
        end = None if limit is None else offset + limit
        assert self.ids(heads, "epic_num", offset=offset, limit=limit) == whole[offset:end]

    def test_what_is_wanted_is_given(self):
        """Headers, documents, both, or only how many (QU09)."""
        heads = [a_head("a"), a_head("b")]
        shapes = {Want.HEADERS: (1, 0, 1), Want.DOCUMENTS: (0, 1, 1), Want.RECORDS: (1, 1, 1), Want.COUNT: (0, 0, 2)}
        for want, shape in shapes.items():
            found = evaluate(QueryRequest(want=want, limit=1), heads)
            assert (len(found.headers), len(found.documents), found.count) == shape

    @staticmethod
    def ids(heads, order, **page):
        found = evaluate(QueryRequest(order=parse_order(order), want=Want.HEADERS, **page), heads)
        return [header.workflow_id for header in found.headers]


def test_the_status_of_a_header_is_text_for_every_operator():
    """A driver may let the shared evaluator judge headers, whose status is the member of `Status`."""
    for value in ("running", Status.RUNNING):
        for operator, wanted in ((Operator.PREFIX, "run"), (Operator.LT, "s"), (Operator.EQ, "running")):
            assert holds(Condition(field="status", operator=operator, value=wanted), value), (operator, value)
