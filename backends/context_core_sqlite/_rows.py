"""Values to columns and back. One list of columns serves every statement, so that they cannot drift apart."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import orjson

from context_core.errors import CorruptDocumentError
from context_core.records import ContextRecord, Origin, VersionHeader, time_to_text

HEADER_VALUES: Final = (
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
RECORD_COLUMNS: Final = (*HEADER_VALUES, "save_id")
"""What the head table and the versions table have in common, beside workflow_id, version and document."""

HEADER_COLUMNS: Final = ("workflow_id", "version", *HEADER_VALUES)
VERSION_COLUMNS: Final = (*HEADER_COLUMNS, "idempotency_key", "origin_workflow_id", "origin_version")
"""The columns of a VersionHeader, in the order that `header` takes them."""

DOCUMENT_COLUMNS: Final = ("workflow_id", "version", "CAST(document AS BLOB)", "save_id")
"""The columns of a StoredDocument: read as bytes, which spares decoding text that is parsed anyway."""

PACKED_COLUMNS: Final = (*DOCUMENT_COLUMNS, "base_version")
"""The columns of a version's document, which may be packed."""


def tags_to_text(tags: Iterable[str]) -> str:
    """Render tags as one JSON array; equal lists give equal text."""
    return orjson.dumps(list(tags)).decode()


def record_values(record: ContextRecord, saved_at: datetime) -> tuple[Any, ...]:
    """The values of RECORD_COLUMNS."""
    return (
        record.epic_num,
        record.story_num,
        record.feature,
        record.workflow_name,
        record.current_phase,
        record.status,
        time_to_text(record.created_at),
        time_to_text(record.updated_at),
        time_to_text(saved_at),
        tags_to_text(record.tags),
        record.save_id,
    )


def document_value(record: ContextRecord) -> str | bytes:
    """Store JSON as text, which SQLite's shell and functions read; what a codec gave, or is no text, as it is."""
    if record.save_id is not None or b"\0" in record.document:
        return record.document
    try:
        return record.document.decode()
    except UnicodeDecodeError:
        return record.document


def header(row: Sequence[Any]) -> VersionHeader:
    """Build a header from a row of VERSION_COLUMNS.

    Raises:
        CorruptDocumentError: A column does not hold what it should.
    """
    try:
        return _header(row)
    except (TypeError, ValueError) as error:
        problem = "an indexed column does not hold what it should"
        raise CorruptDocumentError(workflow_id=str(row[0]), version=row[1], problem=problem) from error


def _header(row: Sequence[Any]) -> VersionHeader:
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
    return VersionHeader(
        workflow_id=workflow_id,
        version=version,
        epic_num=epic_num,
        story_num=story_num,
        feature=feature,
        workflow_name=workflow_name,
        current_phase=current_phase,
        status=status,
        created_at=datetime.fromisoformat(created_at),
        updated_at=datetime.fromisoformat(updated_at),
        saved_at=datetime.fromisoformat(saved_at),
        tags=tuple(orjson.loads(tags)),
        idempotency_key=idempotency_key,
        origin=(
            Origin(workflow_id=origin_workflow_id, version=origin_version) if origin_workflow_id is not None else None
        ),
    )
