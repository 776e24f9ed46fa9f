"""What a call gave, in a form that can be compared: a result to the last type, or an error's class and facts."""

from collections.abc import Callable
from typing import Any, Final

import attrs

from context_core import ContextCoreError, WorkflowContext

_WORDING: Final = frozenset({"wanted", "problem"})
"""Facts that are sentences, in words of the facade's own."""


@attrs.frozen
class Answer:
    """A call that went well."""

    value: Any


@attrs.frozen
class Refusal:
    """A call that was refused."""

    kind: type[ContextCoreError]
    facts: dict[str, Any]


def outcome_of(action: Callable[[], object]) -> Answer | Refusal:
    """Do *action* and tell what came of it; what is no error of ours passes through."""
    try:
        return Answer(exact(action()))
    except ContextCoreError as error:
        return Refusal(type(error), {name: fact for name, fact in vars(error).items() if name not in _WORDING})


def exact(value: Any) -> Any:
    """*value* with each context as its version and JSON text: `==` takes 1 for True, and leaves the version out."""
    if isinstance(value, WorkflowContext):
        return value.version, value.to_json()
    if isinstance(value, list | tuple):
        return [exact(item) for item in value]
    return value
