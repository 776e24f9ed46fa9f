"""What every driver on SQL does alike with conditions: it splits those that columns decide from those that they cannot.

A driver gives the clause of one condition and of a place between two pages in its own dialect. Names come from the
declared fields, and values are only ever bound.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import attrs

from context_core.conditions import FIELDS, Condition, FieldKind, Operator, OrderTerm
from context_core.query import total_order
from context_core.records import QueryRequest, Want

__all__ = ["HEAD", "Clause", "Where", "head_column", "joined", "where"]

Clause: TypeAlias = tuple[str, tuple[Any, ...]]
"""SQL, and the values of its parameters."""

HEAD: Final = "head"
"""The alias of the head table in statements: its columns have the same names as those of the versions table."""


@attrs.frozen
class Where:
    """What SQL can decide, and the conditions that are left for the evaluator."""

    sql: str
    parameters: tuple[Any, ...]
    residual: tuple[Condition, ...]


def where(
    request: QueryRequest,
    *,
    clause: Callable[[Condition], Clause],
    after: Callable[[Sequence[OrderTerm], Sequence[Any]], Clause],
    always: str,
) -> Where:
    """Translate what columns can tell. Conditions that look into documents or lists are left for the evaluator.

    Args:
        request: The query.
        clause: Translates a condition on an indexed field. For CONTAINS it only has to narrow the rows.
        after: Translates "behind the row with these values" in a total order.
        always: What is true for every row, in the driver's dialect.
    """
    clauses: list[Clause] = []
    residual: list[Condition] = []
    if request.after is not None and request.want is not Want.COUNT:
        clauses.append(after(total_order(request.order), request.after))
    for condition in request.conditions:
        if not condition.is_indexed or condition.operator is Operator.CONTAINS:
            residual.append(condition)
        if condition.is_indexed:
            clauses.append(clause(condition))
    sql, parameters = joined(" AND ", clauses)
    return Where(sql or always, parameters, tuple(residual))


def joined(separator: str, clauses: Sequence[Clause]) -> Clause:
    """Join clauses, with the values of all of them."""
    return separator.join(sql for sql, _ in clauses), tuple(value for _, values in clauses for value in values)


def head_column(field: str) -> str:
    """Return *field* as a column of the head table.

    Raises:
        KeyError: It is no column.
    """
    if FIELDS[field] is FieldKind.FREE_FORM:
        raise KeyError(field)
    return f"{HEAD}.{field}"
