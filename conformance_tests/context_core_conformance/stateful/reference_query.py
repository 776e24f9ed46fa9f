"""What a query means, said a second time: slow, obvious, and written from the table in `context_core.query` alone.

Values are brought into a form in which Python's own comparison is the table's; nothing is shared with the evaluator
that drivers lean on, so that a slip in either shows.
"""

import functools
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, Final, NamedTuple

import attrs

from context_core import JsonPath, WorkflowContext

FREE_FORM: Final = ("decisions", "artifacts", "errors", "metadata")
ORDERED_KINDS: Final = ("number", "text", "time")


@attrs.frozen
class Clause:
    """One thing asked of a context: a field, keys below it where it is free-form, an operator, a value."""

    field: str
    operator: str
    value: Any
    keys: tuple[str, ...] = ()

    @property
    def filter_key(self) -> str | tuple[JsonPath, str]:
        """The key that says the same to `search_contexts`."""
        if self.field in FREE_FORM:
            return (JsonPath(self.field, *self.keys), self.operator)
        return f"{self.field}__{self.operator}"


@attrs.frozen
class Head:
    """The newest version of a workflow, with the time its first version was created at."""

    context: WorkflowContext
    version: int
    created_at: datetime

    def value(self, field: str, keys: Sequence[str] = ()) -> Any:
        """What the field holds, or what the keys lead to below it; None where nothing is."""
        if field in ("version", "created_at"):
            return getattr(self, field)
        value = getattr(self.context, field)
        for key in keys:
            if not isinstance(value, dict) or key not in value:
                return None
            value = value[key]
        return value


def heads(contexts: Iterable[WorkflowContext], versions: Iterable[int]) -> list[Head]:
    """The heads that saving *contexts* in this order leaves, *versions* being what the saves gave."""
    found: dict[str, Head] = {}
    for context, version in zip(contexts, versions, strict=True):
        first = found.get(context.workflow_id)
        created_at = context.created_at if first is None else first.created_at
        found[context.workflow_id] = Head(context, version, created_at)
    return list(found.values())


def select(
    candidates: Iterable[Head],
    clauses: Iterable[Clause] = (),
    order: Sequence[str] = (),
    limit: int | None = None,
    offset: int = 0,
) -> list[str]:
    """The workflow ids that a search gives, in its order."""
    clauses = list(clauses)
    found = [head for head in candidates if all(meets(head, clause) for clause in clauses)]
    terms = list(order) or ["-created_at", "-workflow_id"]
    if "workflow_id" not in terms and "-workflow_id" not in terms:
        terms.append("workflow_id")
    found.sort(key=functools.cmp_to_key(functools.partial(_compare_heads, terms)))
    ids = [head.context.workflow_id for head in found][offset:]
    return ids if limit is None else ids[:limit]


def meets(head: Head, clause: Clause) -> bool:
    """Whether the head is as the clause asks."""
    held = _form(head.value(clause.field, clause.keys))
    if clause.operator == "isnull":
        return bool((held.kind == "absent") == clause.value)
    if clause.operator == "in":
        return held in [_form(item) for item in clause.value]
    asked = _form(clause.value)
    if clause.operator in ("eq", "ne"):
        return (held == asked) == (clause.operator == "eq")
    if clause.operator == "contains":
        return held.kind == "list" and asked in held.content
    return (
        held.kind == asked.kind and held.kind in ORDERED_KINDS and _ranges(held.content, clause.operator, asked.content)
    )


def _ranges(held: Any, operator: str, asked: Any) -> bool:
    if operator == "prefix":
        return bool(held[: len(asked)] == asked)
    sign = _compare(held, asked)
    return {"lt": sign < 0, "lte": sign <= 0, "gt": sign > 0, "gte": sign >= 0}[operator]


class _Form(NamedTuple):
    """A value's kind, and its content so that equal ones are equal and smaller ones smaller."""

    kind: str
    content: Any


def _form(value: Any) -> _Form:
    match value:
        case None:
            form = _Form("absent", None)
        case bool():
            form = _Form("truth", value)
        case int() | float():
            form = _Form("number", Fraction(value))
        case str():
            form = _Form("text", [ord(character) for character in value])
        case datetime():
            form = _Form("time", value.astimezone(UTC))
        case dict():
            form = _Form("object", {key: _form(item) for key, item in value.items()})
        case _:
            form = _Form("list", [_form(item) for item in value])
    return form


def _compare(one: Any, other: Any) -> int:
    return int(one > other) - int(one < other)


def _compare_heads(terms: Sequence[str], one: Head, other: Head) -> int:
    for term in terms:
        field = term.lstrip("-")
        (kind, content), (other_kind, other_content) = _form(one.value(field)), _form(other.value(field))
        if kind == other_kind == "absent":
            continue
        sign = _compare(content, other_content) if kind == other_kind else (-1 if kind == "absent" else 1)
        if sign:
            return -sign if term.startswith("-") else sign
    return 0
