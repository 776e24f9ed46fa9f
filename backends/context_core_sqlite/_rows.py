"""Values to columns and back."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

from context_core import columns
from context_core.records import ContextRecord, VersionHeader, time_to_text

DOCUMENT_COLUMNS: Final = ("workflow_id", "version", "CAST(document AS BLOB)", "save_id")
"""The columns of a StoredDocument: read as bytes, which spares decoding text that is parsed anyway."""

PACKED_COLUMNS: Final = (*DOCUMENT_COLUMNS, "base_version")
"""The columns of a version's document, which may be packed."""


def record_values(record: ContextRecord, saved_at: datetime) -> tuple[Any, ...]:
    """The values of RECORD_COLUMNS."""
    return tuple(columns.record_values(record, saved_at, time_to_text))


def document_value(record: ContextRecord) -> str | bytes:
    """Store JSON as text, which SQLite's shell and functions read; what a codec gave, or is no text, as it is."""
    if record.save_id is not None or b"\0" in record.document:
        return record.document
    try:
        return record.document.decode()
    except UnicodeDecodeError:
        return record.document


header: Final[Callable[[Sequence[Any]], VersionHeader]] = partial(columns.header, read_time=datetime.fromisoformat)
"""Build a header from a row of VERSION_COLUMNS; raise CorruptDocumentError where a column does not hold what it should."""


def read_time(text: Any) -> datetime:
    """Read a stored time; raise TypeError or ValueError for what is none."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a stored time has a zone")
    return moment


def is_time(text: Any) -> bool:
    """Tell whether a column holds a time."""
    try:
        read_time(text)
    except (TypeError, ValueError):
        return False
    return True
