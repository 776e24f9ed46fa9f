"""Laws of order, pages and counts: what a search gives, in which order, and in which form."""

from datetime import timedelta
from typing import Any, Final

import pytest

from context_core import Capability, InvalidQueryError
from context_core.conditions import INDEXED_KINDS, FieldKind
from context_core.query import parse_filters, parse_order
from context_core.records import QueryRequest, VersionRequest, Want
from context_core_conformance.promises import promise
from context_core_conformance.samples import EPOCH, a_context
from context_core_conformance.stateful.query_strategies import SORTABLE
from context_core_conformance.subject import Subject, needed
from context_core_conformance.verbs import Store


def found(store: Store, filters: Any = None, **page: Any) -> list[str]:
    """The ids that a search finds, in its order."""
    return [context.workflow_id for context in store.search_contexts(filters, **page)]


class QueryOrderLaws:
    @promise("QU10")
    def test_default_order_is_newest_first(self, store: Store) -> None:
        """By created_at, the newest first, whatever order they were saved in."""
        for day in (2, 3, 1):
            store.save_context(a_context(f"day-{day}", created_at=EPOCH + timedelta(days=day)))
        assert found(store) == ["day-3", "day-2", "day-1"]

    @promise("QU10")
    def test_equal_times_are_ordered_by_id_descending(self, store: Store) -> None:
        """The default order is total: of equal times, the greater id comes first, by code point."""
        store.save_contexts([a_context(name) for name in ("b", "B", "\U0001f600", "\uffff", "a", "ab")])
        assert found(store) == ["\U0001f600", "\uffff", "b", "ab", "a", "B"]

    @promise("QU10")
    def test_saving_again_moves_nothing_in_the_default_order(self, store: Store) -> None:
        """A head stands where its workflow was created, whatever later versions say."""
        store.save_context(a_context("old", created_at=EPOCH))
        store.save_context(a_context("new", created_at=EPOCH + timedelta(days=1)))
        store.save_context(a_context("old", created_at=EPOCH + timedelta(days=9), updated_at=EPOCH + timedelta(days=9)))
        assert found(store) == ["new", "old"]
        assert found(store, {"created_at": EPOCH}) == ["old"]
        assert found(store, {"created_at__gt": EPOCH + timedelta(days=1)}) == []

    @promise("QU10", "QU12")
    def test_header_of_a_head_has_the_first_created_at(self, subject: Subject) -> None:
        """In a query's headers created_at is the workflow's; in its history each version has its own."""
        store, later = subject.open(), EPOCH + timedelta(days=9)
        store.save_context(a_context("w", created_at=EPOCH))
        store.save_context(a_context("w", created_at=later, updated_at=later))
        (header,) = subject.backend().query(QueryRequest(want=Want.HEADERS)).headers
        assert (header.version, header.created_at, header.updated_at) == (2, EPOCH, later)
        assert [version.created_at for version in store.history("w")] == [EPOCH, later]

    @promise("QU10")
    def test_none_comes_first_ascending_and_last_descending(self, store: Store) -> None:
        """Ties between those without a value are broken by id, ascending, both ways."""
        numbers = {"a": 2, "b": None, "c": 1, "d": None}
        store.save_contexts([a_context(name, story_num=number) for name, number in numbers.items()])
        assert found(store, order_by="story_num") == ["b", "d", "c", "a"]
        assert found(store, order_by="-story_num") == ["a", "c", "b", "d"]

    @promise("QU10")
    def test_later_terms_break_the_ties_of_earlier_ones(self, store: Store) -> None:
        """Several terms sort each in its own direction, and what is still equal by id."""
        rows = {"a": ("x", 1), "b": ("y", 1), "c": ("x", 2), "d": ("y", 2), "e": ("x", 2)}
        store.save_contexts([a_context(name, feature=feature, epic_num=epic) for name, (feature, epic) in rows.items()])
        assert found(store, order_by=["-epic_num", "feature"]) == ["c", "e", "d", "a", "b"]
        assert found(store, order_by=["feature", "-workflow_id"]) == ["e", "c", "a", "d", "b"]

    @promise("QU06")
    @pytest.mark.parametrize(
        "order_by", ["tags", "-decisions", "deleted_at", "", "-", "--feature", "feature desc", [1]]
    )
    def test_unsortable_order_is_refused_by_name(self, store: Store, order_by: Any) -> None:
        """The error names the fields that can be sorted by."""
        with pytest.raises(InvalidQueryError) as caught:
            store.search_contexts(order_by=order_by)
        assert [field for field in SORTABLE if field not in str(caught.value)] == []

    @promise("QU11")
    def test_limit_zero_is_empty(self, store: Store) -> None:
        """0 means none, not all."""
        store.save_context(a_context())
        assert found(store, limit=0) == []
        assert store.history("order-7", limit=0) == []

    @promise("QU11")
    def test_offset_needs_no_limit(self, store: Store) -> None:
        """All but the first few, none beyond the end, and a limit of any size."""
        store.save_contexts([a_context(f"w{number}") for number in range(5)])
        assert found(store, offset=3) == ["w1", "w0"]
        assert found(store, offset=5) == []
        assert found(store, offset=2**62) == []
        assert found(store, limit=2**63 - 1) == ["w4", "w3", "w2", "w1", "w0"]
        assert found(store, limit=2, offset=1) == ["w3", "w2"]

    @promise("QU11")
    def test_largest_limit_and_offset_together_are_no_overflow(self, store: Store) -> None:
        """Their sum is beyond 64 bits, and means no more than it says."""
        store.save_contexts([a_context("a"), a_context("b")])
        assert found(store, limit=2**63 - 1, offset=1) == ["a"]
        assert found(store, limit=2**63 - 1, offset=2**63 - 1) == []

    @promise("QU11", "ER02")
    @pytest.mark.parametrize(
        "page", [{"limit": -1}, {"offset": -1}, {"limit": True}, {"limit": 1.0}, {"offset": "1"}], ids=repr
    )
    def test_page_that_is_none_is_refused(self, store: Store, page: dict[str, Any]) -> None:
        """Negative or not an int: refused, in searches and in histories."""
        with pytest.raises(InvalidQueryError, match=next(iter(page))):
            store.search_contexts(**page)
        with pytest.raises(InvalidQueryError, match=next(iter(page))):
            store.history("order-7", **page)

    @promise("QU09")
    def test_count_headers_records_and_documents_agree(self, subject: Subject) -> None:
        """Whatever is wanted of one query, it is the same workflows in the same order."""
        store, backend = subject.open(), subject.backend()
        store.save_contexts(
            [a_context(f"w{number}", epic_num=1 + number % 3, tags=["x"] * (number % 2)) for number in range(9)]
        )
        asked: list[Any] = [{}, {"epic_num": 1}, {"epic_num__ne": 1, "tags__contains": "x"}, {"feature": "none"}]
        for filters in asked:
            for order in ("epic_num", "-workflow_id"):
                expected = found(store, filters, order_by=order)
                conditions, terms = parse_filters(filters), parse_order(order)
                counted, headers, documents, records = (
                    backend.query(QueryRequest(conditions=conditions, order=terms, want=want))
                    for want in (Want.COUNT, Want.HEADERS, Want.DOCUMENTS, Want.RECORDS)
                )
                assert (counted.count, store.count_contexts(filters)) == (len(expected), len(expected))
                assert list(headers.headers) == store.list_headers(filters, order_by=order)
                assert [header.workflow_id for header in headers.headers] == expected
                assert [document.workflow_id for document in documents.documents] == expected
                assert (records.headers, records.documents) == (headers.headers, documents.documents)

    @promise("QU09", "QU04")
    def test_count_looks_inside_documents_as_search_does(self, subject: Subject) -> None:
        """Whatever a filter looks at, as many are counted as are found."""
        subject.requires(Capability.JSON_PATHS)
        store = subject.open()
        store.save_contexts(
            a_context(f"w{number}", decisions={"n": number % 3}, artifacts=[number % 2]) for number in range(10)
        )
        asked: list[dict[str, Any]] = [
            {"decisions.n": 1},
            {"artifacts__contains": 1},
            {"decisions.n__gt": 0, "epic_num": 1},
        ]
        assert [(store.count_contexts(each), len(store.search_contexts(each))) for each in asked] == [
            (3, 3),
            (5, 5),
            (6, 6),
        ]

    @promise("QU09", "QU11")
    def test_count_is_of_all_pages(self, subject: Subject) -> None:
        """COUNT ignores order and page; a page tells how many it holds."""
        subject.open().save_contexts([a_context(f"w{number}") for number in range(5)])
        request = QueryRequest(want=Want.COUNT, order=parse_order("feature"), limit=2, offset=4)
        backend = subject.backend()
        assert backend.query(request).count == 5
        assert backend.query(QueryRequest(want=Want.HEADERS, limit=2, offset=4)).count == 1

    @promise("QU09")
    def test_exists_agrees_with_search(self, store: Store) -> None:
        """A context exists where a search finds it, and no longer once it is deleted."""
        store.save_context(a_context("w"))
        assert (store.context_exists("w"), found(store, {"workflow_id": "w"})) == (True, ["w"])
        assert (store.context_exists("W"), found(store, {"workflow_id": "W"})) == (False, [])
        store.delete_context("w")
        assert (store.context_exists("w"), found(store, {"workflow_id": "w"})) == (False, [])

    @promise("QU09")
    def test_newest_of_a_story_is_the_first_that_search_finds(self, store: Store) -> None:
        """`get_latest_context` and the lists by epic, feature and status are searches by another name."""
        for number, status in enumerate(("running", "failed", "running")):
            moment = EPOCH + timedelta(seconds=number)
            store.save_context(a_context(f"w{number}", status=status, created_at=moment, epic_num=7, feature="f"))
        store.save_context(a_context("else", epic_num=8, feature="g", status="completed"))
        latest, latest_failed = store.get_latest_context(7, 2), store.get_latest_context_by_status(7, 2, "failed")
        assert latest is not None
        assert latest_failed is not None
        assert (latest.workflow_id, latest_failed.workflow_id) == ("w2", "w1")
        assert store.get_latest_context(7) is None
        assert [context.workflow_id for context in store.get_contexts_by_epic(7)] == ["w2", "w1", "w0"]
        assert [context.workflow_id for context in store.get_contexts_by_feature("f")] == ["w2", "w1", "w0"]
        assert [context.workflow_id for context in store.get_active_contexts()] == ["w2", "w0"]
        assert [context.workflow_id for context in store.get_failed_contexts()] == ["w1"]

    @promise("QU12")
    def test_headers_carry_what_was_saved(self, subject: Subject) -> None:
        """A header has every indexed field of its version, and comes without a document."""
        saved = a_context("w", tags=["x", "y"], status="paused", current_phase="review", decisions={"k": 1})
        subject.open().save_context(saved)
        backend = subject.backend()
        for selection in (
            backend.query(QueryRequest(want=Want.HEADERS)),
            backend.version(VersionRequest(of="w", want=Want.HEADERS)),
        ):
            assert list(selection.documents) == []
            (header,) = selection.headers
            for field in (*SORTABLE, "tags"):
                expected = {"version": 1, "tags": ("x", "y")}.get(field, getattr(saved, field))
                assert (field, getattr(header, field)) == (field, expected)

    @promise("QU13")
    def test_plan_of_indexed_conditions_names_an_index(self, subject: Subject) -> None:
        """A search by id, story, feature, status or time, and the newest-first order, walk an index."""
        subject.requires(Capability.EXPLAIN)
        rows = [
            a_context(f"w{number}", epic_num=number, feature=f"f{number}", created_at=EPOCH + timedelta(days=number))
            for number in range(1, 500)
        ]
        subject.open().save_contexts(rows)
        backend = subject.backend()
        asked: list[Any] = [
            {"workflow_id": "w7"},
            {"epic_num": 7, "story_num": 2},
            {"feature": "f7"},
            {"status": "failed"},
            {"created_at__gte": EPOCH + timedelta(days=490)},
            None,
        ]
        for filters in asked:
            plan = backend.explain(QueryRequest(conditions=parse_filters(filters), limit=5))
            assert (filters, "index" in plan.lower()) == (filters, True)

    @promise("QU13")
    def test_no_indexed_condition_reads_everything(self, subject: Subject) -> None:
        """Each indexed field has an index that narrows, not one that only orders."""
        subject.requires(Capability.EXPLAIN)
        subject.open().save_contexts(a_context(f"w{number}", feature=f"f{number}") for number in range(500))
        backend = subject.backend()
        asked: list[Any] = [
            *(_narrow_filter(field) for field in INDEXED_KINDS if field not in SCANNED),
            {"epic_num": 7, "story_num": 2},
            {"feature__prefix": "f7"},
            {"status__in": ["failed", "paused"]},
        ]
        for filters in asked:
            plan = backend.explain(QueryRequest(conditions=parse_filters(filters), limit=5))
            reads_everything = needed(subject.access.reads_everything(plan), "reads_everything")
            assert (filters, plan, reads_everything) == (filters, plan, False)


SCANNED: Final = frozenset({"updated_at", "tags"})
"""The fields that a search may scan: one changes with each save, and one is a list."""


def _narrow_filter(field: str) -> dict[str, Any]:
    """A filter on an indexed field that few workflows meet."""
    if field == "status":
        return {field: "failed"}
    kind = INDEXED_KINDS[field]
    if kind is FieldKind.TIME:
        return {f"{field}__gte": EPOCH + timedelta(days=490)}
    return {field: 7 if kind is FieldKind.NUMBER else "other"}
