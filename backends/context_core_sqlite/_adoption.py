"""Adopting a database of the original single-table schema: one mutable row a workflow becomes one version.

Documents are copied as they are, byte for byte: an upcaster reads them when they are loaded. The indexed columns are
made fit for ours; a row that holds what no column of ours can hold is adopted too, so that one bad row never keeps the
others from being opened, and loading it tells what is wrong with it.
"""

import sqlite3
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from context_core.columns import RECORD_COLUMNS, tags_to_text
from context_core.model import MAX_TEXT
from context_core.record_rules import LARGEST_VERSION, is_fit_id
from context_core.records import decode_document, time_to_text
from context_core.zones import in_utc

ORIGINAL_COLUMNS: Final = frozenset(
    {
        "id",
        "workflow_id",
        "epic_num",
        "story_num",
        "feature",
        "workflow_name",
        "current_phase",
        "status",
        "context_data",
        "version",
        "created_at",
        "updated_at",
    }
)
_UNKNOWN_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SET_ASIDE: Final = "CREATE TEMP TABLE original_workflow_context AS SELECT * FROM main.workflow_context"
_ROWS: Final = """
    SELECT id, workflow_id, epic_num, story_num, feature, workflow_name, current_phase, status, created_at, updated_at,
        version, CAST(context_data AS BLOB)
    FROM temp.original_workflow_context ORDER BY id"""
_INTO_HEAD: Final = f"""
    INSERT INTO workflow_context (rowid, workflow_id, version, {", ".join(RECORD_COLUMNS)}, document)
    SELECT CASE WHEN typeof(id) = 'integer' THEN id END, ?, ?, {", ".join("?" * len(RECORD_COLUMNS))}, coalesce(context_data, '')
    FROM temp.original_workflow_context WHERE id = ?"""
_INTO_VERSIONS: Final = f"""
    INSERT INTO workflow_context_versions (workflow_id, version, {", ".join(RECORD_COLUMNS)}, document)
    SELECT workflow_id, version, {", ".join(RECORD_COLUMNS)}, document FROM workflow_context"""


def set_aside(connection: sqlite3.Connection) -> None:
    """Move the original table out of the way, within the transaction. Views on it keep their name to look at."""
    connection.execute(_SET_ASIDE)
    connection.execute("DROP TABLE main.workflow_context")


def put_in(connection: sqlite3.Connection, now: datetime, zone: tzinfo) -> None:
    """Make a version of each row that was set aside, at the number where the row stood; naive times are of *zone*."""
    connection.text_factory = _lenient_text
    taken: set[str] = set()
    try:
        for row in connection.execute(_ROWS).fetchall():
            workflow_id = _fit_id(row[1], row[0], taken)
            taken.add(workflow_id)
            connection.execute(_INTO_HEAD, (workflow_id, *_fit(row, now, zone), row[0]))
    finally:
        connection.text_factory = str
    connection.execute(_INTO_VERSIONS)
    connection.execute("DROP TABLE temp.original_workflow_context")


def _lenient_text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _fit_id(workflow_id: Any, number: int, taken: AbstractSet[str]) -> str:
    """Keep an id as it is if it can be asked for, and is the first of its kind; else name the row in it."""
    text = _as_text(workflow_id)
    if isinstance(workflow_id, str) and is_fit_id(text) and text not in taken:
        return text
    named = f"{text[: MAX_TEXT - 50]} (row {number})".replace("\0", " ")
    # Another row may have that very id.
    return next(fit for fit in (f"{named}{'*' * count}" for count in range(len(taken) + 1)) if fit not in taken)


def _fit(row: tuple[Any, ...], now: datetime, zone: tzinfo) -> tuple[Any, ...]:
    """The values of version and RECORD_COLUMNS for one original row."""
    _, _, epic_num, story_num, *texts, created_at, updated_at, version, document = row
    updated = _as_utc(updated_at, zone)
    return (
        min(version, LARGEST_VERSION) if isinstance(version, int) and version > 0 else 1,
        epic_num if isinstance(epic_num, int) else 0,
        story_num if isinstance(story_num, int) else None,
        *map(_as_text, texts),
        time_to_text(_as_utc(created_at, zone)),
        time_to_text(updated),
        time_to_text(min(updated, now)),  # naive local times may lie ahead of the clock, saves never do
        tags_to_text(_tags(document)),
        None,  # save_id: the document is plain
    )


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else _lenient_text(value) if isinstance(value, bytes) else str(value)


def _as_utc(text: Any, zone: tzinfo) -> datetime:
    """Read a time as the original wrote it; what cannot be read sorts as the oldest."""
    try:
        return in_utc(datetime.fromisoformat(text), zone)
    except (TypeError, ValueError, OverflowError):
        return _UNKNOWN_TIME


def _tags(document: bytes) -> list[str]:
    try:
        tags = decode_document(document)["tags"]
    except (ValueError, TypeError, KeyError):
        return []
    return tags if isinstance(tags, list) and all(isinstance(tag, str) for tag in tags) else []
