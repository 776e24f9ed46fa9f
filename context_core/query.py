"""Filters and orders over the heads of workflows, and the one evaluator that says what they mean.

How values compare (QU03), the same on every driver:

====================  ===============================================================================
None                  is absent: a missing key, a JSON null and an empty column are one. Equal to None only.
true, false           equal to themselves only; never to 1 or 0
numbers               by value: 1 equals 1.0
text                  by code point; never equal to a number
lists, objects        equal to lists and objects whose items are equal by this table
order                 None, then numbers, then text; `lt`, `lte`, `gt` and `gte` hold only between two numbers,
                      two texts or two times, never between kinds
====================  ===============================================================================

`ne` is the exact opposite of `eq`. `in` is `eq` to any of the list. `contains` holds where the value is a list with an
equal item. `prefix` holds for text that starts so. `isnull` takes True or False.
"""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import attrs

from context_core._converter import decode, decode_document, encode
from context_core.conditions import FIELDS, SORTABLE, Condition, FieldKind, Operator, OrderTerm
from context_core.errors import CorruptDocumentError, InvalidQueryError, PersistenceError, shown
from context_core.model import Status
from context_core.pages import Found, collected
from context_core.records import DamagedRow, QueryRequest, Selection, StoredDocument, VersionHeader, Want

_RANGES: Final = frozenset({Operator.LT, Operator.LTE, Operator.GT, Operator.GTE})
_COMMON: Final = frozenset({Operator.EQ, Operator.NE, Operator.IN, Operator.ISNULL})
_ALLOWED: Final[Mapping[FieldKind, frozenset[Operator]]] = {
    FieldKind.TEXT: _COMMON | _RANGES | {Operator.PREFIX},
    FieldKind.NUMBER: _COMMON | _RANGES,
    FieldKind.TIME: _COMMON | _RANGES,
    FieldKind.TAGS: frozenset({Operator.EQ, Operator.NE, Operator.CONTAINS}),
    FieldKind.FREE_FORM: _COMMON | _RANGES | {Operator.PREFIX, Operator.CONTAINS},
}


@attrs.frozen(init=False)  # for type checkers, which would take the generated one for the constructor
class JsonPath:
    """A place inside a free-form field: `JsonPath("decisions", "a.b", "c")`, one argument a key, dots and all."""

    field: str
    keys: tuple[str, ...]

    def __init__(self, field: str, *keys: str) -> None:
        if type(field) is not str or FIELDS.get(field) is not FieldKind.FREE_FORM:
            free = [name for name, kind in FIELDS.items() if kind is FieldKind.FREE_FORM]
            raise InvalidQueryError(f"{shown(field)} cannot be looked into; free-form fields are: {', '.join(free)}")
        if not all(type(key) is str for key in keys):
            raise InvalidQueryError(f"the keys of a path into {field} must be str")
        self.__attrs_init__(field, keys)


Filters: TypeAlias = Mapping[Any, Any]
"""Keys are text, a JsonPath, or a JsonPath with an operator. To type checkers a dict of one is no dict of all three."""


def parse_filters(filters: Filters | None) -> tuple[Condition, ...]:
    """Turn `{"status__in": ["failed"], "decisions.db.choice": "sqlite"}` into conditions.

    A key is a field, dots for keys inside a free-form field, and optionally `__operator`. For keys that hold dots use
    `JsonPath("decisions", "a.b")`, with an operator as `(JsonPath("decisions", "a.b"), "gte")`.

    Raises:
        InvalidQueryError: An unknown field or operator, named with the known ones, or a value that does not fit (QU06).
    """
    if filters is None:
        return ()
    if not isinstance(filters, Mapping):
        raise InvalidQueryError(f"filters must be a mapping of fields to values, not {type(filters).__name__}")
    return tuple(_parse(key, value) for key, value in filters.items())


