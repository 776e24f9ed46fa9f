"""The SQLite backend keeps the contract."""

import contextlib
import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from context_core.history_codec import unpack
from context_core_conformance import BackendContract

ORIGINAL_TABLE = """
    CREATE TABLE workflow_context(
        id INTEGER PRIMARY KEY AUTOINCREMENT, workflow_id TEXT UNIQUE NOT NULL, epic_num INTEGER NOT NULL,
        story_num INTEGER, feature TEXT NOT NULL, workflow_name TEXT NOT NULL, current_phase TEXT NOT NULL,
        status TEXT NOT NULL, context_data TEXT NOT NULL, version INTEGER NOT NULL DEFAULT 1,
        created_at TEXT NOT NULL, updated_at TEXT NOT NULL)"""


def original_row(number: int) -> dict[str, object]:
    """A row as the original code wrote it, of a workflow that is at version *number*."""
    row: dict[str, object] = {
        "workflow_id": f"w{number:03}",
        "epic_num": number,
        "story_num": 1,
        "feature": "checkout",
        "workflow_name": "implement_story",
        "current_phase": "review",
        "status": "paused",
        "created_at": "2024-05-06T07:08:09",
        "updated_at": "2024-05-06T07:08:09",
    }
    more = {
        "phase_history": [],
        "decisions": {},
        "artifacts": [],
        "errors": [],
        "metadata": {"n": "x" * 2_000},
        "tags": [],
    }
    return row | {"version": number, "context_data": json.dumps(row | more)}


class TestSqlite(BackendContract):
    def fresh_url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/store.db"

    def older_url(self, folder: Path) -> str:
        path = folder / "original.db"
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(ORIGINAL_TABLE)
            for row in map(original_row, range(1, 301)):
                marks = ", ".join("?" * len(row))
                connection.execute(f"INSERT INTO workflow_context ({', '.join(row)}) VALUES ({marks})", [*row.values()])
        return f"sqlite:///{path}"

    def backup_url(self, path: Path) -> str:
        return f"sqlite:///{path}"

    def raw_storage(self, url: str) -> Iterable[bytes]:
        """Every row, and the documents of packed versions as they were before packing."""
        path = url.removeprefix("sqlite:///")
        with contextlib.closing(sqlite3.connect(path)) as connection:
            yield from _documents(connection)
            connection.text_factory = bytes
            tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
            for (name,) in tables:
                for row in connection.execute(f'SELECT * FROM "{name.decode()}" ORDER BY 1'):
                    yield b"\t".join(value if isinstance(value, bytes) else repr(value).encode() for value in row)


def _documents(connection: sqlite3.Connection) -> Iterable[bytes]:
    """Unpack without the driver: a version leans on an earlier one of its workflow."""
    plain: dict[tuple[str, int], bytes] = {}
    rows = """SELECT workflow_id, version, base_version, CAST(document AS BLOB) FROM workflow_context_versions
        ORDER BY workflow_id, version"""
    for workflow_id, version, base, stored in connection.execute(rows):
        document = stored
        if base is not None:
            document = unpack(stored, None if base == version else plain[workflow_id, base])
        plain[workflow_id, version] = document
        yield document
