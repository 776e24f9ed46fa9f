"""The short way to a loaded context gives what the long one gives, or steps aside."""

import copy
import struct
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from context_core import InvalidContextError, WorkflowContext
from context_core.model import rebuild
from context_core_conformance.samples import EPOCH, a_context

NAMES = tuple(a_context().to_dict())
MOMENTS = st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat)
ODD_TIMES = st.sampled_from(
    [
        "2025-01-02T03:04:05.678901",
        "2025-01-02T03:04:05Z",
        "2025-01-02T03:04:05-05:30",
        "2025-01-02T03:04:05+00:00",
        "2025-01-02 03:04:05.5+00:00",
        "2025-01-02",
        "20250102T030405Z",
        "0001-01-01T00:00:00+05:00",
        "9999-12-31T23:59:59-05:00",
        "2025-13-02T03:04:05+00:00",
        "2025-01-02T03:04:05.123456789+00:00",
        "2025-W01-4T03:04:05+00:00",
        "2025-01-02\x0003:04:05+00:00",
        "soon",
        "",
    ]
)
PLAIN = st.text(st.characters(codec="ascii", exclude_characters="\0"), min_size=1, max_size=12)
ODD_TEXTS = st.sampled_from(
    ["", "é", "\0", "a\0b", "a" * 255, "a" * 256, "é" * 255, "é" * 256, "😀" * 255, "\u202e", "running", "done"]
)
NUMBERS = st.sampled_from([1, 2, 0, -1, 2**53, 2**63 - 1, 2**63, 2**64 - 1, 1.0, True, False])
JSON = st.recursive(
    st.none()
    | st.booleans()
    | NUMBERS
    | st.floats(allow_nan=False, allow_infinity=False)
    | PLAIN
    | ODD_TEXTS
    | MOMENTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN, inner, max_size=3),
    max_leaves=6,
)
TRANSITIONS = st.fixed_dictionaries(
    {
        "phase": PLAIN,
        "timestamp": MOMENTS,
        "duration": st.none() | st.integers(0, 10**9) | st.floats(allow_nan=False, allow_infinity=False),
    }
)
USUAL = st.fixed_dictionaries(
    {
        "workflow_id": PLAIN,
        "epic_num": st.integers(1, 2**63 - 1),
        "story_num": st.none() | st.integers(1, 2**63 - 1),
        "feature": PLAIN,
        "workflow_name": PLAIN,
        "current_phase": PLAIN,
        "phase_history": st.lists(TRANSITIONS, max_size=3),
        "decisions": st.dictionaries(PLAIN, JSON, max_size=3),
        "artifacts": st.lists(JSON, max_size=3),
        "errors": st.lists(JSON, max_size=3),
        "status": st.sampled_from(["running", "completed", "failed", "paused"]),
        "created_at": MOMENTS,
        "updated_at": MOMENTS,
        "metadata": st.dictionaries(PLAIN, JSON, max_size=3),
        "tags": st.lists(PLAIN, max_size=3),
    }
)
ODD = JSON | ODD_TEXTS | ODD_TIMES | NUMBERS


@st.composite
def unusual(draw: st.DrawFn) -> dict[str, Any]:
    """A usual document to which something was done."""
    fields: dict[str, Any] = copy.deepcopy(dict(draw(USUAL)))
    for _ in range(draw(st.integers(1, 3))):
        act = draw(st.sampled_from(["replace", "remove", "add", "reorder", "transition", "item"]))
        if act == "replace":
            fields[draw(st.sampled_from(NAMES))] = draw(ODD)
        elif act == "remove":
            fields.pop(draw(st.sampled_from(NAMES)), None)
        elif act == "add":
            fields[draw(PLAIN | st.sampled_from(["version", "unknown_fields", "schema", "__dict__"]))] = draw(ODD)
        elif act == "reorder":
            fields = {name: fields[name] for name in draw(st.permutations(list(fields)))}
        elif act == "transition" and type(fields.get("phase_history")) is list:
            transition: Any = draw(TRANSITIONS)
            change = draw(st.sampled_from(["phase", "timestamp", "duration", "extra", "missing", "whole"]))
            if change == "missing":
                transition = {"phase": transition["phase"], "timestamp": transition["timestamp"]}
            elif change == "whole":
                transition = draw(ODD)
            else:
                transition = {**dict(transition), change: draw(ODD)}
            fields["phase_history"] = [*fields["phase_history"], transition]
        elif act == "item" and type(fields.get("tags")) is list:
            fields["tags"] = [*fields["tags"], draw(ODD)]
    return fields


