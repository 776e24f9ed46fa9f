"""What a filter and an order come down to: fields, operators, conditions, order terms. `query` makes them."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import attrs

from context_core.model import IndexedFields


class Operator(StrEnum):
    """How a condition compares."""

    EQ = "eq"
    NE = "ne"
    IN = "in"
    LT = "lt"
    LTE = "lte"
    GT = "gt"
    GTE = "gte"
    PREFIX = "prefix"
    CONTAINS = "contains"
    ISNULL = "isnull"


class FieldKind(StrEnum):
    """What an indexed field holds."""

    TEXT = "text"
    NUMBER = "number"
    TIME = "time"
    TAGS = "tags"
    FREE_FORM = "free-form"


_KINDS: Final[Mapping[Any, FieldKind]] = {
    str: FieldKind.TEXT,
    int: FieldKind.NUMBER,
    int | None: FieldKind.NUMBER,
    datetime: FieldKind.TIME,
    tuple[str, ...]: FieldKind.TAGS,
}

INDEXED_KINDS: Final[Mapping[str, FieldKind]] = {
    field.name: _KINDS[field.type] for field in attrs.fields(IndexedFields)
}
"""What each indexed field of a context holds, in the order of the columns."""

OPTIONAL_FIELDS: Final = frozenset(field.name for field in attrs.fields(IndexedFields) if field.type == int | None)
"""The indexed fields that may be None."""

FIELDS: Final[Mapping[str, FieldKind]] = {
    **INDEXED_KINDS,
    "saved_at": FieldKind.TIME,
    "version": FieldKind.NUMBER,
    **dict.fromkeys(("decisions", "artifacts", "errors", "metadata"), FieldKind.FREE_FORM),
}
"""Every field that a filter may name. A free-form one is looked into by a path."""

SORTABLE: Final = tuple(name for name, kind in FIELDS.items() if kind not in (FieldKind.TAGS, FieldKind.FREE_FORM))


@attrs.frozen(kw_only=True)
class Condition:
    """One thing that must hold. *value* fits *field*: it was checked when the filter was parsed."""

    field: str
    operator: Operator
    value: Any
    path: tuple[str, ...] = ()
    """Keys below a free-form field; empty for all others."""

    @property
    def is_indexed(self) -> bool:
        """Whether the field is a column of its own, so that no document need be read."""
        return FIELDS[self.field] is not FieldKind.FREE_FORM


@attrs.frozen(kw_only=True)
class OrderTerm:
    """Sort by one field; None comes first, last where *descending*."""

    field: str
    descending: bool = False
