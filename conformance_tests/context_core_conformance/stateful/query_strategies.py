"""Contexts and queries for hypothesis, from small pools, so that filters often hit and near misses are common."""

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, Final

import attrs
from hypothesis import strategies as st

from context_core import WorkflowContext
from context_core_conformance.samples import EPOCH, a_context
from context_core_conformance.stateful.reference_query import Clause

TEXTS: Final = (
    "",
    "a",
    "A",
    "ab",
    "a b",
    "a%",
    "a_b",
    "%",
    "\\",
    "*",
    "é",
    "e\u0301",
    "\uffff",
    "😀",
    "1",
    "null",
    "' OR 1=1 --",
)
STATUSES: Final = ("running", "completed", "failed", "paused")
NUMBERS: Final = (1, 2, 3, 2**31, 2**53, 2**53 + 1, 2**63 - 1)
TIMES: Final[tuple[datetime, ...]] = (
    EPOCH,
    EPOCH + timedelta(microseconds=1),
    EPOCH.replace(microsecond=0),
    EPOCH + timedelta(days=1),
    EPOCH.astimezone(timezone(timedelta(hours=5, minutes=30))),
    EPOCH.replace(year=1),
    EPOCH.replace(year=9999, microsecond=999_999),
)
SCALARS: Final = (
    *(None, True, False, 0, -0.0, 1, 1.0, -1, 0.5, 2**53, 2**53 + 1, float(2**53), 2**63, 2**64 - 1, -(2**63), 1e308),
    *("", "1", "1.0", "true", "null", "a", "A", "ab", "a%", "é", "e\u0301", "\uffff", "😀", "a\0b", "2025-01-02"),
)
NEAR: Final = (None, True, False, 0, 1, 1.0, "1", "a", "\uffff", "😀")
"""Scalars that come often, so that what is asked for is often there, or something that resembles it."""

VALUES: Final[tuple[Any, ...]] = (
    *SCALARS,
    *([], [None], [True], [1], [1.0, "1"], ["1", 1], [[1]], [{"k": 1}], ["a"]),
    *({}, {"k": None}, {"k": True}, {"k": 1}, {"k": 1.0}, {"k": "1"}, {"k": 1, "l": [True]}, {"l": [1], "k": 1}),
)
"""JSON of every kind, with what a careless comparison would take for it."""

KEYS: Final = ("k", "a.b", "$")
"""Few, for the same reason; keys of every kind have a law of their own."""

_scalars: Final = st.sampled_from(NEAR) | st.sampled_from(SCALARS)
_small: Final = _scalars | st.lists(_scalars, max_size=2) | st.dictionaries(st.sampled_from(KEYS), _scalars, max_size=2)
JSON: Final[st.SearchStrategy[Any]] = (
    _scalars | st.lists(_small, max_size=2) | st.dictionaries(st.sampled_from(KEYS), _small, max_size=2)
)

_EQUALITY: Final = ("eq", "ne", "in", "isnull")
_RANGES: Final = ("lt", "lte", "gt", "gte")
_TEXT: Final = (*_EQUALITY, *_RANGES, "prefix")

OPERATORS: Final = {
    **dict.fromkeys(("workflow_id", "feature", "workflow_name", "current_phase", "status"), _TEXT),
    **dict.fromkeys(("epic_num", "story_num", "version", "created_at", "updated_at"), (*_EQUALITY, *_RANGES)),
    "tags": ("eq", "ne", "contains"),
    **dict.fromkeys(("decisions", "artifacts", "errors", "metadata"), (*_TEXT, "contains")),
}
"""Every field that can be asked about, with every operator it takes."""

INDEXED: Final = tuple(field for field in OPERATORS if field not in ("decisions", "artifacts", "errors", "metadata"))
SORTABLE: Final = tuple(field for field in INDEXED if field != "tags")

POOLS: Final[dict[str, tuple[Any, ...]]] = {
    "workflow_id": tuple(text for text in TEXTS if text),
    "epic_num": NUMBERS,
    "story_num": (None, *NUMBERS),
    "feature": TEXTS,
    "workflow_name": TEXTS,
    "current_phase": TEXTS,
    "status": STATUSES,
    "created_at": TIMES,
    "updated_at": TIMES,
    "version": (1, 2, 3),
    "tags": TEXTS,
}
"""What contexts hold in an indexed field, and what filters ask about it."""

_ASKED_TOO: Final = {
    **dict.fromkeys(("workflow_id", "feature", "workflow_name", "current_phase"), ("a\0", "\U0010ffff", "a" * 300)),
    **dict.fromkeys(("epic_num", "story_num", "version"), (0, -1, -(2**63))),
}


