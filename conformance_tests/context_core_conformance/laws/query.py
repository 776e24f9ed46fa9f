"""Laws of conditions on indexed fields: what matches, what does not, what is refused."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from context_core import InvalidQueryError, JsonPath
from context_core_conformance.promises import promise
from context_core_conformance.samples import EPOCH, a_context
from context_core_conformance.verbs import Store

INJECTIONS = (
    "' OR '1'='1",
    "'; DROP TABLE workflow_context; --",
    '" OR ""="',
    "a' UNION SELECT document FROM workflow_context --",
    "\\'; DELETE FROM workflow_context_versions; --",
    "%s %(name)s {0} :name ?1 $1",
)


def found(store: Store, filters: Any, **page: Any) -> list[str]:
    """The ids that a search finds, by id where no order is asked for."""
    page.setdefault("order_by", "workflow_id")
    return [context.workflow_id for context in store.search_contexts(filters, **page)]


class QueryLaws:
    @promise("QU01")
    def test_all_conditions_must_hold(self, store: Store) -> None:
        """Several filters are joined by AND, also several on one field."""
        store.save_contexts(
            [
                a_context(f"w{number}", epic_num=number, feature="even" if number % 2 == 0 else "odd")
                for number in range(1, 7)
            ]
        )
        assert found(store, {"feature": "even", "epic_num__gt": 2, "epic_num__lt": 6}) == ["w4"]

    @promise("QU01")
    def test_search_looks_at_heads_alone(self, store: Store) -> None:
        """A value that only an older version has is not found."""
        store.save_context(a_context("w", status="failed"))
        store.save_context(a_context("w", status="running"))
        assert found(store, {"status": "failed"}) == []
        assert found(store, {"status": "running"}) == ["w"]
        assert found(store, {"version": 2}) == ["w"]
        assert found(store, {"version": 1}) == []

    @promise("QU02", "RT16")
    def test_none_is_equal_to_absent_alone(self, store: Store) -> None:
        """None finds what has no value, and every value differs from it."""
        store.save_contexts([a_context("epic", story_num=None), a_context("one", story_num=1)])
        assert found(store, {"story_num": None}) == ["epic"]
        assert found(store, {"story_num__isnull": True}) == ["epic"]
        assert found(store, {"story_num__ne": None}) == ["one"]
        assert found(store, {"story_num__isnull": False}) == ["one"]
        assert found(store, {"feature": None}) == []
        assert found(store, {"feature__ne": None}) == ["epic", "one"]

    @promise("QU02")
    def test_not_equal_finds_the_absent_too(self, store: Store) -> None:
        """`ne` is the exact opposite of `eq`, for what has no value as well."""
        store.save_contexts([a_context("epic", story_num=None), a_context("one", story_num=1), a_context("two")])
        assert found(store, {"story_num__ne": 1}) == ["epic", "two"]

    @promise("QU02")
    def test_in_with_none_finds_the_absent(self, store: Store) -> None:
        """None in a list stands for the absent, beside the values."""
        store.save_contexts([a_context("epic", story_num=None), a_context("one", story_num=1), a_context("two")])
        assert found(store, {"story_num__in": [None, 2]}) == ["epic", "two"]
        assert found(store, {"story_num__in": [None]}) == ["epic"]

    @promise("QU02")
    def test_in_an_empty_list_finds_nothing(self, store: Store) -> None:
        """No value is in a list of none."""
        store.save_context(a_context("epic", story_num=None))
        assert found(store, {"story_num__in": []}) == []
        assert found(store, {"workflow_id__in": []}) == []
        assert found(store, {"created_at__in": []}) == []

    @promise("QU01", "BA05")
    def test_in_takes_more_values_than_an_engine_binds(self, store: Store) -> None:
        """A list of 50,000 values finds those that are there."""
        store.save_contexts([a_context("w1"), a_context("w49999"), a_context("other")])
        assert found(store, {"workflow_id__in": [f"w{number}" for number in range(50_000)]}) == ["w1", "w49999"]

    @promise("QU03")
    def test_text_is_compared_by_code_point(self, store: Store) -> None:
        """Case, normal forms and planes are kept apart; an emoji is greater than U+FFFF."""
        names = ["B", "a", "e\u0301", "\u00e9", "\uffff", "\U0001f600"]
        store.save_contexts([a_context(f"w{number}", feature=name) for number, name in enumerate(names)])
        assert found(store, {"feature": "b"}) == []
        assert found(store, {"feature": "\u00e9"}) == ["w3"]
        assert found(store, {"feature__lt": "a"}) == ["w0"]
        assert found(store, {"feature__gt": "\uffff"}) == ["w5"]
        assert found(store, None, order_by="feature") == ["w0", "w1", "w2", "w3", "w4", "w5"]

    @promise("QU03")
    def test_a_number_beside_the_largest_is_kept_apart(self, store: Store) -> None:
        """64-bit integers are compared exactly, beyond what a float holds."""
        numbers = {"a": 2**53, "b": 2**53 + 1, "c": 2**63 - 2, "d": 2**63 - 1}
        store.save_contexts([a_context(name, epic_num=number) for name, number in numbers.items()])
        assert found(store, {"epic_num": 2**53 + 1}) == ["b"]
        assert found(store, {"epic_num__gte": 2**63 - 1}) == ["d"]

    @promise("QU05")
    def test_equals_a_list_and_contains_an_item_are_two_operators(self, store: Store) -> None:
        """Tags equal the whole list, in its order; `contains` asks for one of them."""
        tags = {"both": ["x", "y"], "none": [], "other": ["xy"], "turned": ["y", "x"], "x": ["x"]}
        store.save_contexts([a_context(name, tags=items) for name, items in tags.items()])
        assert found(store, {"tags": ["x"]}) == ["x"]
        assert found(store, {"tags": ["x", "y"]}) == ["both"]
        assert found(store, {"tags": []}) == ["none"]
        assert found(store, {"tags__contains": "x"}) == ["both", "turned", "x"]
        assert found(store, {"tags__ne": ["x"]}) == ["both", "none", "other", "turned"]

    @promise("QU06")
    @pytest.mark.parametrize(
        ("filters", "named"),
        [
            ({"statsu": "failed"}, ["'statsu'", "status", "workflow_id", "decisions"]),
            ({"status__like": "f%"}, ["'like'", "prefix", "eq", "in"]),
            ({"status__": "failed"}, ["''", "prefix"]),
            ({"epic_num__prefix": "1"}, ["'prefix'", "epic_num", "gte"]),
            ({"tags__in": [["x"]]}, ["'in'", "tags", "contains"]),
            ({"feature__contains": "x"}, ["'contains'", "feature", "prefix"]),
            ({"document": "x"}, ["'document'", "metadata"]),
            ({"deleted_at": EPOCH}, ["'deleted_at'", "created_at"]),
            ({"feature.name": "x"}, ["feature.name"]),
            ({"": 1}, ["''", "workflow_id"]),
            ({1: 1}, ["int"]),
            ([("status", "failed")], ["list"]),
        ],
    )
    def test_unknown_field_or_operator_is_refused_by_name(self, store: Store, filters: Any, named: list[str]) -> None:
        """The error names what is unknown and what is known; nothing is ignored."""
        store.save_context(a_context(status="failed"))
        with pytest.raises(InvalidQueryError) as caught:
            store.search_contexts(filters)
        assert [name for name in named if name not in str(caught.value)] == []

    @promise("QU06")
    def test_path_into_an_indexed_field_is_refused(self) -> None:
        """A JsonPath leads into free-form fields only, by keys that are text."""
        with pytest.raises(InvalidQueryError, match="decisions, artifacts, errors, metadata"):
            JsonPath("status", "x")
        with pytest.raises(InvalidQueryError, match="must be str"):
            JsonPath("decisions", 0)  # type: ignore[arg-type]  # the misuse under test

    @promise("QU06")
    @pytest.mark.parametrize(
        "filters",
        [
            {"status": "done"},
            {"status__in": ["failed", "done"]},
            {"epic_num": "1"},
            {"epic_num": True},
            {"epic_num": 1.0},
            {"epic_num": 2**63},
            {"epic_num__lt": None},
            {"feature": 1},
            {"feature__prefix": 1},
            {"feature__prefix": None},
            {"feature": "\ud800"},
            {"feature__in": "checkout"},
            {"feature__in": 1},
            {"feature__in": {"checkout": 1}},
            {"story_num__isnull": 1},
            {"story_num__isnull": None},
            {"tags": "x"},
            {"tags__contains": 1},
            {"created_at": "2025-01-02"},
            {"created_at__gte": 0},
            {"created_at__gte": EPOCH.date()},
        ],
        ids=repr,
    )
    def test_value_that_does_not_fit_is_refused(self, store: Store, filters: Any) -> None:
        """A value of the wrong kind is no silent mismatch."""
        with pytest.raises(InvalidQueryError):
            store.search_contexts(filters)

    @promise("QU07")
    def test_prefix_takes_wildcards_as_text(self, store: Store) -> None:
        """`%`, `_`, `*`, `?`, `[` and the backslash stand for themselves, and case counts."""
        names = ["%a", "*a", "?a", "A", "[a]", "\\a", "_a", "a", "a%b", "axb"]
        store.save_contexts([a_context(name) for name in names])
        for name in names:
            assert found(store, {"workflow_id__prefix": name[0]}) == [other for other in names if other[0] == name[0]]
        assert found(store, {"workflow_id__prefix": "a%"}) == ["a%b"]
        assert found(store, {"workflow_id__prefix": "a_"}) == []

    @promise("QU07")
    def test_prefix_ends_where_unicode_does(self, store: Store) -> None:
        """A prefix of the last code point has no greater neighbour to stop at, and the empty one is before all."""
        names = ["a", "\ud7ff", "\ue000", "\uffff", "\U0010ffff", "\U0010ffff\U0010ffff"]
        store.save_contexts([a_context(name) for name in names])
        assert found(store, {"workflow_id__prefix": "\U0010ffff"}) == names[4:]
        assert found(store, {"workflow_id__prefix": "\ud7ff"}) == names[1:2]
        assert found(store, {"workflow_id__prefix": ""}) == names

    @promise("QU07")
    @pytest.mark.parametrize("text", INJECTIONS)
    def test_injection_strings_are_data(self, store: Store, text: str) -> None:
        """What looks like the engine's language is found as text, and changes nothing."""
        store.save_contexts([a_context("safe"), a_context(text, feature=text, tags=[text])])
        for filters in (
            {"workflow_id": text},
            {"feature__prefix": text},
            {"feature__in": [text, "x"]},
            {"tags__contains": text},
            {"workflow_id__gte": text, "workflow_id__lte": text},
        ):
            assert found(store, filters) == [text]
        assert sorted(found(store, None)) == sorted(["safe", text])

    @promise("QU08")
    def test_time_range_is_half_open(self, store: Store) -> None:
        """From `gte` to `lt`, to the microsecond, neighbouring ranges neither overlap nor leave a gap."""
        moments = [EPOCH + timedelta(microseconds=number) for number in range(4)]
        store.save_contexts([a_context(f"w{number}", created_at=moment) for number, moment in enumerate(moments)])
        assert found(store, {"created_at__gte": moments[0], "created_at__lt": moments[2]}) == ["w0", "w1"]
        assert found(store, {"created_at__gte": moments[2], "created_at__lt": moments[3]}) == ["w2"]
        assert found(store, {"created_at__gt": moments[2]}) == ["w3"]

    @promise("QU08", "RT09")
    def test_time_is_compared_as_an_instant(self, store: Store) -> None:
        """Whole seconds, years of few digits and other offsets compare by the moment they mean."""
        moments = [
            datetime(1, 1, 1, tzinfo=UTC),
            EPOCH.replace(microsecond=0),
            EPOCH,
            datetime(9999, 12, 31, tzinfo=UTC),
        ]
        store.save_contexts([a_context(f"w{number}", updated_at=moment) for number, moment in enumerate(moments)])
        assert found(store, None, order_by="updated_at") == ["w0", "w1", "w2", "w3"]
        assert found(store, {"updated_at__lt": EPOCH}) == ["w0", "w1"]
        assert found(store, {"updated_at": datetime.fromisoformat("2025-01-02T08:34:05.678901+05:30")}) == ["w2"]

    @promise("QU08")
    @pytest.mark.parametrize("operator", ["eq", "ne", "lt", "lte", "gt", "gte"])
    def test_naive_datetime_is_refused(self, store: Store, operator: str) -> None:
        """A time without a zone means nothing certain."""
        with pytest.raises(InvalidQueryError, match="aware"):
            store.search_contexts({f"created_at__{operator}": EPOCH.replace(tzinfo=None)})

    @promise("QU08")
    def test_naive_datetime_in_a_list_is_refused(self, store: Store) -> None:
        """Also where it stands beside aware ones."""
        with pytest.raises(InvalidQueryError, match="aware"):
            store.search_contexts({"updated_at__in": [EPOCH, EPOCH.replace(tzinfo=None)]})