def parse_order(order_by: str | Sequence[str] | None) -> tuple[OrderTerm, ...]:
    """Turn `"feature"`, `"-updated_at"` or a list of such into order terms; "-" sorts descending."""
    if order_by is None:
        return ()
    if not isinstance(order_by, Iterable):
        raise InvalidQueryError(f"order_by takes a field or a list of fields, not {type(order_by).__name__}")
    terms = []
    for name in [order_by] if isinstance(order_by, str) else order_by:
        field = name.removeprefix("-") if isinstance(name, str) else name
        if field not in SORTABLE:
            raise InvalidQueryError(f"cannot order by {shown(field)}; sortable fields are: {', '.join(SORTABLE)}")
        terms.append(OrderTerm(field=field, descending=name.startswith("-")))
    return tuple(terms)


def _parse(key: object, value: Any) -> Condition:
    operator_name = "eq"
    if isinstance(key, tuple) and len(key) == 2 and isinstance(key[0], JsonPath):  # noqa: PLR2004  # a pair
        key, operator_name = key
    if isinstance(key, JsonPath):
        field, path = key.field, key.keys
    elif isinstance(key, str):
        name, separator, suffix = key.rpartition("__")
        if separator and "." not in suffix:
            key, operator_name = name, suffix
        field, *rest = key.split(".")
        path = tuple(rest)
    else:
        raise InvalidQueryError(f"a filter's key must be text or a JsonPath, not {type(key).__name__}")
    kind = FIELDS.get(field)
    if kind is None:
        raise InvalidQueryError(f"unknown field {field!r}; known fields are: {', '.join(FIELDS)}")
    if path and kind is not FieldKind.FREE_FORM:
        raise InvalidQueryError(f"{field} cannot be looked into with a path: {'.'.join((field, *path))!r}")
    allowed = sorted(_ALLOWED[kind])
    if operator_name not in allowed:
        raise InvalidQueryError(f"unknown operator {operator_name!r} for {field}; known are: {', '.join(allowed)}")
    operator = Operator(operator_name)
    return Condition(field=field, path=path, operator=operator, value=_fitting(field, kind, operator, value))


def _fitting(field: str, kind: FieldKind, operator: Operator, value: Any) -> Any:
    """Return *value* in the form that conditions carry, or refuse it."""
    if operator is Operator.ISNULL:
        if type(value) is not bool:
            raise InvalidQueryError(f"{field}__isnull takes True or False, not {shown(value)}")
        return value
    if operator is Operator.IN:
        if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
            raise InvalidQueryError(f"{field}__in takes a list, not {type(value).__name__}")
        items = tuple(_fitting_one(field, kind, item) for item in value)
        if field == "status":
            for item in items:
                _check_status(item)
        return items
    if value is None and operator not in (Operator.EQ, Operator.NE, Operator.CONTAINS):
        raise InvalidQueryError(f"{field}__{operator} cannot compare with None; use {field}__isnull")
    if operator is Operator.PREFIX and type(value) is not str:
        raise InvalidQueryError(f"{field}__prefix takes text, not {type(value).__name__}")
    if kind is FieldKind.TAGS:
        if operator is Operator.CONTAINS:
            return _fitting_one(field, FieldKind.TEXT, value)
        if not isinstance(value, list | tuple):
            raise InvalidQueryError(f"{field} equals a list of text; for one tag use {field}__contains")
        return tuple(_fitting_one(field, FieldKind.TEXT, item) for item in value)
    fitting = _fitting_one(field, kind, value)
    if field == "status" and operator in (Operator.EQ, Operator.NE):
        _check_status(fitting)
    return fitting


