"""The floor: what a careful engineer would write by hand with the standard library, and nothing more.

One connection, WAL, synchronous=FULL, a head table with the indexes that the queries need, a versions table, prepared
statements, orjson to plain dicts. No typed objects, no exactness check, no conditional saves.
"""

import sqlite3
from pathlib import Path
from typing import Any

import orjson

_SCHEMA = """
CREATE TABLE head (
    workflow_id TEXT PRIMARY KEY, version INTEGER NOT NULL, epic_num INTEGER NOT NULL, story_num INTEGER,
    feature TEXT NOT NULL, status TEXT NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
    document TEXT NOT NULL);
CREATE INDEX head_by_created_at ON head (created_at);
CREATE INDEX head_by_status ON head (status, created_at);
CREATE INDEX head_by_feature ON head (feature, created_at);
CREATE INDEX head_by_story ON head (epic_num, story_num, created_at);
CREATE TABLE versions (
    workflow_id TEXT NOT NULL, version INTEGER NOT NULL, created_at TEXT NOT NULL, document TEXT NOT NULL,
    UNIQUE (workflow_id, version));
"""
_SAVE_HEAD = """
INSERT INTO head VALUES (?, 1, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (workflow_id) DO UPDATE SET version = version + 1, epic_num = excluded.epic_num,
    story_num = excluded.story_num, feature = excluded.feature, status = excluded.status,
    updated_at = excluded.updated_at, document = excluded.document
RETURNING version"""


class Floor:
    """Saves and loads dicts."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None, cached_statements=256)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = FULL")
        self.connection.executescript(_SCHEMA)

    def save(self, fields: dict[str, Any]) -> int:
        """Save one context durably."""
        self.connection.execute("BEGIN IMMEDIATE")
        version = self._save(fields)
        self.connection.execute("COMMIT")
        return version

    def save_many(self, many: list[dict[str, Any]]) -> list[int]:
        """Save many in one transaction."""
        self.connection.execute("BEGIN IMMEDIATE")
        versions = [self._save(fields) for fields in many]
        self.connection.execute("COMMIT")
        return versions

    def _save(self, fields: dict[str, Any]) -> int:
        execute = self.connection.execute
        document = orjson.dumps(fields).decode()
        key = fields["workflow_id"]
        (version,) = execute(
            _SAVE_HEAD,
            (
                key,
                fields["epic_num"],
                fields["story_num"],
                fields["feature"],
                fields["status"],
                fields["created_at"],
                fields["updated_at"],
                document,
            ),
        ).fetchone()
        execute("INSERT INTO versions VALUES (?, ?, ?, ?)", (key, version, fields["updated_at"], document))
        return int(version)

    def load(self, workflow_id: str) -> Any:
        """Load the newest state of one workflow."""
        sql = "SELECT document FROM head WHERE workflow_id = ?"
        return orjson.loads(self.connection.execute(sql, (workflow_id,)).fetchone()[0])

    def newest(self, status: str, limit: int) -> list[Any]:
        """Load the newest states of a status."""
        sql = "SELECT document FROM head WHERE status = ? ORDER BY created_at DESC LIMIT ?"
        return [orjson.loads(row[0]) for row in self.connection.execute(sql, (status, limit))]

    def history(self, workflow_id: str) -> list[Any]:
        """Load every version of a workflow."""
        sql = "SELECT document FROM versions WHERE workflow_id = ? ORDER BY version"
        return [orjson.loads(row[0]) for row in self.connection.execute(sql, (workflow_id,))]

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()
