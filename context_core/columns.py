"""Headers as rows, for drivers that keep the indexed fields in columns of these names.

One list of columns serves every statement of a driver, so that statements cannot drift apart.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import orjson

from context_core.errors import CorruptDocumentError
from context_core.records import Origin, VersionHeader

__all__ = [
    "HEADER_COLUMNS",
    "LINEAGE_COLUMNS",
    "RECORD_COLUMNS",
    "VERSION_COLUMNS",
    "exact_text",
    "header",
    "tags_to_text",
]

_VALUES: Final = (
    "epic_num",
    "story_num",
    "feature",
    "workflow_name",
    "current_phase",
    "status",
    "created_at",
    "updated_at",
    "saved_at",
    "tags",
)

RECORD_COLUMNS: Final = (*_VALUES, "save_id")
"""What heads and versions have in common, beside workflow_id, version and document."""

HEADER_COLUMNS: Final = ("workflow_id", "version", *_VALUES)
"""What a header says of heads and of versions alike."""

LINEAGE_COLUMNS: Final = ("idempotency_key", "origin_workflow_id", "origin_version")
"""What a header says of versions alone."""

VERSION_COLUMNS: Final = (*HEADER_COLUMNS, *LINEAGE_COLUMNS)
"""All of a header, in the order that `header` takes them."""


def header(row: Sequence[Any], read_time: Callable[[Any], datetime]) -> VersionHeader:
    """Build a header from a row of VERSION_COLUMNS, its tags one JSON array.

    *read_time* makes an aware UTC time of what a time's column holds, or raises TypeError or ValueError.

    Raises:
        CorruptDocumentError: A time or the tags do not hold what they should.
    """
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
        _check_texts(workflow_id, feature, workflow_name, current_phase, status)
        return VersionHeader(
            workflow_id=workflow_id,
            version=version,
            epic_num=epic_num,
            story_num=story_num,
            feature=feature,
            workflow_name=workflow_name,
            current_phase=current_phase,
            status=status,
            created_at=read_time(created_at),
            updated_at=read_time(updated_at),
            saved_at=read_time(saved_at),
            tags=_tags(tags),
            idempotency_key=None if idempotency_key is None else exact_text(idempotency_key),
            origin=None
            if origin_workflow_id is None
            else Origin(workflow_id=exact_text(origin_workflow_id), version=origin_version),
        )
    except (TypeError, ValueError) as error:
        problem = "an indexed column does not hold what it should"
        raise CorruptDocumentError(workflow_id=_shown(workflow_id), version=version, problem=problem) from error


def _check_texts(*values: Any) -> None:
    for value in values:
        if type(value) is not str:
            raise TypeError("a text is none")


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
