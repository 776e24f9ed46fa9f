"""The floor: the code that a careful engineer would write by hand with the standard library.

One connection, WAL, synchronous=FULL, a head table and a versions table with the indexes that the measured queries
need, prepared statements, orjson to plain dicts. No typed objects, no exactness check, no codec, no plugins.

Several variants of every choice were timed, and the fastest is used. A head row is read before it is written, because
an UPDATE that names an indexed column rewrites its index, even if the value did not change (an upsert of all columns
costs a tenth more). Tables have rowids. SQLite evaluates paths into documents, which is faster than parsing them here.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

Fields = dict[str, Any]
"""A context as a dict with times as text, as a hand-written engine would store it."""

_INDEXED: Final = ("epic_num", "story_num", "feature", "workflow_name", "current_phase", "status")
_SCHEMA: Final = """
CREATE TABLE head (
    id INTEGER PRIMARY KEY, workflow_id TEXT NOT NULL UNIQUE, version INTEGER NOT NULL,
    epic_num INTEGER NOT NULL, story_num INTEGER, feature TEXT NOT NULL, workflow_name TEXT NOT NULL,
    current_phase TEXT NOT NULL, status TEXT NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
    document TEXT NOT NULL);
CREATE INDEX head_by_created_at ON head (created_at);
CREATE INDEX head_by_status ON head (status, created_at);
CREATE INDEX head_by_feature ON head (feature, created_at);
CREATE INDEX head_by_epic ON head (epic_num, created_at);
CREATE INDEX head_by_story ON head (epic_num, story_num, created_at);
CREATE TABLE versions (
    id INTEGER PRIMARY KEY, workflow_id TEXT NOT NULL, version INTEGER NOT NULL, epic_num INTEGER NOT NULL,
    story_num INTEGER, status TEXT NOT NULL, current_phase TEXT NOT NULL, saved_at TEXT NOT NULL, save_key TEXT,
    document TEXT NOT NULL, UNIQUE (workflow_id, version));
CREATE INDEX versions_by_story ON versions (epic_num, story_num, version);
CREATE UNIQUE INDEX versions_by_key ON versions (workflow_id, save_key) WHERE save_key IS NOT NULL;
"""
_STATE: Final = f"SELECT version, {', '.join(_INDEXED)} FROM head WHERE workflow_id = ?"
_INSERT_HEAD: Final = f"""
INSERT INTO head (workflow_id, version, {", ".join(_INDEXED)}, created_at, updated_at, document)
VALUES (?, ?, {", ".join("?" * len(_INDEXED))}, ?, ?, ?)"""
_UPDATE_HEAD: Final = "UPDATE head SET version = ?, updated_at = ?, document = ? WHERE workflow_id = ?"
_INSERT_VERSION: Final = """
INSERT INTO versions (workflow_id, version, epic_num, story_num, status, current_phase, saved_at, save_key, document)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""


