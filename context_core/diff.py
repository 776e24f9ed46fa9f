"""What is different between two contexts: readable place by place, and appliable as a JSON Patch (RFC 6902)."""

from collections.abc import Iterator
from typing import Any, Final, TypeVar

import attrs

from context_core._converter import encode
from context_core.errors import InvalidContextError
from context_core.model import WorkflowContext

C = TypeVar("C", bound=WorkflowContext)


class _Absent:
    """Stands for a place that is not there; None is a value."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()


@attrs.frozen
class Change:
    """One place (`decisions.db.choice`, `artifacts[2]`) with what it held and what it holds; ABSENT for nothing."""

    path: str
    before: Any
    after: Any

    def __str__(self) -> str:
        if self.before is ABSENT:
            return f"+ {self.path}: {self.after!r}"
        if self.after is ABSENT:
            return f"- {self.path}: {self.before!r}"
        return f"~ {self.path}: {self.before!r} -> {self.after!r}"


@attrs.frozen(kw_only=True)
class ContextDiff:
    """The way from one context to another. Empty, and false, where their documents are the same.

    Attributes:
        changes: Every difference, in the order of the fields, for people.
        patch: The operations of a JSON Patch, for programs; `apply` runs it.
    """

    changes: tuple[Change, ...]
    patch: tuple[dict[str, Any], ...]

    @classmethod
    def between(cls, before: WorkflowContext, after: WorkflowContext) -> "ContextDiff":
        """Compare the documents of two contexts; `version` is no part of them."""
        import jsonpatch  # noqa: PLC0415  # few stores are ever asked for a difference

        for context in (before, after):
            if not isinstance(context, WorkflowContext):
                problem = f"must be a WorkflowContext, not {type(context).__name__}"
                raise InvalidContextError(field="context", problem=problem)
            encode(context.to_dict())  # values that JSON does not hold have no difference that JSON Patch could tell
        old, new = before.to_dict(), after.to_dict()
        return cls(changes=tuple(_compare("", old, new)), patch=tuple(jsonpatch.make_patch(old, new).patch))

    def apply(self, context: C) -> C:
        """Return what *context* becomes: applied to the first of the two, it gives the second (VE11).

        Raises:
            InvalidContextError: *context* does not have the places that changed, or would be no context afterwards.
        """
        import jsonpatch  # noqa: PLC0415  # as above

        encode(context.to_dict())
        try:
            fields = jsonpatch.apply_patch(context.to_dict(), list(self.patch))
        except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
            problem = "does not have the places that changed: apply the difference to the version it starts from"
            raise InvalidContextError(field="context", problem=problem) from error
        return type(context).from_dict(fields)

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __str__(self) -> str:
        return "\n".join(map(str, self.changes))


def _compare(path: str, before: Any, after: Any) -> Iterator[Change]:
    if type(before) is type(after) is dict:
        for key in before | after:
            yield from _compare(f"{path}.{key}" if path else key, before.get(key, ABSENT), after.get(key, ABSENT))
    elif type(before) is type(after) is list:
        for place in range(max(len(before), len(after))):
            yield from _compare(f"{path}[{place}]", _item(before, place), _item(after, place))
    elif type(before) is not type(after) or repr(before) != repr(after):  # repr tells -0.0 from 0.0, == does not
        yield Change(path, before, after)


def _item(items: list[Any], place: int) -> Any:
    return items[place] if place < len(items) else ABSENT