def _fitting_one(field: str, kind: FieldKind, value: Any) -> Any:
    if kind is FieldKind.FREE_FORM:
        return _fitting_json(field, value)
    if value is None:
        return None
    if kind is FieldKind.TIME:
        if not isinstance(value, datetime) or value.utcoffset() is None:
            raise InvalidQueryError(f"{field} compares with an aware datetime, not {shown(value, 60)}")
        try:
            return value.astimezone(UTC)
        except OverflowError as error:
            raise InvalidQueryError(f"{field} compares with a time within the years 1 to 9999 in UTC") from error
    if kind is FieldKind.NUMBER:
        if type(value) is not int or not -(2**63) <= value < 2**63:
            raise InvalidQueryError(f"{field} compares with a 64-bit int, not {shown(value, 60)}")
        return value
    if not isinstance(value, str):
        raise InvalidQueryError(f"{field} compares with text, not {type(value).__name__}")
    text = str.__str__(value)
    _check_unicode(field, text)
    return text


def _check_status(value: Any) -> None:
    """Refuse a status that no workflow can have: a misspelt one would find nothing, or everything."""
    if value is not None and value not in set(Status):
        raise InvalidQueryError(f"unknown status {shown(value)}; known are: {', '.join(Status)}")


def _fitting_json(field: str, value: Any) -> Any:
    if isinstance(value, datetime):
        raise InvalidQueryError(f"{field} holds JSON, which has no times: compare with the text that was stored")
    try:
        return decode(encode({"value": value}))["value"]
    except PersistenceError as error:
        raise InvalidQueryError(f"{field} compares with JSON values: {error}") from error


