"""States that this driver does not make: text that is no UTF-8, and heads and histories that do not belong together."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import orjson

from context_core.errors import DamagedHistoryError

NEWEST_OF_HEAD: Final = """
    (SELECT version FROM workflow_context_versions WHERE workflow_id = head.workflow_id ORDER BY version DESC LIMIT 1)"""
"""Beside a row of workflow_context AS head: the number of the newest version, NULL where there is none."""

HEAD_OF_VERSION: Final = "(SELECT version FROM workflow_context WHERE workflow_id = stored.workflow_id)"
NEWEST_OF_VERSION: Final = """
    (SELECT version FROM workflow_context_versions AS newest WHERE newest.workflow_id = stored.workflow_id
    ORDER BY newest.version DESC LIMIT 1)"""
"""Beside a row of workflow_context_versions AS stored: where its head stands, and the newest version."""

ORPHANS: Final = """
    SELECT workflow_id, max(version) FROM workflow_context_versions AS stored
    WHERE NOT EXISTS (SELECT 1 FROM workflow_context WHERE workflow_id = stored.workflow_id)
    GROUP BY workflow_id ORDER BY workflow_id"""
"""Histories without a head."""

_STANDINGS: Final = """
    SELECT value, (SELECT version FROM workflow_context WHERE workflow_id = value),
        (SELECT max(version) FROM workflow_context_versions WHERE workflow_id = value)
    FROM json_each(?)"""


def check_histories(connection: sqlite3.Connection, workflow_ids: Sequence[str]) -> None:
    """As `DamagedHistoryError.check`, for workflows that are looked up in one statement."""
    for standing in connection.execute(_STANDINGS, (orjson.dumps(list(workflow_ids)).decode(),)).fetchall():
        DamagedHistoryError.check(*standing)


def shown_text(value: str | bytes) -> str:
    """Return text as it is, and bytes that are none in a form that can be shown."""
    return value if isinstance(value, str) else value.decode("utf-8", "backslashreplace")


@contextmanager
def lenient(connection: sqlite3.Connection) -> Iterator[None]:
    """Give text that is no UTF-8 as bytes, inside the block. It costs a call for each text."""
    connection.text_factory = _text_or_bytes
    try:
        yield
    finally:
        connection.text_factory = str


def _text_or_bytes(raw: bytes) -> str | bytes:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def rows(connection: sqlite3.Connection, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Run a statement and return its rows; text that is no UTF-8 is given as bytes."""
    try:
        return connection.execute(sql, parameters).fetchall()
    except sqlite3.OperationalError as error:
        if hasattr(error, "sqlite_errorcode"):
            raise
    # Python's sqlite3 could not decode a text, and tells no row: all are read again.
    with lenient(connection):
        return connection.execute(sql, parameters).fetchall()
