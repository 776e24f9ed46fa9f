"""What the state machine draws from: few ids, fields and times, so that operations meet one another often."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

import attrs
from hypothesis import strategies as st

from context_core import Delete, Save, WorkflowContext
from context_core_conformance.samples import EPOCH, a_context
from context_core_conformance.stateful.query_strategies import STATUSES, Query
from context_core_conformance.stateful.reference_query import Clause

IDS: Final = ("a", "ab", "A", "a%", "a_b", "é", "e\u0301", "😀/\uffff")
"""Prefixes of one another, wildcards, case, both forms of one letter, characters beyond the basic plane."""

STORIES: Final = ((1, 2), (1, None), (2, 2))
TIMES: Final = (EPOCH, EPOCH + timedelta(microseconds=1), EPOCH - timedelta(days=400))
KEYS: Final = ("k", "K")
VALUES: Final = (None, True, 1, 1.0, "1", "a%", [1], {"k": None})
UNSTORABLE: Final = ((1,),)
"""A value that every save refuses."""

Fields: TypeAlias = dict[str, Any]
Conditions: TypeAlias = tuple[str | None, str | None]
"""A word of EXPECTATIONS, and an idempotency key."""

FIELDS: Final[dict[str, tuple[Any, ...]]] = {
    "story": STORIES,
    "status": STATUSES,
    "created_at": TIMES,
    "feature": ("checkout", "", "check%"),
    "tags": ([], ["x"], ["x", "é"]),
    "decisions": tuple({"k": value} for value in (*VALUES, *UNSTORABLE)),
    "metadata": tuple({"k": {"a.b": value}} for value in VALUES),
}
"""What each field may hold; one that is not drawn stays as in the sample."""

EXPECTATIONS: Final = (None, None, None, "head", "head", "head", "stale", "ahead", "absent")
"""What a writer may say that it has seen; most often nothing, or the truth."""

ORDERS: Final = ("created_at", "version", "status", "feature", "updated_at", "story_num", "workflow_id")
STABLE_ORDERS: Final[tuple[tuple[str, ...], ...]] = (
    (),
    ("workflow_id",),
    ("-workflow_id",),
    ("created_at",),
    ("-created_at", "workflow_id"),
)
"""Orders whose pages stay true while others write."""

CLAUSES: Final = (
    Clause("workflow_id", "prefix", "a"),
    Clause("workflow_id", "in", ["a", "é", "missing"]),
    Clause("workflow_id", "gt", "a"),
    Clause("story_num", "isnull", value=True),
    Clause("story_num", "ne", 2),
    Clause("epic_num", "eq", 1),
    Clause("status", "in", ["running", "failed"]),
    Clause("status", "ne", "running"),
    Clause("feature", "prefix", "check"),
    Clause("feature", "eq", "check%"),
    Clause("version", "gte", 2),
    Clause("created_at", "lte", EPOCH),
    Clause("tags", "contains", "x"),
    Clause("tags", "eq", ["x"]),
    *(Clause("decisions", "eq", value, ("k",)) for value in VALUES),
    Clause("decisions", "contains", 1, ("k",)),
    Clause("metadata", "ne", None, ("k", "a.b")),
    Clause("metadata", "prefix", "a", ("k", "a.b")),
)


@attrs.frozen
class Saving:
    """A save within a batch, before its expectation is known as a number."""

    workflow_id: str
    fields: Fields
    expects: str | None
    key: str | None


@attrs.frozen
class Deleting:
    """A delete within a batch."""

    workflow_id: str
    expects: str | None


ids: Final = st.sampled_from(IDS)
known_ids: Final[st.SearchStrategy[str]] = st.runner().flatmap(
    lambda machine: st.sampled_from((*[*machine.model.histories] * 4, *[*machine.model.graves] * 4, *IDS))
)
"""Most often one that exists or did: what is worth seeing happens to histories of several versions."""

handles: Final = st.integers(0, 1)
fields: Final[st.SearchStrategy[Fields]] = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from(pool) for name, pool in FIELDS.items()}
)
expectations: Final = st.sampled_from(EXPECTATIONS)
keys: Final = st.sampled_from((None, None, *KEYS))
conditions: Final[st.SearchStrategy[Conditions]] = st.tuples(expectations, keys)
pauses: Final = st.sampled_from((0, 60))
seconds: Final = st.sampled_from((60, 0.000001, 86_400, -30, -86_400))
steps_back: Final = st.sampled_from((1, 1, 2, 0, 3, -1))
"""How far before the head a version lies; -1 is one that does not exist yet."""

operations: Final = st.lists(
    st.builds(Saving, known_ids, fields, expectations, keys)
    | st.builds(Saving, known_ids, st.just({}), st.none(), st.none())
    | st.builds(Deleting, known_ids, expectations),
    max_size=4,
)

clauses: Final = st.lists(st.sampled_from(CLAUSES), max_size=2, unique_by=lambda clause: clause.filter_key)
queries: Final = st.builds(
    Query,
    clauses=clauses.map(tuple),
    order=st.lists(st.builds(str.__add__, st.sampled_from(("", "-")), st.sampled_from(ORDERS)), max_size=2).map(tuple),
    limit=st.sampled_from((None, None, 0, 1, 3)),
    offset=st.sampled_from((0, 0, 1, 2)),
)


def ordered(order: tuple[str, ...]) -> Query:
    """The query that finds everything, in this order."""
    return Query(clauses=(), order=order, limit=None, offset=0)


def context_of(workflow_id: str, chosen: Fields) -> WorkflowContext:
    """The context that these fields stand for, sharing none of its values with them."""
    epic_num, story_num = chosen.get("story", STORIES[0])
    rest = {name: _copied(value) for name, value in chosen.items() if name != "story"}
    return a_context(workflow_id, epic_num=epic_num, story_num=story_num, **rest)


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def expected_version(expects: str | None, head_version: int) -> int | None:
    """The number that a word of EXPECTATIONS stands for, where the newest version is *head_version*."""
    if expects is None:
        return None
    return {"head": head_version, "stale": head_version - 1, "ahead": head_version + 1, "absent": 0}[expects]


def operation_of(drawn: Saving | Deleting, head_version: Callable[[str], int]) -> Save | Delete:
    """The operation of a batch that was drawn."""
    expected = expected_version(drawn.expects, head_version(drawn.workflow_id))
    if isinstance(drawn, Deleting):
        return Delete(drawn.workflow_id, expected_version=expected)
    context = context_of(drawn.workflow_id, drawn.fields)
    return Save(context, expected_version=expected, idempotency_key=drawn.key)


def spoil(context: WorkflowContext) -> None:
    """Change all that can be changed of a context that was saved or loaded (RT11)."""
    context.metadata["spoilt"] = context.decisions["spoilt"] = True
    context.tags.append("spoilt")
    context.artifacts.append("spoilt")


def around(moment: datetime) -> tuple[datetime, ...]:
    """The time just before, the time itself, and the time just after."""
    return tuple(moment + timedelta(microseconds=step) for step in (-1, 0, 1))
