"""The state of a workflow as a value."""

import copy
import pickle
import zoneinfo
from datetime import UTC, datetime, timedelta, timezone

import attrs
import pytest

from context_core import (
    InvalidContextError,
    PhaseTransition,
    Status,
    UnserializableValueError,
    WorkflowContext,
)
from context_core_conformance.samples import EPOCH, a_context

LATER = EPOCH + timedelta(seconds=90)
REQUIRED = ("workflow_id", "epic_num", "story_num", "feature", "workflow_name")


class Text(str):
    __slots__ = ()


def refusal(make, *arguments, **fields):
    with pytest.raises(InvalidContextError) as caught:
        make(*arguments, **fields)
    return caught.value


class TestConstruction:
    def test_five_fields_are_enough(self):
        """All others have the story's defaults."""
        context = WorkflowContext("order-7", 1, 2, "checkout", "implement_story")
        assert (context.current_phase, context.status, context.version) == ("initialization", "running", 0)
        assert context.phase_history == context.artifacts == context.errors == context.tags == []
        assert context.decisions == context.metadata == context.unknown_fields == {}

    def test_fields_stand_in_the_documented_order(self):
        """Positional arguments and documents follow it."""
        assert list(attrs.fields_dict(WorkflowContext))[:15] == [
            *REQUIRED, "current_phase", "phase_history", "decisions", "artifacts", "errors", "status", "created_at",
            "updated_at", "metadata", "tags",
        ]  # fmt: skip

    def test_a_new_context_was_updated_when_it_was_created(self):
        """Both times are one reading of the clock, aware and in UTC."""
        context = WorkflowContext("a", 1, None, "f", "w")
        assert context.updated_at == context.created_at
        assert context.created_at.tzinfo is UTC

    def test_it_is_frozen(self):
        """A field is changed in a copy."""
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            a_context().status = "failed"  # type: ignore[misc, assignment]  # the mistake under test

    def test_it_has_no_hash(self):
        """It holds lists and dicts."""
        with pytest.raises(TypeError, match="unhashable"):
            hash(a_context())

    def test_the_version_takes_no_part_in_equality(self):
        """Content is compared, not where it was stored."""
        assert a_context() == a_context(version=7)

    def test_no_two_contexts_share_a_default(self):
        """A list of one is not a list of the other."""
        first, second = a_context(), a_context()
        first.tags.append("x")
        assert second.tags == []

    @pytest.mark.parametrize("given", ["paused", Status.PAUSED])
    def test_a_status_is_the_member_however_it_comes(self, given):
        """By construction, copy, a dict or JSON; it equals its text, and dicts and JSON hold the plain text."""
        context = a_context(status=given)
        dicts = [context.to_dict(), {**context.to_dict(), "status": given}]
        for found in (
            context,
            a_context().copy_with(status=given, updated_at=context.updated_at),
            attrs.evolve(a_context(), status=given),
            pickle.loads(pickle.dumps(context)),
            *map(WorkflowContext.from_dict, dicts),
            WorkflowContext.from_json(context.to_json()),
        ):
            assert found.status is Status.PAUSED
            assert found == context
        assert context.status == "paused"
        assert a_context().status is Status.RUNNING
        assert type(context.to_dict()["status"]) is str
        assert '"status":"paused"' in context.to_json()

    @pytest.mark.parametrize("status", [status.value for status in Status])
    def test_every_status_is_accepted(self, status):
        """Running, completed, failed and paused."""
        assert a_context(status=status).status == status

    @pytest.mark.parametrize("status", ["", "RUNNING", "done", None, 1, [], {}, Text("running")])
    def test_any_other_status_is_refused(self, status):
        """Whatever its type; the error names the known ones."""
        error = refusal(a_context, status=status)
        assert error.field == "status"
        assert "running, completed, failed, paused" in error.problem

    @pytest.mark.parametrize("field", ["workflow_id", "feature", "workflow_name", "current_phase"])
    @pytest.mark.parametrize("value", [None, 1, b"a", Text("a"), "a\0", "a\ud800", "\udfff", "a" * 256, "é" * 256])
    def test_indexed_text_has_limits(self, field, value):
        """Plain str, no NUL, no lone surrogate, at most 255 characters (RT05)."""
        assert refusal(a_context, **{field: value}).field == field

    @pytest.mark.parametrize("value", ["a" * 255, "é" * 255, "😀" * 255, "a/b%_ . ..\n\t", "\u202e"])
    @pytest.mark.parametrize("field", ["workflow_id", "feature", "workflow_name", "current_phase"])
    def test_indexed_text_may_be_anything_else(self, field, value):
        """Up to 255 characters, however many bytes."""
        assert getattr(a_context(**{field: value}), field) == value

    def test_an_empty_id_is_refused(self):
        """It would name nothing (RT13)."""
        assert refusal(a_context, workflow_id="").problem == "must not be empty"

    @pytest.mark.parametrize("field", ["feature", "workflow_name", "current_phase"])
    def test_other_text_may_be_empty(self, field):
        """Only an id has to tell."""
        assert getattr(a_context(**{field: ""}), field) == ""

    @pytest.mark.parametrize("field", ["epic_num", "story_num"])
    @pytest.mark.parametrize("value", [0, -1, 2**63, pytest.param(10**5000, id="huge"), True, 1.0, "1"])
    def test_numbers_are_positive_and_of_64_bits(self, field, value):
        """Any other, and what only looks like a number, is refused."""
        assert refusal(a_context, **{field: value}).field == field

    def test_an_epic_number_is_needed(self):
        """Only the story may be None."""
        assert refusal(a_context, epic_num=None).field == "epic_num"

    @pytest.mark.parametrize("number", [1, 2**31, 2**53, 2**63 - 1])
    def test_any_positive_64_bit_number_will_do(self, number):
        """Up to the largest."""
        context = a_context(epic_num=number, story_num=number)
        assert (context.epic_num, context.story_num) == (number, number)

    @pytest.mark.parametrize("field", ["phase_history", "artifacts", "errors", "tags"])
    @pytest.mark.parametrize("value", [None, (), {}, "ab", type("Items", (list,), {})()])
    def test_lists_are_lists(self, field, value):
        """No subclass, which would not come back."""
        assert refusal(a_context, **{field: value}).field == field

    @pytest.mark.parametrize("field", ["decisions", "metadata", "unknown_fields"])
    @pytest.mark.parametrize("value", [None, [], "ab", type("Table", (dict,), {})()])
    def test_dicts_are_dicts(self, field, value):
        """No subclass, which would not come back."""
        assert refusal(a_context, **{field: value}).field == field

    @pytest.mark.parametrize("tag", [None, 1, b"a", Text("a"), []])
    def test_tags_are_text(self, tag):
        """Each of them."""
        assert refusal(a_context, tags=["a", tag]).field == "tags"

    @pytest.mark.parametrize("field", ["created_at", "updated_at"])
    @pytest.mark.parametrize(
        "value",
        [
            None,
            "2025-01-02T03:04:05+00:00",
            EPOCH.date(),
            EPOCH.replace(tzinfo=None),
            datetime.min.replace(tzinfo=timezone(timedelta(hours=5))),
            datetime.max.replace(tzinfo=timezone(-timedelta(hours=5))),
        ],
    )
    def test_times_are_aware_datetimes(self, field, value):
        """Of the years 1 to 9999 in UTC; naive ones are refused (RT09)."""
        assert refusal(a_context, **{field: value}).field == field

    @pytest.mark.parametrize(
        "zone", [timezone(timedelta(hours=-5, minutes=-30)), zoneinfo.ZoneInfo("UTC"), timezone(timedelta(seconds=1))]
    )
    def test_times_of_any_zone_become_utc(self, zone):
        """They stay the same moment (RT09)."""
        context = a_context(created_at=EPOCH.astimezone(zone), updated_at=LATER.astimezone(zone))
        assert (context.created_at, context.updated_at) == (EPOCH, LATER)
        assert context.created_at.tzinfo is context.updated_at.tzinfo is UTC

    @pytest.mark.parametrize("duration", ["1", True, timedelta(1)])
    def test_a_duration_is_a_number_of_seconds(self, duration):
        """Or None."""
        error = refusal(PhaseTransition, phase="a", timestamp=EPOCH, duration=duration)
        assert error.field == "duration"

    def test_a_transition_checks_phase_and_time(self):
        """As a context does."""
        assert refusal(PhaseTransition, phase=1, timestamp=EPOCH).field == "phase"
        assert refusal(PhaseTransition, phase="a", timestamp=EPOCH.replace(tzinfo=None)).field == "timestamp"

    def test_it_can_be_pickled_and_copied(self):
        """Engines pass contexts between processes."""
        context = a_context(version=3).transition_phase("next", at=LATER)
        for other in (pickle.loads(pickle.dumps(context)), copy.deepcopy(context)):
            assert other == context
            assert other.version == 3


