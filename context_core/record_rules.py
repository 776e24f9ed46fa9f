"""What may stand in a store: one validation for what is imported, exported and adopted, by the rules that saves obey."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from context_core.conditions import INDEXED_KINDS, OPTIONAL_FIELDS, FieldKind
from context_core.errors import InvalidContextError, shown
from context_core.model import STATUSES, IndexedFields, check_positive, check_text
from context_core.records import Origin, Tombstone, VersionHeader

T = TypeVar("T")

LARGEST_VERSION: Final = 2**62
"""Higher version numbers are not written. Numbers of 64 bits go on for another 2**62 saves above it."""

_TEXTS: Final = tuple(
    name for name, kind in INDEXED_KINDS.items() if kind is FieldKind.TEXT and name not in ("workflow_id", "status")
)
_NUMBERS: Final = tuple(name for name, kind in INDEXED_KINDS.items() if kind is FieldKind.NUMBER)
_TIMES: Final = tuple(name for name, kind in INDEXED_KINDS.items() if kind is FieldKind.TIME)


def is_fit_id(workflow_id: object) -> bool:
    """Whether a workflow may have this id."""
    try:
        check_text("workflow_id", workflow_id, allow_empty=False)
    except InvalidContextError:
        return False
    return True


def check_header(header: VersionHeader) -> None:
    """Refuse a version that no save makes, whatever its document says.

    Raises:
        InvalidContextError: `field` names what is wrong.
    """
    check_indexed(header)
    _check_version("version", header.version)
    check_moment("saved_at", header.saved_at)
    if header.idempotency_key is not None:
        check_text("idempotency_key", header.idempotency_key, allow_empty=False)
    if header.origin is not None:
        _check_origin(header.origin)


def check_indexed(fields: IndexedFields) -> None:
    """Refuse indexed fields that no save makes.

    Raises:
        InvalidContextError: `field` names what is wrong.
    """
    check_text("workflow_id", fields.workflow_id, allow_empty=False)
    for name in _NUMBERS:
        value = getattr(fields, name)
        if value is not None or name not in OPTIONAL_FIELDS:
            check_positive(name, value)
    for name in _TEXTS:
        check_text(name, getattr(fields, name))
    if fields.status not in STATUSES:
        raise InvalidContextError(field="status", problem=f"must be a status, not {shown(fields.status)}")
    for name in _TIMES:
        check_moment(name, getattr(fields, name))
    if type(fields.tags) is not tuple or any(type(tag) is not str for tag in fields.tags):
        raise InvalidContextError(field="tags", problem="must be texts")


def check_tombstone(tombstone: Tombstone) -> None:
    """Refuse a tombstone that no delete leaves.

    Raises:
        InvalidContextError: `field` names what is wrong.
    """
    check_text("workflow_id", tombstone.workflow_id, allow_empty=False)
    _check_version("last_version", tombstone.last_version)
    check_moment("deleted_at", tombstone.deleted_at)


def unfit(check: Callable[[T], None], item: T) -> str | None:
    """Return what *check* refuses in *item*; None where it refuses nothing."""
    try:
        check(item)
    except InvalidContextError as error:
        return str(error)
    return None


def check_moment(name: str, value: object) -> None:
    """Refuse what is no aware time in UTC."""
    if not isinstance(value, datetime) or value.tzinfo is not UTC:
        raise InvalidContextError(field=name, problem="must be an aware time in UTC")


def _check_version(name: str, value: Any) -> None:
    if type(value) is not int or not 1 <= value <= LARGEST_VERSION:
        problem = f"must be an int from 1 to {LARGEST_VERSION}, not {shown(value)}"
        raise InvalidContextError(field=name, problem=problem)


def _check_origin(origin: Origin) -> None:
    check_text("origin", origin.workflow_id, allow_empty=False)
    _check_version("origin", origin.version)
