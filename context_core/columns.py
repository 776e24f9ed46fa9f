"""Headers as rows, for drivers that keep the indexed fields in columns of these names.

One list of columns serves every statement of a driver, so that statements cannot drift apart.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, Final, NoReturn

import orjson

from context_core.conditions import INDEXED_KINDS, FieldKind
from context_core.errors import CorruptDocumentError
from context_core.model import INDEXED_FIELDS, STATUSES
from context_core.records import ContextRecord, Origin, VersionHeader

__all__ = [
    "HEADER_COLUMNS",
    "LINEAGE_COLUMNS",
    "RECORD_COLUMNS",
    "VERSION_COLUMNS",
    "exact_text",
    "header",
    "record_values",
    "tags_to_text",
]

_VALUES: Final = (*(name for name in INDEXED_FIELDS if name not in ("workflow_id", "tags")), "saved_at", "tags")

RECORD_COLUMNS: Final = (*_VALUES, "save_id")
"""What heads and versions have in common, beside workflow_id, version and document."""

HEADER_COLUMNS: Final = ("workflow_id", "version", *_VALUES)
"""What a header says of heads and of versions alike."""

LINEAGE_COLUMNS: Final = ("idempotency_key", "origin_workflow_id", "origin_version")
"""What each version keeps of its own save. The header of a head shows those of its newest version (VE10)."""

VERSION_COLUMNS: Final = (*HEADER_COLUMNS, *LINEAGE_COLUMNS)
"""All of a header, in the order that `header` takes them."""

_TIMES: Final = (*(name for name, kind in INDEXED_KINDS.items() if kind is FieldKind.TIME), "saved_at")
_NO_TAGS: Final = "[]"
_new: Final = object.__new__
_set: Final = object.__setattr__

_record_values: Final = attrgetter(*(name for name in RECORD_COLUMNS if name != "saved_at"))
_SAVED_AT: Final = RECORD_COLUMNS.index("saved_at")
_TAGS: Final = RECORD_COLUMNS.index("tags")
_TIME_PLACES: Final = tuple(RECORD_COLUMNS.index(name) for name in _TIMES)


def record_values(record: ContextRecord, saved_at: datetime | None, write_time: Callable[[datetime], Any]) -> list[Any]:
    """Return the values of RECORD_COLUMNS, the tags as one JSON array.

    *write_time* makes what a time's column holds of an aware UTC time. *saved_at* is None where only the engine knows it;
    then its value is None too.
    """
    values = list(_record_values(record))
    values.insert(_SAVED_AT, saved_at)
    for place in _TIME_PLACES:
        if values[place] is not None:
            values[place] = write_time(values[place])
    values[_TAGS] = tags_to_text(record.tags)
    return values


def header(row: Sequence[Any], read_time: Callable[[Any], datetime]) -> VersionHeader:
    """Build a header from a row of VERSION_COLUMNS, its tags one JSON array.

    *read_time* makes an aware UTC time of what a time's column holds, or raises TypeError or ValueError. A naive time is
    refused here.

    Raises:
        CorruptDocumentError: A time or the tags do not hold what they should.
    """
    # By names in place of a loop over the columns, which would cost a list of headers half as much again.
    (
        workflow_id,
        version,
        epic_num,
        story_num,
        feature,
        workflow_name,
        current_phase,
        status,
        created_at,
        updated_at,
        saved_at,
        tags,
        idempotency_key,
        origin_workflow_id,
        origin_version,
    ) = row
    try:
        if not (
            type(workflow_id) is type(feature) is type(workflow_name) is type(current_phase) is type(status) is str
        ):
            _refuse(TypeError("a text is none"))
        created, updated, saved = read_time(created_at), read_time(updated_at), read_time(saved_at)
        if created.tzinfo is None or updated.tzinfo is None or saved.tzinfo is None:
            _refuse(ValueError("a stored time has a zone"))
        fields = {
            "workflow_id": workflow_id,
            "version": version,
            "epic_num": epic_num,
            "story_num": story_num,
            "feature": feature,
            "workflow_name": workflow_name,
            "current_phase": current_phase,
            "status": STATUSES.get(status, status),
            "created_at": created,
            "updated_at": updated,
            "saved_at": saved,
            "tags": () if tags == _NO_TAGS else _tags(tags),
            "idempotency_key": None if idempotency_key is None else exact_text(idempotency_key),
            "origin": None
            if origin_workflow_id is None
            else Origin(workflow_id=exact_text(origin_workflow_id), version=origin_version),
        }
    except (TypeError, ValueError) as error:
        problem = "an indexed column does not hold what it should"
        raise CorruptDocumentError(workflow_id=_shown(workflow_id), version=version, problem=problem) from error
    # The constructor would do the same, at a third of the cost of a header.
    found = _new(VersionHeader)
    _set(found, "__dict__", fields)
    return found


def _refuse(error: Exception) -> NoReturn:
    raise error


def exact_text(value: Any) -> str:
    """Return a text; raise TypeError for what is none, as drivers give bytes that are no UTF-8."""
    if type(value) is not str:
        raise TypeError("a text is none")
    return value


def _shown(workflow_id: Any) -> str:
    return workflow_id.decode("utf-8", "backslashreplace") if isinstance(workflow_id, bytes) else str(workflow_id)


def _tags(text: Any) -> tuple[str, ...]:
    tags = orjson.loads(text)
    if type(tags) is not list or not set(map(type, tags)) <= {str}:
        raise ValueError("the tags are no list of texts")
    return tuple(tags)


def tags_to_text(tags: Iterable[str]) -> str:
    """Render tags as one JSON array; equal lists give equal text."""
    return orjson.dumps(list(tags)).decode()