class TestVerbs:
    def test_a_story_has_an_id(self):
        """Epic and story, joined by a dot."""
        assert a_context(epic_num=3, story_num=7).story_id == "3.7"

    def test_an_epic_has_an_id(self):
        """Its number alone."""
        assert a_context(epic_num=3, story_num=None).story_id == "3"

    def test_copy_with_changes_a_copy(self):
        """The original stays as it was."""
        context = a_context()
        other = context.copy_with(feature="refund", updated_at=LATER)
        assert (context.feature, other.feature, other.updated_at) == ("checkout", "refund", LATER)

    def test_copy_with_sets_the_time(self):
        """Unless it is given."""
        assert a_context().copy_with(feature="refund").updated_at > EPOCH

    def test_copy_with_keeps_version_and_unknown_fields(self):
        """They ride along."""
        context = a_context(version=4, unknown_fields={"later": 1}).copy_with(feature="x")
        assert (context.version, context.unknown_fields) == (4, {"later": 1})

    def test_copy_with_refuses_an_unknown_field(self):
        """A slip of the pen is no metadata."""
        error = refusal(a_context().copy_with, statsu="failed", b=1)
        assert error.field == "b, statsu"
        assert "no field of WorkflowContext" in error.problem

    def test_copy_with_checks_what_it_sets(self):
        """As construction does."""
        assert refusal(a_context().copy_with, status="done").field == "status"

    @pytest.mark.parametrize(
        ("verb", "arguments", "field", "expected"),
        [
            ("add_decision", ("db", "sqlite"), "decisions", {"a": 1, "db": "sqlite"}),
            ("add_artifact", ("b.py",), "artifacts", ["a.py", "b.py"]),
            ("add_error", ({"m": 1},), "errors", ["e", {"m": 1}]),
        ],
    )
    def test_an_addition_shows_only_in_the_copy(self, verb, arguments, field, expected):
        """The original's list or dict is not touched."""
        context = a_context(decisions={"a": 1}, artifacts=["a.py"], errors=["e"])
        before = copy.deepcopy(getattr(context, field))
        changed = getattr(context, verb)(*arguments)
        assert getattr(changed, field) == expected
        assert getattr(context, field) == before
        assert changed.updated_at > context.updated_at

    def test_a_decision_replaces_one_of_its_name(self):
        """There is one decision a name."""
        assert a_context(decisions={"db": "x"}).add_decision("db", "y").decisions == {"db": "y"}

    def test_a_transition_records_the_phase_that_is_left(self):
        """With the time it was left and the seconds since the creation."""
        context = a_context(current_phase="plan").transition_phase("build", at=LATER)
        assert context.current_phase == "build"
        assert context.phase_history == [PhaseTransition(phase="plan", timestamp=LATER, duration=90.0)]
        assert context.updated_at == LATER

    def test_a_second_transition_counts_from_the_first(self):
        """A phase began when the one before it was left."""
        context = a_context().transition_phase("b", at=LATER).transition_phase("c", at=LATER + timedelta(seconds=5))
        assert [(left.phase, left.duration) for left in context.phase_history] == [("initialization", 90.0), ("b", 5.0)]

    def test_a_transition_takes_the_clock_by_default(self):
        """Now, in UTC."""
        (left,) = a_context().transition_phase("b").phase_history
        assert left.timestamp > EPOCH
        assert left.timestamp.tzinfo is UTC

    def test_a_clock_that_went_back_gives_no_duration(self):
        """A negative number of seconds would say nothing."""
        (left,) = a_context().transition_phase("b", at=EPOCH - timedelta(seconds=1)).phase_history
        assert left.duration is None

    def test_a_transition_at_a_naive_time_is_refused(self):
        """The error names the argument."""
        assert refusal(a_context().transition_phase, "b", at=EPOCH.replace(tzinfo=None)).field == "at"


