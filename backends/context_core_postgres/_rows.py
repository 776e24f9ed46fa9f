"""Values to columns and back. One list of columns serves every statement, so that they cannot drift apart."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from context_core.errors import CorruptDocumentError
from context_core.records import ContextRecord, Origin, StoredDocument, VersionHeader

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
LINEAGE_COLUMNS: Final = ("idempotency_key", "origin_workflow_id", "origin_version")
TIMES: Final = frozenset({"created_at", "updated_at", "saved_at"})


def read_columns(columns: Iterable[str], table: str = "") -> str:
    """Columns as they are selected: times as those of UTC, whatever the time zone of the session is (TI02)."""
    prefix = f"{table}." if table else ""
    return ", ".join(
        f"{prefix}{column} AT TIME ZONE 'UTC'" if column in TIMES else f"{prefix}{column}" for column in columns
    )


def head_document_columns(table: str) -> str:
    """The columns of a head's StoredDocument: read as bytes, which spares decoding text that is parsed anyway."""
    document = f"coalesce(convert_to({table}.document, 'UTF8'), {table}.document_bytes)"
    return f"{table}.workflow_id, {table}.version, {document}, {table}.save_id"


def utc(moment: datetime) -> datetime:
    """Mark a time that was selected AT TIME ZONE 'UTC' as what it is."""
    return moment.replace(tzinfo=UTC)


def tags_to_text(tags: Iterable[str]) -> str:
    """Render tags as one JSON array; equal lists give equal text."""
    return orjson.dumps(list(tags)).decode()


def record_values(record: ContextRecord) -> dict[str, Any]:
    """The values of RECORD_COLUMNS by name, but for saved_at; and of the document."""
    return {
        "workflow_id": record.workflow_id,
        "epic_num": record.epic_num,
        "story_num": record.story_num,
        "feature": record.feature,
        "workflow_name": record.workflow_name,
        "current_phase": record.current_phase,
        "status": record.status,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        "tags": tags_to_text(record.tags),
        "save_id": record.save_id,
        "document": record.document,
        "is_text": is_text(record),
    }


def is_text(record: ContextRecord) -> bool:
    """Whether a head shows the document as text; what a codec gave, or what PostgreSQL's text cannot hold, it does not."""
    document = record.document
    if record.save_id is not None or b"\0" in document:
        return False
    if document.isascii():
        return True
    try:
        document.decode()
    except UnicodeDecodeError:
        return False
    return True


def head_document(row: Sequence[Any]) -> StoredDocument:
    """Build a document from a row of `head_document_columns`."""
    return StoredDocument(*row)


def header(row: Sequence[Any]) -> VersionHeader:
    """Build a header from a row of HEADER_COLUMNS and LINEAGE_COLUMNS.

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
        created_at=utc(created_at),
        updated_at=utc(updated_at),
        saved_at=utc(saved_at),
        tags=tuple(orjson.loads(tags)),
        idempotency_key=idempotency_key,
        origin=(
            Origin(workflow_id=origin_workflow_id, version=origin_version) if origin_workflow_id is not None else None
        ),
    )
