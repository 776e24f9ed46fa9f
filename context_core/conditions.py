"""What a filter and an order come down to: fields, operators, conditions, order terms. `query` makes them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import attrs


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


FIELDS: Final[Mapping[str, FieldKind]] = {
    "workflow_id": FieldKind.TEXT,
    "epic_num": FieldKind.NUMBER,
    "story_num": FieldKind.NUMBER,
    "feature": FieldKind.TEXT,
    "workflow_name": FieldKind.TEXT,
    "current_phase": FieldKind.TEXT,
    "status": FieldKind.TEXT,
    "created_at": FieldKind.TIME,
    "updated_at": FieldKind.TIME,
    "saved_at": FieldKind.TIME,
    "version": FieldKind.NUMBER,
    "tags": FieldKind.TAGS,
    "decisions": FieldKind.FREE_FORM,
    "artifacts": FieldKind.FREE_FORM,
    "errors": FieldKind.FREE_FORM,
    "metadata": FieldKind.FREE_FORM,
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
