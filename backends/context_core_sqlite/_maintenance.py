"""Pruning, verifying and backing up."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson

from context_core.columns import HEADER_COLUMNS, VERSION_COLUMNS
from context_core.errors import StorageError
from context_core.history_codec import PackedVersion, Unpacker
from context_core.maintenance import Examination, PrunedRange, PruneRequest, VerifyReport
from context_core.records import time_to_text
from context_core_sqlite import _history, _schema
from context_core_sqlite._damage import ORPHANS, lenient, rows, shown_text
from context_core_sqlite._foreign_keys import refusals_named
from context_core_sqlite._history import one_view
from context_core_sqlite._repair import GUARDS
from context_core_sqlite._rows import header, is_time

_VERSION: Final = ", ".join(VERSION_COLUMNS)
_COMMON: Final = (*HEADER_COLUMNS, "save_id")
# In an order in which what a version leans on was just read; beside the newest one stands its head's document.
_ALL_VERSIONS: Final = f"""
    SELECT {_VERSION}, CAST(document AS BLOB), save_id, base_version, (
        SELECT CAST(document AS BLOB) FROM workflow_context
        WHERE workflow_id = stored.workflow_id AND version = stored.version)
    FROM workflow_context_versions AS stored ORDER BY workflow_id, version"""
_HEADS_ADRIFT: Final = f"""
    SELECT head.workflow_id, newest.version FROM workflow_context AS head
    LEFT JOIN workflow_context_versions AS newest ON newest.workflow_id = head.workflow_id
        AND newest.version = (SELECT max(version) FROM workflow_context_versions WHERE workflow_id = head.workflow_id)
    WHERE newest.version IS NULL
        OR {" OR ".join(f"head.{column} IS NOT newest.{column}" for column in _COMMON if column != "created_at")}"""
_HEAD_TIMES: Final = "SELECT workflow_id, version, created_at FROM workflow_context ORDER BY workflow_id"
_TOMBSTONES: Final = "SELECT workflow_id, deleted_at FROM workflow_context_tombstones ORDER BY workflow_id"
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
        for workflow_id, first, last in rows(connection, sql, values)
        if isinstance(workflow_id, str)
    ]


def forget(connection: sqlite3.Connection, ranges: list[PrunedRange]) -> None:
    """Remove versions below their heads, inside a transaction.

    The head may have moved on, or the workflow may be gone, since the ranges were named: what is below the head of now
    and within the range goes, nothing else.
    """
    for pruned in ranges:
        head = connection.execute(
            "SELECT version FROM workflow_context WHERE workflow_id = ?", (pruned.workflow_id,)
        ).fetchone()
        if head is not None:
            with refusals_named(connection, pruned.workflow_id):
                _history.forget(connection, pruned.workflow_id, pruned.first, min(pruned.last, head[0] - 1))


def verify(connection: sqlite3.Connection, _: None) -> VerifyReport:
    """Check SQLite's structures, then each row by itself, then how rows stand to each other."""
    found = Examination()
    with one_view(connection) as unpacker, lenient(connection):
        for (line,) in connection.execute("PRAGMA integrity_check").fetchall():
            if line != "ok":
                found.storage(shown_text(line))
        differences = _schema.differences(connection)
        for difference in differences:
            found.storage(str(difference))
        if any(difference.is_missing_table for difference in differences):
            return found.report()  # its rows cannot be asked for
        for workflow_id, version in connection.execute(_HEADS_ADRIFT).fetchall():
            found.head_differs(shown_text(workflow_id), version)
        with closing(connection.execute(_ALL_VERSIONS)) as versions:
            for *columns, stored, save_id, base, head_document in versions:
                workflow_id, version = shown_text(columns[0]), columns[1]
                read = partial(_read, found, unpacker, columns, PackedVersion(base, stored))
                found.version(workflow_id, version, read, is_encoded=save_id is not None, head_document=head_document)
        _verify_heads(connection, found)
        for workflow_id, _newest in connection.execute(ORPHANS).fetchall():
            found.without_head(shown_text(workflow_id))
        for workflow_id, newest in connection.execute(_GAPS).fetchall():
            found.gap(shown_text(workflow_id), newest)
        _verify_left_over(connection, found)
    return found.report()


def _read(found: Examination, unpacker: Unpacker, columns: Sequence[Any], packed: PackedVersion) -> bytes:
    described = header(columns)
    found.saved(described.workflow_id, described.version, described.saved_at)
    return unpacker.plain(described.workflow_id, described.version, packed)


def _verify_heads(connection: sqlite3.Connection, found: Examination) -> None:
    """The time of creation is the one column of a head that need not be that of its version."""
    for workflow_id, version, created_at in connection.execute(_HEAD_TIMES).fetchall():
        if not is_time(created_at):
            found.damage(shown_text(workflow_id), version, "the current state's created_at is no time")


def _verify_left_over(connection: sqlite3.Connection, found: Examination) -> None:
    """Check what should be no more than an id, a number and a time; and what should not be there at all."""
    for workflow_id, deleted_at in connection.execute(_TOMBSTONES).fetchall():
        if not isinstance(workflow_id, str) or not is_time(deleted_at):
            found.damage(shown_text(workflow_id), None, "its tombstone has an id or a time that is none")
    for (workflow_id,) in connection.execute(GUARDS).fetchall():
        found.damage(shown_text(workflow_id), None, "the guard of a deletion was left behind")


_UNFINISHED: Final = "CREATE TABLE workflow_context (unfinished_backup)"
"""What a copy holds until it is whole: a file that a killed backup leaves opens as a foreign database, not as a new one."""


def back_up(connection: sqlite3.Connection, target: Path) -> None:
    """Copy the database as it is at one moment, with SQLite's online backup: writers go on meanwhile."""
    try:
        target.touch(exist_ok=False)
    except OSError as error:
        raise StorageError(
            f"the backup {target} cannot be made: it must be a new file in an existing folder"
        ) from error
    with closing(sqlite3.connect(target, isolation_level=None)) as copy:
        copy.execute(_UNFINISHED)
        connection.backup(copy)
