"""Pruning, verifying and backing up."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import orjson

from context_core.errors import CorruptDocumentError, StorageError
from context_core.maintenance import Damage, PrunedRange, PruneRequest, VerifyReport
from context_core.records import time_to_text
from context_core_sqlite._rows import HEADER_COLUMNS, VERSION_COLUMNS, header

_VERSION: Final = ", ".join(VERSION_COLUMNS)
_COMMON: Final = (*HEADER_COLUMNS, "save_id", "document")
_HEADS_ADRIFT: Final = f"""
    SELECT head.workflow_id, newest.version FROM workflow_context AS head
    LEFT JOIN workflow_context_versions AS newest ON newest.workflow_id = head.workflow_id
        AND newest.version = (SELECT max(version) FROM workflow_context_versions WHERE workflow_id = head.workflow_id)
    WHERE newest.version IS NULL
        OR {" OR ".join(f"head.{column} IS NOT newest.{column}" for column in _COMMON if column != "created_at")}"""
_ORPHANS: Final = """
    SELECT DISTINCT workflow_id FROM workflow_context_versions AS stored
    WHERE NOT EXISTS (SELECT 1 FROM workflow_context WHERE workflow_id = stored.workflow_id)"""
_GAPS: Final = """
    SELECT workflow_id, max(version) FROM workflow_context_versions
    GROUP BY workflow_id HAVING max(version) - min(version) + 1 <> count(*)"""


def prunable(connection: sqlite3.Connection, request: PruneRequest) -> list[PrunedRange]:
    """Name what a prune removes, by workflow id."""
    conditions = ["stored.version <= head.version - ?"]
    values: list[Any] = [request.keep_last]
    if request.statuses is not None:
        conditions.append("head.status IN (SELECT value FROM json_each(?))")
        values.append(orjson.dumps(list(request.statuses)).decode())
    if request.inactive_since is not None:
        conditions.append("head.saved_at < ?")
        values.append(time_to_text(request.inactive_since))
    sql = f"""
        SELECT head.workflow_id, min(stored.version), max(stored.version)
        FROM workflow_context AS head JOIN workflow_context_versions AS stored USING (workflow_id)
        WHERE {" AND ".join(conditions)} GROUP BY head.workflow_id ORDER BY head.workflow_id"""
    return [
        PrunedRange(workflow_id=workflow_id, first=first, last=last)
        for workflow_id, first, last in connection.execute(sql, values).fetchall()
    ]


def in_batches(ranges: list[PrunedRange], size: int) -> Iterator[list[PrunedRange]]:
    """Cut ranges into lists of at most *size* versions, oldest versions first, so that histories stay contiguous."""
    batch: list[PrunedRange] = []
    room = size
    for pruned in ranges:
        first = pruned.first
        while first <= pruned.last:
            last = min(pruned.last, first + room - 1)
            batch.append(PrunedRange(workflow_id=pruned.workflow_id, first=first, last=last))
            room -= last - first + 1
            first = last + 1
            if room == 0:
                yield batch
                batch, room = [], size
    if batch:
        yield batch


def forget(connection: sqlite3.Connection, ranges: list[PrunedRange]) -> None:
    """Remove versions below their heads, inside a transaction, through the delete guard.

    The head may have moved on, or the workflow may be gone, since the ranges were named: what is below the head of now
    and within the range goes, nothing else.
    """
    for pruned in ranges:
        connection.execute("INSERT INTO workflow_context_delete_guard (workflow_id) VALUES (?)", (pruned.workflow_id,))
        connection.execute(
            """DELETE FROM workflow_context_versions WHERE workflow_id = ? AND version BETWEEN ? AND ?
            AND version < (SELECT version FROM workflow_context WHERE workflow_id = workflow_context_versions.workflow_id)
            """,
            (pruned.workflow_id, pruned.first, pruned.last),
        )
        connection.execute("DELETE FROM workflow_context_delete_guard WHERE workflow_id = ?", (pruned.workflow_id,))


def verify(connection: sqlite3.Connection, _: None) -> VerifyReport:
    """Check SQLite's structures, then each row by itself, then how rows stand to each other."""
    damages = [
        Damage(workflow_id=None, version=None, problem=line)
        for (line,) in connection.execute("PRAGMA integrity_check")
        if line != "ok"
    ]
    checked = 0
    rows = connection.execute(f"SELECT {_VERSION}, CAST(document AS BLOB), save_id FROM workflow_context_versions")
    with closing(rows):
        for row in rows:
            checked += 1
            problem = _problem(row)
            if problem is not None:
                damages.append(Damage(workflow_id=str(row[0]), version=row[1], problem=problem))
    damages += _named(connection, _HEADS_ADRIFT, "the current state is not that of the newest version")
    damages += _named(connection, _ORPHANS, "has versions but no current state")
    damages += _named(connection, _GAPS, "a version in the middle of the history is missing")
    return VerifyReport(checked_versions=checked, damages=tuple(damages))


def _problem(row: tuple[Any, ...]) -> str | None:
    *columns, document, save_id = row
    try:
        header(columns)
    except CorruptDocumentError as error:
        return error.problem
    if save_id is not None:
        return None  # only the store's codec can read it
    try:
        orjson.loads(document)
    except ValueError:
        return "the document is not JSON"
    return None


def _named(connection: sqlite3.Connection, sql: str, problem: str) -> list[Damage]:
    return [
        Damage(workflow_id=row[0], version=row[1] if len(row) > 1 else None, problem=problem)
        for row in connection.execute(sql).fetchall()
    ]


def back_up(connection: sqlite3.Connection, target: Path) -> None:
    """Copy the database as it is at one moment, with SQLite's online backup: writers go on meanwhile."""
    try:
        target.touch(exist_ok=False)
    except OSError as error:
        raise StorageError(
            f"the backup {target} cannot be made: it must be a new file in an existing folder"
        ) from error
    with closing(sqlite3.connect(target, isolation_level=None)) as copy:
        connection.backup(copy)
