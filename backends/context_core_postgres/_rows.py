"""Values to columns and back."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from context_core import columns
from context_core.columns import RECORD_COLUMNS
from context_core.conditions import INDEXED_KINDS, FieldKind
from context_core.errors import CorruptDocumentError
from context_core.records import ContextRecord, StoredDocument, VersionHeader

TIMES: Final = frozenset({*(name for name, kind in INDEXED_KINDS.items() if kind is FieldKind.TIME), "saved_at"})


def read_columns(names: Iterable[str], table: str = "") -> str:
    """Columns as they are selected."""
    prefix = f"{table}." if table else ""
    return ", ".join(read_time(f"{prefix}{name}") if name in TIMES else f"{prefix}{name}" for name in names)


def known_time(column: str) -> str:
    """A time, or NULL where a statement from outside wrote one that Python does not know: infinite, BC, after 9999."""
    return f"CASE WHEN {column} >= '0001-01-01 00:00:00+00' AND {column} < '10000-01-01 00:00:00+00' THEN {column} END"


def read_time(column: str) -> str:
    """A time as that of UTC, whatever the time zone of the session is (TI02); NULL as `known_time`."""
    return f"({known_time(column)}) AT TIME ZONE 'UTC'"


def head_document_columns(table: str) -> str:
    """The columns of a head's StoredDocument: read as bytes, which spares decoding text that is parsed anyway."""
    document = f"coalesce(convert_to({table}.document, 'UTF8'), {table}.document_bytes)"
    return f"{table}.workflow_id, {table}.version, {document}, {table}.save_id"


def utc(moment: datetime | None) -> datetime:
    """Mark a time that was selected by `read_time` as what it is.

    Raises:
        ValueError: What is stored is no time that Python knows.
    """
    if moment is None:
        raise ValueError("a time is outside of the years 1 to 9999")
    return moment.replace(tzinfo=UTC)


def utc_of(workflow_id: str, version: int, moment: datetime | None) -> datetime:
    """As `utc`, of a certain version.

    Raises:
        CorruptDocumentError: It is no time that Python knows.
    """
    try:
        return utc(moment)
    except ValueError as error:
        raise CorruptDocumentError(workflow_id=workflow_id, version=version, problem=str(error)) from error


def record_values(record: ContextRecord) -> dict[str, Any]:
    """The values of RECORD_COLUMNS by name, saved_at being None; and of the workflow and the document."""
    values = columns.record_values(record, None, _as_it_is)
    return dict(zip(RECORD_COLUMNS, values, strict=True)) | {
        "workflow_id": record.workflow_id,
        "document": record.document,
        "is_text": is_text(record),
    }


def _as_it_is(moment: datetime) -> datetime:
    return moment


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
    """Build a header from a row of VERSION_COLUMNS, selected by `read_columns`.

    Raises:
        CorruptDocumentError: A column does not hold what it should.
    """
    return columns.header(row, utc)