def _check_unicode(field: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidQueryError(f"{field} compares with text, and this holds a lone surrogate") from error


Record: TypeAlias = tuple[VersionHeader, StoredDocument]
"""A head as a driver keeps it: what `evaluate` takes."""


def evaluate(request: QueryRequest, heads: Iterable[Record]) -> Selection:
    """Answer *request* from *heads*: a driver that can list its heads needs no more than this to implement `query`.

    A driver that narrows with its engine first may pass only the heads that can match. Documents are parsed only for
    conditions that look into them.
    """
    judged = ((head, _judged(request.conditions, head)) for head in heads)
    kept = [(head, verdict) for head, verdict in judged if verdict is not False]
    if request.want is Want.COUNT:
        damaged = [DamagedRow(error=verdict, position=0) for _, verdict in kept if not isinstance(verdict, bool)]
        return Selection(count=len(kept) - len(damaged), damaged=damaged)
    for key, descending in _sort_keys(request.order):
        kept.sort(key=_of_head(key), reverse=descending)
    if request.after is not None:
        kept = [each for each in kept if _is_after(each[0][0], request.after, request.order)]
    rows = (head if isinstance(verdict, bool) else verdict for head, verdict in kept)
    found: Found[Record] = collected(rows, request.limit, request.offset)
    return Selection(
        headers=() if request.want is Want.DOCUMENTS else tuple(header for header, _ in found.items),
        documents=() if request.want is Want.HEADERS else tuple(document for _, document in found.items),
        count=len(found.items),
        damaged=found.damaged,
    )


def _of_head(key: Callable[[Record], Any]) -> Callable[[tuple[Record, object]], Any]:
    return lambda each: key(each[0])


def _judged(conditions: Sequence[Condition], head: Record) -> bool | CorruptDocumentError:
    """Tell whether a head meets every condition; where its document would have to tell and cannot, the error."""
    try:
        return matches(conditions, *head)
    except CorruptDocumentError as error:
        return error


def matches(conditions: Sequence[Condition], header: VersionHeader, document: StoredDocument) -> bool:
    """Tell whether a head meets every condition. Its document is parsed only if some condition looks into it."""
    fields: Any = None
    for condition in conditions:
        if condition.is_indexed:
            value = getattr(header, condition.field)
        else:
            if fields is None:
                fields = _parse_document(document)
            value = _value_at(fields, condition)
        if not holds(condition, value):
            return False
    return True


def _parse_document(stored: StoredDocument) -> dict[str, Any]:
    try:
        fields = decode_document(stored.document)
    except ValueError as error:
        raise CorruptDocumentError(
            workflow_id=stored.workflow_id, version=stored.version, problem="it is not JSON"
        ) from error
    if type(fields) is not dict:
        raise CorruptDocumentError(
            workflow_id=stored.workflow_id, version=stored.version, problem="it is not a JSON object"
        )
    return fields


def holds(condition: Condition, value: Any) -> bool:
    """Tell whether one condition holds for one value, by the table at the top of this module."""
    return _HOLDS[condition.operator](value, condition.value)


def _value_at(fields: Any, condition: Condition) -> Any:
    value = fields.get(condition.field)
    for key in condition.path:
        if type(value) is not dict:
            return None
        value = value.get(key)
    return value


def _equal(value: Any, wanted: Any) -> bool:
    return bool(_comparable(value) == _comparable(wanted))


def _comparable(value: Any) -> Any:
    """Return a stand-in whose Python equality is the table's: true is not 1, in lists and objects too."""
    if type(value) is bool:
        return ("bool", value)
    if type(value) is dict:
        return {key: _comparable(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return [_comparable(item) for item in value]
    return value


def _contains(value: Any, wanted: Any) -> bool:
    return type(value) in (list, tuple) and any(_equal(item, wanted) for item in value)


def _starts_with(value: Any, wanted: str) -> bool:
    return isinstance(value, str) and value.startswith(wanted)


def _ranged(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda value, wanted: _kind_of(value) == _kind_of(wanted) != "other" and compare(value, wanted)


def _kind_of(value: Any) -> str:
    if type(value) in (int, float):
        return "number"
    if isinstance(value, str):
        return "text"
    return "time" if isinstance(value, datetime) else "other"


_HOLDS: Final[Mapping[Operator, Callable[[Any, Any], bool]]] = {
    Operator.EQ: _equal,
    Operator.NE: lambda value, wanted: not _equal(value, wanted),
    Operator.IN: lambda value, wanted: any(_equal(value, item) for item in wanted),
    Operator.LT: _ranged(operator.lt),
    Operator.LTE: _ranged(operator.le),
    Operator.GT: _ranged(operator.gt),
    Operator.GTE: _ranged(operator.ge),
    Operator.PREFIX: _starts_with,
    Operator.CONTAINS: _contains,
    Operator.ISNULL: lambda value, wanted: (value is None) is wanted,
}


_LAST_CHARACTER: Final = "\U0010ffff"


def next_text(prefix: str) -> str | None:
    """Return the first text after all that begin with *prefix*; None where there is none.

    For drivers that look for a prefix by a range, which uses an index and knows no wildcards (QU07).
    """
    stem = prefix.rstrip(_LAST_CHARACTER)
    if not stem:
        return None
    following = ord(stem[-1]) + 1
    if following == 0xD800:  # noqa: PLR2004  # the surrogates are no characters: go on behind them
        following = 0xE000
    return stem[:-1] + chr(following)


def total_order(order: Sequence[OrderTerm]) -> tuple[OrderTerm, ...]:
    """Return *order* as it is meant: newest first where empty, and always made total by workflow_id (QU10)."""
    if not order:
        return (OrderTerm(field="created_at", descending=True), OrderTerm(field="workflow_id", descending=True))
    if any(term.field == "workflow_id" for term in order):
        return tuple(order)
    return (*order, OrderTerm(field="workflow_id"))


def _is_after(header: VersionHeader, place: Sequence[Any], order: Sequence[OrderTerm]) -> bool:
    for term, value in zip(total_order(order), place, strict=True):
        own = getattr(header, term.field)
        if own != value:
            return bool(own < value) if term.descending else bool(own > value)
    return False


def _sort_keys(order: Sequence[OrderTerm]) -> Iterable[tuple[Callable[[Record], Any], bool]]:
    """Sort keys, least significant first, for Python's stable sort."""
    for term in reversed(total_order(order)):
        yield _by_field(term.field), term.descending


def _by_field(field: str) -> Callable[[Record], Any]:
    def key(head: Record) -> Any:
        value = getattr(head[0], field)
        return (value is not None, value)

    return key