def exact(value: Any) -> Any:
    """A stand-in whose equality means: the same classes all the way down, and the same bits."""
    if attrs.has(type(value)):
        return (type(value), {field.name: exact(getattr(value, field.name)) for field in attrs.fields(type(value))})
    if isinstance(value, dict):
        return (type(value), [(key, exact(item)) for key, item in value.items()])
    if isinstance(value, list):
        return (type(value), [exact(item) for item in value])
    if isinstance(value, float):
        return (type(value), struct.pack(">d", value))
    if isinstance(value, datetime):
        return (type(value), value.isoformat(), value.tzinfo is UTC)
    return (type(value), value)


def assert_both_ways_agree(fields: dict[str, Any]) -> None:
    given_fields = copy.deepcopy(fields)
    quick = rebuild(given_fields, 7)
    if quick is None:
        assert exact(given_fields) == exact(fields), "it stepped aside, but not without a trace"
        return
    assert exact(quick) == exact(WorkflowContext.from_dict(copy.deepcopy(fields), version=7))
    assert quick == WorkflowContext.from_dict(copy.deepcopy(fields))
    assert vars(quick).keys() == set(attrs.fields_dict(WorkflowContext))


@given(USUAL)
def test_a_usual_document_takes_the_short_way(fields):
    """Otherwise the short way would be there for nothing."""
    assert rebuild(copy.deepcopy(fields), 7) is not None
    assert_both_ways_agree(fields)


@given(unusual())
@example({**a_context().to_dict(), "status": []})
@example({**a_context().to_dict(), "status": {}})
@example({**a_context().to_dict(), "tags": ""})
@example({**a_context().to_dict(), "tags": {}})
@example({**a_context().to_dict(), "phase_history": ""})
@example({**a_context().to_dict(), "phase_history": {}})
@example({**a_context().to_dict(), "phase_history": [["phase", "timestamp", "duration"]]})
@example({**a_context().to_dict(), "phase_history": [{"phase": "é", "timestamp": EPOCH.isoformat(), "duration": 1}]})
@example({**a_context().to_dict(), "phase_history": [{"phase": "a", "timestamp": EPOCH.isoformat(), "x": 1}]})
def test_an_unusual_document_is_judged_alike_on_both_ways(fields):
    """Extra, missing or moved fields, wrong types, odd texts and times: the same context, or left to the long way."""
    assert_both_ways_agree(fields)


@given(unusual())
def test_what_the_long_way_refuses_the_short_way_leaves_alone(fields):
    """There is one place that words the errors."""
    try:
        WorkflowContext.from_dict(copy.deepcopy(fields))
    except InvalidContextError:
        refused = True
    else:
        refused = False
    assume(refused)
    assert rebuild(copy.deepcopy(fields), 7) is None


@pytest.mark.parametrize("name", NAMES)
def test_a_field_that_is_missing_is_left_to_the_long_way(name):
    """Defaults and errors are its business."""
    fields = a_context().to_dict()
    del fields[name]
    assert rebuild({**fields, "other": 1}, 7) is None


def test_moved_fields_may_take_the_short_way():
    """The order of a document says nothing."""
    fields = dict(reversed(a_context(tags=["x"]).to_dict().items()))
    context = WorkflowContext.from_dict(copy.deepcopy(fields), version=7)
    assert exact(rebuild(fields, 7) or context) == exact(context)


def test_a_context_made_the_short_way_is_frozen():
    """It is in no way second class."""
    context = rebuild(a_context().to_dict(), 7)
    assert context is not None
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        context.version = 8  # type: ignore[misc]  # the mistake under test
    assert context.copy_with(feature="x").to_dict()["feature"] == "x"