@attrs.frozen
class Query:
    """A whole search."""

    clauses: tuple[Clause, ...]
    order: tuple[str, ...]
    limit: int | None
    offset: int

    @property
    def arguments(self) -> dict[str, Any]:
        """What says the same to `search_contexts`."""
        return {
            "filters": {clause.filter_key: clause.value for clause in self.clauses},
            "order_by": self.order or None,
            "limit": self.limit,
            "offset": self.offset,
        }


def asked(field: str) -> tuple[Any, ...]:
    """The values, None apart, that filters ask about an indexed field."""
    return (*(value for value in POOLS[field] if value is not None), *_ASKED_TOO.get(field, ()))


def contexts() -> st.SearchStrategy[WorkflowContext]:
    """Contexts; a workflow id may come again, and then makes a further version."""
    indexed = {field: st.sampled_from(POOLS[field]) for field in POOLS if field not in ("version", "tags")}
    objects = st.dictionaries(st.sampled_from(KEYS), JSON, min_size=1, max_size=3)
    return st.builds(
        a_context,
        **indexed,
        tags=st.lists(st.sampled_from(POOLS["tags"]), max_size=2),
        decisions=objects,
        metadata=objects,
        artifacts=st.lists(JSON, max_size=3),
        errors=st.lists(JSON, max_size=3),
    )


@st.composite
def indexed_clauses(draw: st.DrawFn) -> Clause:
    """Clauses about fields that have a column of their own."""
    field = draw(st.sampled_from(INDEXED))
    operator = draw(st.sampled_from(OPERATORS[field]))
    one = st.sampled_from(asked(field))
    several = st.lists(one, max_size=3)
    if operator == "isnull":
        return Clause(field, operator, draw(st.booleans()))
    if operator == "in":
        return Clause(field, operator, draw(st.lists(st.none() | one, max_size=3)))
    if field == "tags" and operator != "contains":
        return Clause(field, operator, draw(several))
    if operator in ("eq", "ne"):
        one = st.none() | one
    return Clause(field, operator, draw(one))


@st.composite
def path_clauses(draw: st.DrawFn, stored: Sequence[WorkflowContext]) -> Clause:
    """Clauses that look into free-form fields, aimed at something that one of *stored* holds, or resembles."""
    field = draw(st.sampled_from(("decisions", "metadata", "artifacts", "errors")))
    value: Any = getattr(draw(st.sampled_from(stored)), field) if stored else {}
    keys: list[str] = []
    while isinstance(value, dict) and value and (not keys or draw(st.booleans())):
        keys.append(draw(st.sampled_from(sorted(value))))
        value = value[keys[-1]]
    if draw(st.integers(0, 9)) == 0:
        keys.append(draw(st.sampled_from(KEYS)))
    if isinstance(value, list) and value and draw(st.booleans()):
        return Clause(field, "contains", draw(_resembling(draw(st.sampled_from(value)))), tuple(keys))
    operator = draw(st.sampled_from(OPERATORS[field]))
    return Clause(field, operator, draw(_operands(operator, value)), tuple(keys))


def _operands(operator: str, value: Any) -> st.SearchStrategy[Any]:
    near = _resembling(value)
    if operator == "isnull":
        return st.booleans()
    if operator == "in":
        return st.lists(near, max_size=3)
    if operator == "prefix":
        return near.filter(lambda asked: isinstance(asked, str)) if isinstance(value, str) else st.just("")
    return near.filter(lambda asked: asked is not None) if operator in _RANGES else near


def _resembling(value: Any) -> st.SearchStrategy[Any]:
    """The value itself, most often, what a careless comparison takes for it, or anything."""
    match value:
        case bool() | int() | float():
            alike: list[Any] = [bool(value), int(value), str(value)]
        case str():
            alike = [value[:1], f"{value}a", value.swapcase(), value == "1"]
        case list():
            alike = [value[:1], [*value, None], [bool(item) if item in (0, 1) else item for item in value]]
        case dict():
            alike = [{}, {**value, "k": None}, dict.fromkeys(value, True)]
        case _:
            alike = [False, 0, "", "null", [None]]
    return st.just(value) | st.sampled_from(alike).filter(_is_storable) | _scalars


def _is_storable(value: Any) -> bool:
    return not isinstance(value, int) or -(2**63) <= value < 2**64


def queries(clauses: st.SearchStrategy[Clause]) -> st.SearchStrategy[Query]:
    """Searches with up to two of *clauses*, any order, any page."""
    terms = st.builds(str.__add__, st.sampled_from(("", "-")), st.sampled_from(SORTABLE))
    return st.builds(
        Query,
        clauses=st.lists(clauses, max_size=2, unique_by=lambda clause: clause.filter_key).map(tuple),
        order=st.lists(terms, max_size=3).map(tuple),
        limit=st.sampled_from((None, None, None, 0, 1, 5)),
        offset=st.sampled_from((0, 0, 0, 1, 3)),
    )
