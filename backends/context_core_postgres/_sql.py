"""Conditions and orders to SQL: names from a whitelist, values only ever bound."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson

from context_core import sql_conditions
from context_core.columns import tags_to_text
from context_core.conditions import FIELDS, Condition, FieldKind, Operator, OrderTerm
from context_core.query import next_text, total_order
from context_core.records import QueryRequest
from context_core.sql_conditions import Clause, Where, head_column, joined

_ALWAYS: Final[Clause] = ("true", ())
_NEVER: Final[Clause] = ("false", ())
_NULLABLE: Final = frozenset({"story_num"})
_TYPES: Final[Mapping[FieldKind, str]] = {
    FieldKind.TEXT: "text",
    FieldKind.NUMBER: "bigint",
    FieldKind.TIME: "timestamptz",
    FieldKind.TAGS: "text",
}
_COMPARISONS: Final[Mapping[Operator, str]] = {
    Operator.LT: "<",
    Operator.LTE: "<=",
    Operator.GT: ">",
    Operator.GTE: ">=",
}


def where(request: QueryRequest) -> Where:
    """Translate what columns can tell."""
    return sql_conditions.where(request, clause=_clause, after=_after, always="true")


def order_by(order: Sequence[OrderTerm]) -> str:
    """Translate an order, made total: None before everything, where PostgreSQL by itself puts it behind (QU10)."""
    return ", ".join(_direction(term) for term in total_order(order))


def _direction(term: OrderTerm) -> str:
    nulls = "" if term.field not in _NULLABLE else " NULLS LAST" if term.descending else " NULLS FIRST"
    return f"{head_column(term.field)}{' DESC' if term.descending else ''}{nulls}"


def _after(terms: Sequence[OrderTerm], place: Sequence[Any]) -> Clause:
    """What comes after a row in the order: the first term that differs decides.

    Where all terms go the same way, a comparison of rows says it in the words that an index understands.
    """
    operators = [Operator.LT if term.descending else Operator.GT for term in terms]
    if len(set(operators)) == 1 and not any(_has_nul(value) for value in place):
        columns = ", ".join(head_column(term.field) for term in terms)
        placeholders = ", ".join(_placeholder(term.field) for term in terms)
        return f"({columns}) {_COMPARISONS[operators[0]]} ({placeholders})", tuple(place)
    alternatives: list[Clause] = []
    for number, (term, operator) in enumerate(zip(terms, operators, strict=True)):
        clauses = [_equal(earlier.field, value) for earlier, value in zip(terms[:number], place, strict=False)]
        clauses.append(_ranged(term.field, operator, place[number]))
        alternatives.append(joined(" AND ", clauses))
    sql, parameters = joined(" OR ", alternatives)
    return f"({sql})", parameters


def _placeholder(field: str, many: str = "") -> str:
    """A value with its type: the same statement then has one plan, whatever the size of the number."""
    return f"%s::{_TYPES[FIELDS[field]]}{many}"


def _clause(condition: Condition) -> Clause:
    operator = condition.operator
    if operator in _COMPARISONS:
        return _ranged(condition.field, operator, condition.value)
    return _OTHERS[operator](condition.field, condition.value)


def _equal(field: str, value: Any) -> Clause:
    if value is None:
        return f"{head_column(field)} IS NULL", ()
    if _has_nul(value):
        return _NEVER
    return f"{head_column(field)} = {_placeholder(field)}", (_bound(value),)


def _unequal(field: str, value: Any) -> Clause:
    if value is None:
        return f"{head_column(field)} IS NOT NULL", ()
    if _has_nul(value):
        return _ALWAYS
    return f"{head_column(field)} IS DISTINCT FROM {_placeholder(field)}", (_bound(value),)


def _ranged(field: str, operator: Operator, value: Any) -> Clause:
    """Compare in order. No column holds NUL, the first of all characters: text up to it decides what follows it."""
    sign = _COMPARISONS[operator]
    if _has_nul(value):
        value = value.partition("\0")[0]
        sign = "<=" if operator in (Operator.LT, Operator.LTE) else ">"
    return f"{head_column(field)} {sign} {_placeholder(field)}", (_bound(value),)


def _in(field: str, values: Sequence[Any]) -> Clause:
    # One bound array instead of a parameter for each item: the statement stays the same.
    array = [_bound(value) for value in values if value is not None and not _has_nul(value)]
    inside = f"{head_column(field)} = ANY({_placeholder(field, '[]')})"
    return (f"({inside} OR {head_column(field)} IS NULL)" if None in values else inside), (array,)


def _starting_with(field: str, prefix: str) -> Clause:
    """A range instead of LIKE: it uses the index, and knows no wildcards (QU07)."""
    if _has_nul(prefix):
        return _NEVER
    column, end = head_column(field), next_text(prefix)
    if end is None:
        return f"{column} >= %s::text", (prefix,)
    return f"({column} >= %s::text AND {column} < %s::text)", (prefix, end)


def _is_null(field: str, wanted: bool) -> Clause:  # noqa: FBT001  # the operator's own value
    return f"{head_column(field)} IS {'' if wanted else 'NOT '}NULL", ()


def _contains(field: str, wanted: Any) -> Clause:
    """Narrow to the lists whose text holds that of the item, quotes and all; an item that holds it too is let through."""
    if not isinstance(wanted, str):
        return _ALWAYS
    return f"strpos({head_column(field)}, %s::text) > 0", (orjson.dumps(wanted).decode(),)


_OTHERS: Final[Mapping[Operator, Callable[[str, Any], Clause]]] = {
    Operator.EQ: _equal,
    Operator.NE: _unequal,
    Operator.IN: _in,
    Operator.PREFIX: _starting_with,
    Operator.ISNULL: _is_null,
    Operator.CONTAINS: _contains,
}


def _bound(value: Any) -> Any:
    return tags_to_text(value) if isinstance(value, tuple) else value


def _has_nul(value: Any) -> bool:
    return isinstance(value, str) and "\0" in value
