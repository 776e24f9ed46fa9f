"""Filters and orders: how they are written, and what they mean."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from context_core import InvalidQueryError, JsonPath, Status
from context_core.conditions import FIELDS, Condition, FieldKind, Operator
from context_core.query import parse_filters
from context_core_conformance.samples import EPOCH

FREE_FORM = [name for name, kind in FIELDS.items() if kind is FieldKind.FREE_FORM]
EAST = timezone(timedelta(hours=5))


def the_condition(key: Any, value: Any) -> Condition:
    (condition,) = parse_filters({key: value})
    return condition


def refusal(key: Any, value: Any = "x") -> str:
    with pytest.raises(InvalidQueryError) as caught:
        parse_filters({key: value})
    return str(caught.value)


class TestKeys:
    def test_no_filter_is_no_condition(self):
        """None and an empty mapping ask for everything."""
        assert parse_filters(None) == parse_filters({}) == ()

    def test_a_field_alone_means_equality(self):
        """The commonest question is the shortest."""
        assert the_condition("feature", "x") == Condition(field="feature", operator=Operator.EQ, value="x")

    @pytest.mark.parametrize("operator", ["lt", "lte", "gt", "gte", "ne", "prefix"])
    def test_an_operator_follows_two_underscores(self, operator):
        """As in other query languages of Python."""
        assert the_condition(f"feature__{operator}", "x").operator == operator

    def test_dots_lead_into_a_free_form_field(self):
        """One step a key."""
        condition = the_condition("decisions.db.choice__prefix", "sql")
        assert (condition.field, condition.path, condition.operator) == ("decisions", ("db", "choice"), "prefix")
        assert not condition.is_indexed

    def test_underscores_inside_a_path_are_part_of_a_key(self):
        """Only what follows the last dot can be an operator."""
        assert the_condition("decisions.a__b.c", 1).path == ("a__b", "c")

    def test_a_path_object_takes_keys_as_they_are(self):
        """Dots, underscores and brackets are nothing special in it."""
        condition = the_condition(JsonPath("metadata", "a.b", "c__gte", '["$'), 1)
        assert (condition.field, condition.path, condition.operator) == ("metadata", ("a.b", "c__gte", '["$'), "eq")

    def test_a_path_object_takes_an_operator_beside_it(self):
        """As a pair."""
        condition = the_condition((JsonPath("decisions", "a.b"), "gte"), 1)
        assert (condition.path, condition.operator) == (("a.b",), "gte")

    def test_a_whole_free_form_field_may_be_compared(self):
        """The path is empty."""
        assert the_condition("tags", ["a"]).path == the_condition("metadata", {"a": 1}).path == ()

    @pytest.mark.parametrize("key", ["nope", "", "__eq", "deleted_at", "phase_history", "unknown_fields.a", "Status"])
    def test_an_unknown_field_is_refused_by_name(self, key):
        """With the known ones (QU06)."""
        message = refusal(key)
        assert message.startswith("unknown field ")
        assert all(name in message for name in FIELDS)

    @pytest.mark.parametrize(
        "key", ["status__nope", "status__", "decisions.a__b", (JsonPath("decisions", "a"), "nope")]
    )
    def test_an_unknown_operator_is_refused_by_name(self, key):
        """With the known ones (QU06)."""
        message = refusal(key, "running")
        assert "unknown operator" in message
        assert "known are: " in message

    @pytest.mark.parametrize(
        "key", ["tags__gte", "tags__prefix", "tags__in", "epic_num__prefix", "status__contains", "created_at__prefix"]
    )
    def test_an_operator_that_makes_no_sense_is_refused(self, key):
        """Each kind of field has its own."""
        assert "unknown operator" in refusal(key)

    def test_an_indexed_field_has_no_inside(self):
        """Only free-form fields hold more than one value."""
        assert "cannot be looked into" in refusal("status.a")

    @pytest.mark.parametrize("key", [None, 1, ("status", "in"), (JsonPath("metadata", "a"),), b"status"])
    def test_a_key_of_another_kind_is_refused(self, key):
        """Text, a JsonPath, or a JsonPath with an operator."""
        assert "must be text or a JsonPath" in refusal(key)

    @pytest.mark.parametrize("filters", [[("status", "running")], "status", 5])
    def test_filters_are_a_mapping(self, filters):
        """Anything else is a slip."""
        with pytest.raises(InvalidQueryError, match="must be a mapping"):
            parse_filters(filters)

    @pytest.mark.parametrize("field", ["status", "tags", "nope"])
    def test_a_path_leads_into_free_form_fields_only(self, field):
        """The error names them."""
        with pytest.raises(InvalidQueryError, match=", ".join(FREE_FORM)):
            JsonPath(field, "a")

    def test_the_keys_of_a_path_are_text(self):
        """JSON has no others."""
        with pytest.raises(InvalidQueryError, match="must be str"):
            JsonPath("decisions", "a", 1)  # type: ignore[arg-type]  # the mistake under test


class TestValues:
    @pytest.mark.parametrize("value", ["true", 1, None])
    def test_isnull_takes_true_or_false(self, value):
        """No stand-in for them."""
        assert "takes True or False" in refusal("feature__isnull", value)

    @pytest.mark.parametrize("value", ["abc", b"abc", {"a": 1}, 5, None])
    def test_in_takes_a_list(self, value):
        """A text is not a list of its characters."""
        assert "takes a list" in refusal("feature__in", value)

    def test_in_takes_anything_that_can_be_gone_through(self):
        """Once."""
        assert the_condition("feature__in", (letter for letter in "ab")).value == ("a", "b")

    def test_in_takes_none_too(self):
        """It stands for what is absent (QU02)."""
        assert the_condition("story_num__in", [None, 1]).value == (None, 1)

    @pytest.mark.parametrize("operator", ["lt", "lte", "gt", "gte", "prefix"])
    def test_nothing_is_less_or_more_than_none(self, operator):
        """The error says what to use instead."""
        assert "use feature__isnull" in refusal(f"feature__{operator}", None)

    @pytest.mark.parametrize("key", ["feature__prefix", "decisions.a__prefix"])
    def test_a_prefix_is_text(self, key):
        """Numbers have none."""
        assert "takes text" in refusal(key, 1)

    @pytest.mark.parametrize("value", ["a", 5, {"a"}, None])
    def test_tags_equal_a_list(self, value):
        """The error says how to ask for one tag (QU05)."""
        assert "use tags__contains" in refusal("tags", value)

    def test_tags_contain_a_text(self):
        """One of them (QU05)."""
        assert the_condition("tags__contains", "a").value == "a"
        assert "compares with text" in refusal("tags__contains", 1)

    def test_tags_are_compared_as_texts(self):
        """Item by item."""
        assert the_condition("tags", ["a", "b"]).value == ("a", "b")
        assert "compares with text" in refusal("tags", ["a", 1])

    @pytest.mark.parametrize("value", [EPOCH.replace(tzinfo=None), "2025-01-02", 5, EPOCH.date()])
    def test_times_compare_with_aware_datetimes(self, value):
        """Naive ones are refused (QU08)."""
        assert "aware datetime" in refusal("created_at__gte", value)

    def test_times_of_any_zone_are_asked_for_in_utc(self):
        """The same moment."""
        value = the_condition("created_at", EPOCH.astimezone(EAST)).value
        assert value == EPOCH
        assert value.tzinfo is UTC

    @pytest.mark.parametrize(
        "value", [datetime.min.replace(tzinfo=EAST), datetime.max.replace(tzinfo=timezone(-timedelta(hours=5)))]
    )
    def test_a_time_beyond_the_calendar_is_refused(self, value):
        """It has no form in UTC."""
        assert "years 1 to 9999" in refusal("updated_at__lt", value)

    @pytest.mark.parametrize("value", [pytest.param(10**5000, id="huge"), 2**63, -(2**63) - 1, 1.0, True, "1"])
    def test_numbers_compare_with_64_bit_ints(self, value):
        """What could never be equal is a slip."""
        assert "64-bit int" in refusal("epic_num", value)

    @pytest.mark.parametrize("value", [0, -(2**63), 2**63 - 1, None])
    def test_any_64_bit_int_may_be_asked_for(self, value):
        """Also one that no context has."""
        assert the_condition("epic_num", value).value == value

    @pytest.mark.parametrize("value", [1, b"a", ["a"]])
    def test_text_compares_with_text(self, value):
        """Nothing is turned into text."""
        assert "compares with text" in refusal("feature", value)

    def test_a_lone_surrogate_is_refused(self):
        """No stored text holds one."""
        assert "lone surrogate" in refusal("feature", "\ud800")

    def test_a_status_may_be_a_member(self):
        """It is carried as plain text."""
        value = the_condition("status", Status.FAILED).value
        assert (type(value), value) == (str, "failed")

    @pytest.mark.parametrize("key", ["status", "status__ne"])
    def test_an_unknown_status_is_refused_by_name(self, key):
        """It would match nothing for ever."""
        assert "unknown status 'done'; known are: running, completed, failed, paused" in refusal(key, "done")

    def test_an_unknown_status_in_a_list_is_refused(self):
        """As on its own."""
        assert "unknown status" in refusal("status__in", ["running", "done"])

    @pytest.mark.parametrize("value", [EPOCH, EPOCH.replace(tzinfo=None)])
    def test_free_form_fields_know_no_times(self, value):
        """They hold what JSON holds; the error says what to compare with."""
        assert "text that was stored" in refusal("metadata.at__gte", value)

    @pytest.mark.parametrize("value", [{1}, (1,), float("nan"), {1: 2}, "\ud800", 2**64, b"a"])
    def test_free_form_fields_compare_with_json_values(self, value):
        """As they are stored."""
        assert "compares with JSON values" in refusal("metadata.a", value)

    def test_a_condition_holds_no_one_elses_list(self):
        """What the caller changes later changes no query."""
        wanted = [{"a": 1}]
        condition = the_condition("metadata.a", wanted)
        wanted[0]["a"] = 2
        assert condition.value == [{"a": 1}]
