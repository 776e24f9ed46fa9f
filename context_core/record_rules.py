"""What may stand in a store: one validation for what is imported, exported and adopted, by the rules that saves obey."""

from datetime import UTC, datetime
from typing import Any, Final

from context_core.errors import InvalidContextError, shown
from context_core.model import STATUSES, check_positive, check_text
from context_core.records import Origin, Tombstone, VersionHeader

LARGEST_VERSION: Final = 2**62
"""Higher version numbers are not written. Numbers of 64 bits go on for another 2**62 saves above it."""

_TEXTS: Final = ("feature", "workflow_name", "current_phase")


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
    check_text("workflow_id", header.workflow_id, allow_empty=False)
    _check_version("version", header.version)
    check_positive("epic_num", header.epic_num)
    if header.story_num is not None:
        check_positive("story_num", header.story_num)
    for name in _TEXTS:
        check_text(name, getattr(header, name))
    if header.status not in STATUSES:
        raise InvalidContextError(field="status", problem=f"must be a status, not {shown(header.status)}")
    for name in ("created_at", "updated_at", "saved_at"):
        check_moment(name, getattr(header, name))
    if type(header.tags) is not tuple or any(type(tag) is not str for tag in header.tags):
        raise InvalidContextError(field="tags", problem="must be texts")
    if header.idempotency_key is not None:
        check_text("idempotency_key", header.idempotency_key, allow_empty=False)
    if header.origin is not None:
        _check_origin(header.origin)


def check_tombstone(tombstone: Tombstone) -> None:
    """Refuse a tombstone that no delete leaves.

    Raises:
        InvalidContextError: `field` names what is wrong.
    """
    check_text("workflow_id", tombstone.workflow_id, allow_empty=False)
    _check_version("last_version", tombstone.last_version)
    check_moment("deleted_at", tombstone.deleted_at)


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