def connect(path: Path) -> sqlite3.Connection:
    """Open the fastest connection that still syncs every commit to the disk."""
    connection = sqlite3.connect(path, isolation_level=None, cached_statements=256, timeout=30, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


class Floor:
    """Saves and loads dicts on one persistent connection; for one thread at a time."""

    def __init__(self, path: Path) -> None:
        self.connection = connect(path)
        with self.connection:
            if not self.connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'head'").fetchall():
                self.connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    # Writing

    def save(self, fields: Fields, *, expected: int | None = None, key: str | None = None) -> int:
        """Save one context durably."""
        execute = self.connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            version = self._save(fields, expected, key)
        except BaseException:
            execute("ROLLBACK")
            raise
        execute("COMMIT")
        return version

    def save_many(self, many: Iterable[Fields]) -> list[int]:
        """Save many in one transaction."""
        execute = self.connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            versions = [self._save(fields, None, None) for fields in many]
        except BaseException:
            execute("ROLLBACK")
            raise
        execute("COMMIT")
        return versions

    def _save(self, fields: Fields, expected: int | None, key: str | None) -> int:
        execute = self.connection.execute
        document = orjson.dumps(fields).decode()
        workflow_id = fields["workflow_id"]
        if key is not None:
            known = execute(
                "SELECT version FROM versions WHERE workflow_id = ? AND save_key = ?", (workflow_id, key)
            ).fetchone()
            if known is not None:
                return int(known[0])
        state = execute(_STATE, (workflow_id,)).fetchone()
        version = 1 if state is None else state[0] + 1
        if expected is not None and expected != version - 1:
            raise ValueError(f"{workflow_id} is at version {version - 1}, not {expected}")
        indexed = tuple([fields[name] for name in _INDEXED])
        updated_at = fields["updated_at"]
        if state is None:
            execute(_INSERT_HEAD, (workflow_id, version, *indexed, fields["created_at"], updated_at, document))
        elif state[1:] == indexed:
            execute(_UPDATE_HEAD, (version, updated_at, document, workflow_id))
        else:
            changed = [name for name, old in zip(_INDEXED, state[1:], strict=True) if fields[name] != old]
            sql = _UPDATE_HEAD.replace("SET", f"SET {' = ?, '.join(changed)} = ?,")
            execute(sql, (*(fields[name] for name in changed), version, updated_at, document, workflow_id))
        epic_num, story_num, _, _, phase, status = indexed
        saved_at = datetime.now(UTC).isoformat()
        execute(_INSERT_VERSION, (workflow_id, version, epic_num, story_num, status, phase, saved_at, key, document))
        return int(version)

    def delete(self, workflow_id: str) -> bool:
        """Remove a workflow with its versions."""
        execute = self.connection.execute
        execute("BEGIN IMMEDIATE")
        existed = execute("DELETE FROM head WHERE workflow_id = ?", (workflow_id,)).rowcount
        execute("DELETE FROM versions WHERE workflow_id = ?", (workflow_id,))
        execute("COMMIT")
        return bool(existed)

    def rollback(self, workflow_id: str, version: int) -> int:
        """Append a version equal to *version*."""
        return self.save(self.load_version(workflow_id, version))

    def fork(self, workflow_id: str, new_workflow_id: str) -> int:
        """Start a workflow from the newest version of another one."""
        return self.save({**self.load(workflow_id), "workflow_id": new_workflow_id}, expected=0)

    # Reading

    def load(self, workflow_id: str) -> Any:
        """Load the newest version."""
        return self._one("SELECT document FROM head WHERE workflow_id = ?", workflow_id)

    def load_version(self, workflow_id: str, version: int) -> Any:
        """Load one version."""
        return self._one("SELECT document FROM versions WHERE workflow_id = ? AND version = ?", workflow_id, version)

    def load_as_of(self, workflow_id: str, moment: str) -> Any:
        """Load the version that was the newest at a time."""
        sql = """SELECT document FROM versions WHERE workflow_id = ? AND saved_at <= ?
            ORDER BY version DESC LIMIT 1"""
        return self._one(sql, workflow_id, moment)

    def load_many(self, workflow_ids: list[str]) -> list[Any]:
        """Load the newest versions of many workflows, in the given order."""
        sql = f"SELECT workflow_id, document FROM head WHERE workflow_id IN ({', '.join('?' * len(workflow_ids))})"
        found = dict(self.connection.execute(sql, workflow_ids))
        return [orjson.loads(found[workflow_id]) for workflow_id in workflow_ids]

    def headers(self, workflow_id: str) -> list[tuple[Any, ...]]:
        """List a workflow's versions without their documents."""
        sql = """SELECT workflow_id, version, status, current_phase, saved_at FROM versions
            WHERE workflow_id = ? ORDER BY version"""
        return self.connection.execute(sql, (workflow_id,)).fetchall()

    def story_versions(self, epic_num: int, story_num: int | None) -> list[Any]:
        """Load every version of a story's workflows."""
        sql = "SELECT document FROM versions WHERE epic_num = ? AND story_num IS ? ORDER BY version"
        return self._all(sql, epic_num, story_num)

    def find(self, condition: str, *values: Any, limit: int = -1) -> list[Any]:
        """Load the newest states that meet a condition, newest first."""
        return self._all(
            f"SELECT document FROM head WHERE {condition} ORDER BY created_at DESC LIMIT ?", *values, limit
        )

    def find_headers(self, condition: str, *values: Any, limit: int = -1) -> list[tuple[Any, ...]]:
        """List the newest states that meet a condition without their documents, newest first."""
        sql = f"""SELECT workflow_id, version, status, current_phase, created_at, updated_at FROM head
            WHERE {condition} ORDER BY created_at DESC LIMIT ?"""
        return self.connection.execute(sql, (*values, limit)).fetchall()

    def count(self, table: str, condition: str, *values: Any) -> int:
        """Count rows of a table."""
        sql = f"SELECT count(*) FROM {table} WHERE {condition}"
        return int(self.connection.execute(sql, values).fetchone()[0])

    def stream(self, page_size: int) -> Iterator[Any]:
        """Load every head, newest first, in pages; no cursor stays open between pages."""
        page = self.connection.execute(
            "SELECT created_at, document FROM head ORDER BY created_at DESC LIMIT ?", (page_size,)
        ).fetchall()
        while page:
            yield from (orjson.loads(document) for _, document in page)
            page = self.connection.execute(
                "SELECT created_at, document FROM head WHERE created_at < ? ORDER BY created_at DESC LIMIT ?",
                (page[-1][0], page_size),
            ).fetchall()

    def export(self, target: Path) -> int:
        """Write every version to a new file of JSON Lines."""
        sql = "SELECT version, saved_at, document FROM versions ORDER BY workflow_id, version"
        count = 0
        with target.open("xb") as file:
            for version, saved_at, document in self.connection.execute(sql):
                fields = orjson.Fragment(document)
                line = {"version": version, "saved_at": saved_at, "fields": fields}
                file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
                count += 1
        return count

    def _one(self, sql: str, *values: Any) -> Any:
        return orjson.loads(self.connection.execute(sql, values).fetchone()[0])

    def _all(self, sql: str, *values: Any) -> list[Any]:
        return [orjson.loads(row[0]) for row in self.connection.execute(sql, values)]
