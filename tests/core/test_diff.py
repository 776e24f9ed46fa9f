"""Diffs of contexts, without a store."""

import attrs
import pytest

from context_core import ContextDiff, InvalidContextError, WorkflowContext
from context_core.diff import ABSENT, Change

BASE = WorkflowContext(workflow_id="w", epic_num=1, story_num=2, feature="f", workflow_name="n")


def between(before, after):
    """The diff between contexts of these metadata."""
    return ContextDiff.between(*(attrs.evolve(BASE, metadata=metadata) for metadata in (before, after)))


def test_equal_contexts_do_not_differ():
    """A version is no part of a context, nor is the order of keys."""
    diff = ContextDiff.between(BASE, attrs.evolve(BASE, version=7))
    assert (diff.changes, diff.patch, bool(diff), str(diff)) == ((), (), False, "")
    assert not between({"a": 1, "b": 2}, {"b": 2, "a": 1})


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ({}, {"k": None}, Change("metadata.k", ABSENT, None)),
        ({"k": None}, {}, Change("metadata.k", None, ABSENT)),
        ({"k": 1}, {"k": True}, Change("metadata.k", 1, True)),
        ({"k": 1}, {"k": 1.0}, Change("metadata.k", 1, 1.0)),
        ({"k": 0.0}, {"k": -0.0}, Change("metadata.k", 0.0, -0.0)),
        ({"k": []}, {"k": {}}, Change("metadata.k", [], {})),
        ({"k": [1, 2]}, {"k": [1, 3]}, Change("metadata.k[1]", 2, 3)),
        ({"k": [1]}, {"k": [1, []]}, Change("metadata.k[1]", ABSENT, [])),
        ({"k": [[1], {}]}, {"k": [[1]]}, Change("metadata.k[1]", {}, ABSENT)),
        ({"k": {"a": {"b": "x"}}}, {"k": {"a": {"b": "y"}}}, Change("metadata.k.a.b", "x", "y")),
    ],
)
def test_a_change_names_place_before_and_after(before, after, change):
    """One place, one change, and the values are of their very types."""
    diff = between(before, after)
    assert [repr(found) for found in diff.changes] == [repr(change)]
    assert diff


def test_changes_come_in_the_order_of_the_fields():
    """What is gone stands where it stood, what is new behind it."""
    after = attrs.evolve(BASE, epic_num=2, status="failed", metadata={"new": 1}, tags=["t"])
    diff = ContextDiff.between(attrs.evolve(BASE, metadata={"old": 1}), after)
    assert str(diff).splitlines() == [
        "~ epic_num: 1 -> 2",
        "~ status: 'running' -> 'failed'",
        "- metadata.old: 1",
        "+ metadata.new: 1",
        "+ tags[0]: 't'",
    ]
    assert repr(ABSENT) == "ABSENT"


def test_a_patch_is_what_the_standard_says():
    """Operations that any reader of RFC 6902 understands."""
    diff = between({"a/b": 1, "~": 2}, {"~": 3})
    assert sorted(diff.patch, key=str) == [
        {"op": "remove", "path": "/metadata/a~1b"},
        {"op": "replace", "path": "/metadata/~0", "value": 3},
    ]


def test_a_diff_applies_to_what_has_its_places():
    """Also to a third context, of a type of its own; the argument stays as it is."""

    @attrs.frozen(slots=False)
    class Mine(WorkflowContext):
        extra: int = 0

    mine = Mine(
        **{name: getattr(BASE, name) for name in ("workflow_id", "epic_num", "story_num")},
        feature="f",
        workflow_name="n",
        extra=5,
        metadata={"k": 1, "own": 2},
    )
    changed = between({"k": 1}, {"k": 3}).apply(mine)
    assert (type(changed), changed.extra, changed.metadata) == (Mine, 5, {"k": 3, "own": 2})
    assert mine.metadata == {"k": 1, "own": 2}


def test_a_diff_does_not_apply_where_its_places_are_missing():
    """It is not guessed what was meant."""
    with pytest.raises(InvalidContextError, match="starts from"):
        between({"k": {"a": 1}}, {"k": {}}).apply(BASE)


def test_a_diff_sees_fields_that_this_class_does_not_know():
    """A newer writer's fields are part of a document."""
    after = attrs.evolve(BASE, unknown_fields={"newer": 1})
    diff = ContextDiff.between(BASE, after)
    assert str(diff) == "+ newer: 1"
    assert diff.apply(BASE).unknown_fields == {"newer": 1}