class TestDocuments:
    def test_a_dict_comes_back(self):
        """As an equal context."""
        context = a_context(decisions={"a": [1, {"b": None}]}, tags=["x"]).transition_phase("b", at=LATER)
        assert WorkflowContext.from_dict(context.to_dict()) == context

    def test_a_dict_holds_json_values_in_field_order(self):
        """Times as text, transitions as dicts; neither the version nor what it rides with."""
        fields = a_context(version=5).transition_phase("b", at=LATER).to_dict()
        assert list(fields) == list(attrs.fields_dict(WorkflowContext))[:15]
        assert fields["created_at"] == "2025-01-02T03:04:05.678901+00:00"
        assert fields["phase_history"] == [
            {"phase": "initialization", "timestamp": "2025-01-02T03:05:35.678901+00:00", "duration": 90.0}
        ]

    def test_unknown_fields_come_last_and_come_back(self):
        """They are a newer writer's (RT14)."""
        fields = a_context(unknown_fields={"later": [1]}).to_dict()
        assert list(fields)[-1] == "later"
        assert WorkflowContext.from_dict(fields).unknown_fields == {"later": [1]}

    def test_the_version_is_given_beside_the_dict(self):
        """It is no part of the content."""
        assert WorkflowContext.from_dict(a_context().to_dict(), version=9).version == 9

    def test_reading_does_not_change_the_dict(self):
        """It is the caller's."""
        fields = a_context().transition_phase("b", at=LATER).to_dict()
        before = copy.deepcopy(fields)
        WorkflowContext.from_dict(fields)
        assert fields == before

    def test_optional_fields_may_be_missing(self):
        """Their defaults stand in."""
        fields = a_context().to_dict()
        assert WorkflowContext.from_dict({name: fields[name] for name in REQUIRED}).decisions == {}

    @pytest.mark.parametrize("name", REQUIRED)
    def test_a_missing_field_is_named(self, name):
        """Those without a default are needed."""
        fields = a_context().to_dict()
        del fields[name]
        error = refusal(WorkflowContext.from_dict, fields)
        assert (error.field, error.problem) == (name, "is missing")

    @pytest.mark.parametrize("fields", [None, [], "text", 5])
    def test_what_is_no_dict_is_refused(self, fields):
        """The field is the whole."""
        assert refusal(WorkflowContext.from_dict, fields).field == "$"

    @pytest.mark.parametrize("value", ["", "ab", {}, {"a": 1}, None, 5])
    @pytest.mark.parametrize("name", ["tags", "phase_history"])
    def test_a_list_is_never_made_of_something_else(self, name, value):
        """A text is not a list of its characters."""
        assert refusal(WorkflowContext.from_dict, {**a_context().to_dict(), name: value}).field == name

    def test_a_bad_item_is_named_by_its_place(self):
        """So that it can be found."""
        fields = a_context().to_dict() | {"phase_history": [{"phase": "a", "timestamp": "soon", "duration": None}]}
        assert refusal(WorkflowContext.from_dict, fields).field == "phase_history[0].timestamp"

    def test_json_comes_back(self):
        """As an equal context, from text and from bytes."""
        context = a_context(decisions={"é": 1.0}).transition_phase("b", at=LATER)
        assert WorkflowContext.from_json(context.to_json()) == context
        assert WorkflowContext.from_json(context.to_json().encode()) == context

    def test_json_is_exact_or_refused(self):
        """As a save is."""
        with pytest.raises(UnserializableValueError):
            a_context(decisions={"a": (1,)}).to_json()

    @pytest.mark.parametrize("text", ["", "{", "nan", "\ud800", b"\xff"])
    def test_what_is_not_json_is_refused(self, text):
        """The cause is the parser's."""
        error = refusal(WorkflowContext.from_json, text)
        assert error.field == "$"
        assert error.__cause__ is not None

    def test_json_of_something_else_is_refused(self):
        """A list is no context."""
        assert refusal(WorkflowContext.from_json, "[]").field == "$"


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("epic_num", "1", "expected int, not str"),
        ("created_at", 5, "expected a time as text, not int"),
        ("created_at", "x" * 10_000, "is no time as ISO 8601 has it: 'xxx"),
        ("status", 5, "must be one of running, completed, failed, paused, not 5"),
        ("tags", "x", "expected list, not str"),
    ],
)
def test_a_field_that_does_not_fit_is_told_in_our_words(field, value, problem):
    """Not in those of the standard library or of cattrs."""
    error = refusal(WorkflowContext.from_dict, {**a_context().to_dict(), field: value})
    assert error.field == field
    assert error.problem.startswith(problem)
    assert len(error.problem) < 200
