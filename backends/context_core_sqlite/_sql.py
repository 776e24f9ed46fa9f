"""Conditions and orders to SQL: names from a whitelist, values only ever bound."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import orjson

from context_core import sql_conditions
from context_core.columns import tags_to_text
from context_core.conditions import Condition, Operator, OrderTerm
from context_core.query import next_text, total_order
from context_core.records import QueryRequest, time_to_text
from context_core.sql_conditions import Clause, Where, head_column

_COMPARISONS: Final[Mapping[Operator, str]] = {
    Operator.EQ: "IS",
    Operator.NE: "IS NOT",
    Operator.LT: "<",
    Operator.LTE: "<=",
    Operator.GT: ">",
    Operator.GTE: ">=",
}


def where(request: QueryRequest) -> Where:
    """Translate what columns can tell; the text of tags that holds NUL is judged by the evaluator."""
    return sql_conditions.where(request, clause=_clause, after=_after, always="1")


def order_by(order: Sequence[OrderTerm]) -> str:
    """Translate an order, made total. SQLite sorts NULL before everything, and text by code point, as promised."""
    return ", ".join(f"{head_column(term.field)}{' DESC' if term.descending else ''}" for term in total_order(order))


def _after(terms: Sequence[OrderTerm], place: Sequence[Any]) -> Clause:
    """What comes after a row in the order: the first term that differs decides.

    Where all terms go the same way, a comparison of rows says it in the words that an index understands.
    """
    values = tuple(_bound(value) for value in place)
    signs = ["<" if term.descending else ">" for term in terms]
    columns = [head_column(term.field) for term in terms]
    if len(set(signs)) == 1:
        return f"({', '.join(columns)}) {signs[0]} ({', '.join('?' * len(columns))})", values
    alternatives = []
    for place_number, sign in enumerate(signs):
        equal = [f"{column} = ? AND " for column in columns[:place_number]]
        alternatives.append(f"{''.join(equal)}{columns[place_number]} {sign} ?")
    parameters = tuple(value for number in range(len(values)) for value in values[: number + 1])
    return f"({' OR '.join(alternatives)})", parameters


def _clause(condition: Condition) -> Clause:
    column, operator = head_column(condition.field), condition.operator
    special = _SPECIAL.get(operator)
    if special is not None:
        return special(column, condition.value)
    # IS and IS NOT treat NULL as a value, as the evaluator does; the others are never true of it.
    return f"{column} {_COMPARISONS[operator]} ?", (_bound(condition.value),)


def _in(column: str, values: Sequence[Any]) -> Clause:
    # One bound array instead of a parameter for each item: their number has a limit, and the statement stays the same.
    # Columns hold no NUL, and JSON's would end the text in SQLite.
    bound = [_bound(value) for value in values if value is not None]
    array = orjson.dumps([value for value in bound if not (isinstance(value, str) and "\0" in value)]).decode()
    inside = f"{column} IN (SELECT value FROM json_each(?))"
    return (f"({inside} OR {column} IS NULL)" if None in values else inside), (array,)


def _starting_with(column: str, prefix: str) -> Clause:
    """A range instead of LIKE: it uses the index, and knows no wildcards (QU07)."""
    end = next_text(prefix)
    if end is None:
        return f"{column} >= ?", (prefix,)
    return f"({column} >= ? AND {column} < ?)", (prefix, end)


def _is_null(column: str, wanted: bool) -> Clause:  # noqa: FBT001  # the operator's own value
    return f"{column} IS {'' if wanted else 'NOT '}NULL", ()


def _contains(column: str, wanted: Any) -> Clause:
    if not isinstance(wanted, str) or "\0" in wanted:
        return "1", ()
    return f"EXISTS (SELECT 1 FROM json_each({column}) WHERE value = ?)", (wanted,)


_SPECIAL: Final[Mapping[Operator, Callable[[str, Any], Clause]]] = {
    Operator.IN: _in,
    Operator.PREFIX: _starting_with,
    Operator.ISNULL: _is_null,
    Operator.CONTAINS: _contains,
}


def _bound(value: Any) -> Any:
    if isinstance(value, datetime):
        return time_to_text(value)
    return tags_to_text(value) if isinstance(value, tuple) else value
