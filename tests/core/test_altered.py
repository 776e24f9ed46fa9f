"""A frozen context that was changed all the same is refused by saves, and not acknowledged and lost."""

from datetime import UTC, datetime

import pytest

from context_core import ContextPersistence, InvalidContextError, PhaseTransition, WorkflowContext

NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)


def a_context():
    return WorkflowContext(
        workflow_id="w",
        epic_num=1,
        story_num=None,
        feature="f",
        workflow_name="n",
        phase_history=[PhaseTransition(phase="p", timestamp=NOON)],
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("workflow_id", ""),
        ("workflow_id", "x" * 300),
        ("workflow_id", "\ud800"),
        ("workflow_id", None),
        ("epic_num", 0),
        ("epic_num", True),
        ("story_num", 2**63),
        ("feature", "a\0"),
        ("status", "done"),
        ("status", "running"),
        ("created_at", NOON.replace(tzinfo=None)),
        ("updated_at", "yesterday"),
        ("decisions", []),
        ("tags", [1]),
        ("tags", None),
        ("metadata", None),
        ("phase_history", None),
        ("phase_history", [{"phase": "p"}]),
        ("unknown_fields", None),
    ],
)
def test_an_altered_context_is_refused(field, value):
    """The error names the field, and nothing is written."""
    context = a_context()
    object.__setattr__(context, field, value)
    with ContextPersistence("memory://") as store:
        with pytest.raises(InvalidContextError):
            store.save_context(context)
        assert store.count_contexts() == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("phase", None),
        ("phase", "x" * 300),
        ("timestamp", NOON.replace(tzinfo=None)),
        ("timestamp", "yesterday"),
        ("duration", "long"),
        ("unknown_fields", None),
    ],
)
def test_an_altered_phase_is_refused(field, value):
    """Of what a context holds, too."""
    context = a_context()
    object.__setattr__(context.phase_history[0], field, value)
    with ContextPersistence("memory://") as store:
        with pytest.raises(InvalidContextError):
            store.save_context(context)
        assert store.count_contexts() == 0
