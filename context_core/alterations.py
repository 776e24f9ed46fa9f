"""Frozen contexts that were changed all the same, by `object.__setattr__`: saves refuse them."""

from datetime import UTC, datetime

import attrs

from context_core.errors import InvalidContextError
from context_core.model import MAX_TEXT, SECONDS_OR_NONE, PhaseTransition, Status, WorkflowContext, is_plain


def check_unaltered(context: WorkflowContext) -> None:
    """Refuse a context that was changed, though it is frozen, so that its constructor would refuse it.

    What nobody changed passes a look at each field, which costs a fraction of what the validators do.

    Raises:
        InvalidContextError: A field of it, or of a finished phase, breaks its rule; the error names it.
    """
    fields = context.__dict__
    try:
        created_at, updated_at, history = fields["created_at"], fields["updated_at"], fields["phase_history"]
        if (
            is_plain(fields)
            and type(fields["status"]) is Status
            and type(fields["unknown_fields"]) is dict
            and isinstance(created_at, datetime)
            and created_at.tzinfo is UTC
            and isinstance(updated_at, datetime)
            and updated_at.tzinfo is UTC
            and (not history or _are_unaltered(history))
        ):
            return
    except (KeyError, TypeError, AttributeError):
        pass  # the validators name the field
    for field in attrs.fields(WorkflowContext):
        if not hasattr(context, field.name):
            raise InvalidContextError(field=field.name, problem="is missing")
    attrs.validate(context)
    _check_utc("created_at", context.created_at)
    _check_utc("updated_at", context.updated_at)
    for transition in context.phase_history:
        if not isinstance(transition, PhaseTransition):
            problem = f"must hold PhaseTransitions, not {type(transition).__name__}"
            raise InvalidContextError(field="phase_history", problem=problem)
        attrs.validate(transition)
        _check_utc("phase_history", transition.timestamp)


def _is_utc(value: object) -> bool:
    return isinstance(value, datetime) and value.tzinfo is UTC


def _check_utc(field: str, value: object) -> None:
    if not _is_utc(value):
        raise InvalidContextError(field=field, problem="was changed to what is no time in UTC")


def _are_unaltered(history: list[object]) -> bool:
    """Look at all phases in one loop: a long history is looked at again at each save."""
    for transition in history:
        if type(transition) is not PhaseTransition:
            return False
        fields = transition.__dict__
        phase, timestamp = fields["phase"], fields["timestamp"]
        if not (
            type(phase) is str
            and len(phase) <= MAX_TEXT
            and "\0" not in phase
            and isinstance(timestamp, datetime)
            and timestamp.tzinfo is UTC
            and type(fields["duration"]) in SECONDS_OR_NONE
            and type(fields["unknown_fields"]) is dict
        ):
            return False
    return True
