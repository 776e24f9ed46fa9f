"""Cursors: where a page ended, as opaque text that is bound to its filter and order.

A cursor stands on values that never change, the workflow's `created_at` and its id, so that pages neither lose nor
repeat a row while others write (PA02), and it outlives the row it stands on (PA05). An order by any other field has no
such place to stand on: its cursors count rows, and the page says so (`Page.is_stable`).
"""

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

import attrs
import orjson

from context_core.conditions import Condition, OrderTerm
from context_core.errors import InvalidQueryError
from context_core.query import total_order
from context_core.records import VersionHeader

UNCHANGING: Final = frozenset({"created_at", "workflow_id"})
"""The fields of a head that stay as they are for as long as the workflow exists."""

_DIGEST_BYTES: Final = 12

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Page(Generic[T]):
    """Some of what was found, in order.

    Attributes:
        items: At most as many as asked for.
        next_cursor: Where the next page begins; None at the end.
        is_stable: Whether pages stay true while others write. False for an order by a field that can change.
    """

    items: Sequence[T]
    next_cursor: str | None
    is_stable: bool


@attrs.frozen(kw_only=True)
class Place:
    """Where a page begins: after a row of these values, or after so many rows."""

    after: tuple[Any, ...] | None = None
    offset: int = 0


def is_stable(order: Sequence[OrderTerm]) -> bool:
    """Tell whether an order stands on fields that never change."""
    return all(term.field in UNCHANGING for term in order)


def after(header: VersionHeader, order: Sequence[OrderTerm]) -> Place:
    """The place right after a row, in a stable order."""
    return Place(after=tuple(getattr(header, term.field) for term in total_order(order)))


def write_cursor(place: Place, conditions: Sequence[Condition], order: Sequence[OrderTerm]) -> str:
    """Render *place* as a cursor for this filter and order."""
    values = None if place.after is None else [_to_text(value) for value in place.after]
    payload = orjson.dumps([values, place.offset])
    return base64.urlsafe_b64encode(_digest(payload, conditions, order) + payload).decode()


def read_cursor(cursor: str, conditions: Sequence[Condition], order: Sequence[OrderTerm]) -> Place:
    """Return the place that *cursor* stands for.

    Raises:
        InvalidQueryError: It is of another filter or order, or no cursor at all (PA04).
    """
    try:
        raw = base64.b64decode(cursor.encode(), altchars=b"-_", validate=True)
        digest, payload = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
        if digest == _digest(payload, conditions, order):
            values, offset = orjson.loads(payload)
            return Place(after=_from_texts(values, order), offset=offset)
    except (AttributeError, TypeError, ValueError):
        pass
    raise InvalidQueryError(
        "this cursor is of another filter or order, or was changed: pass next_cursor of the page before, "
        "with the same filters and order_by"
    )


def _digest(payload: bytes, conditions: Sequence[Condition], order: Sequence[OrderTerm]) -> bytes:
    import hashlib  # noqa: PLC0415  # it loads OpenSSL

    asked = repr(([attrs.astuple(condition) for condition in conditions], [attrs.astuple(term) for term in order]))
    return hashlib.blake2b(payload + asked.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()


def _to_text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _from_texts(values: Sequence[Any] | None, order: Sequence[OrderTerm]) -> tuple[Any, ...] | None:
    if values is None:
        return None
    terms = total_order(order)
    return tuple(
        datetime.fromisoformat(value) if term.field == "created_at" else value
        for term, value in zip(terms, values, strict=True)
    )
