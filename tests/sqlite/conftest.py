"""Databases that were made by others: by the original code, or by people who have nothing to do with us."""

import json
import sqlite3
from contextlib import closing

import pytest

ORIGINAL_TABLE = """
    CREATE TABLE workflow_context(
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        workflow_id TEXT UNIQUE NOT NULL,
        epic_num INTEGER NOT NULL,
        story_num INTEGER,
        feature TEXT NOT NULL,
        workflow_name TEXT NOT NULL,
        current_phase TEXT NOT NULL,
        status TEXT NOT NULL CHECK(status IN ('running', 'completed', 'failed', 'paused')),
        context_data TEXT NOT NULL,
        version INTEGER NOT NULL DEFAULT 1,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL
    )"""
ORIGINAL_INDEXES = (
    "CREATE INDEX idx_context_workflow_id ON workflow_context(workflow_id)",
    "CREATE INDEX idx_context_epic_story ON workflow_context(epic_num, story_num)",
    "CREATE INDEX idx_context_status ON workflow_context(status)",
    "CREATE INDEX idx_context_created_at ON workflow_context(created_at)",
    "CREATE INDEX idx_context_feature ON workflow_context(feature)",
)
CREATED_AT = "2024-05-06T07:08:09.123456"
UPDATED_AT = "2024-05-07T00:00:00"


def original_fields(workflow_id, **changes):
    """A document's fields as the original code wrote them: naive times, no schema number."""
    return {
        "workflow_id": workflow_id,
        "epic_num": 3,
        "story_num": 7,
        "feature": "checkout",
        "workflow_name": "implement_story",
        "current_phase": "review",
        "phase_history": [{"phase": "initialization", "timestamp": "2024-05-06T08:00:00.5", "duration": 3110.376544}],
        "decisions": {"database": {"choice": "sqlite"}, "naïve": "ünïcode"},
        "artifacts": ["src/main.py"],
        "errors": [],
        "status": "paused",
        "created_at": CREATED_AT,
        "updated_at": UPDATED_AT,
        "metadata": {"tries": 3},
        "tags": ["urgent", "api"],
    } | changes


class OriginalDatabase:
    """A file of the original single-table schema, filled without any code of ours."""

    def __init__(self, path, *, indexes=ORIGINAL_INDEXES):
        self.path = path
        self.run(ORIGINAL_TABLE, *indexes)

    def add(self, workflow_id, *, version=1, document=None, columns=None, **changes):
        """Insert a row as the original code did; *document* and *columns* replace what it would have written."""
        fields = original_fields(workflow_id, **changes)
        row = {name: fields[name] for name in COLUMNS_FROM_FIELDS}
        row |= {"context_data": json.dumps(fields, indent=2) if document is None else document, "version": version}
        row |= columns or {}
        with closing(sqlite3.connect(self.path)) as connection, connection:
            names, marks = ", ".join(row), ", ".join("?" * len(row))
            connection.execute(f"INSERT INTO workflow_context ({names}) VALUES ({marks})", list(row.values()))
        return fields

    def run(self, *statements):
        """Run statements and return the rows of the last."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            return [connection.execute(statement).fetchall() for statement in statements][-1]


COLUMNS_FROM_FIELDS = (
    "workflow_id",
    "epic_num",
    "story_num",
    "feature",
    "workflow_name",
    "current_phase",
    "status",
    "created_at",
    "updated_at",
)


@pytest.fixture
def original(tmp_path):
    """An empty database of the original schema, with all its indexes."""
    return OriginalDatabase(tmp_path / "gao_dev.db")


@pytest.fixture
def make_original(tmp_path):
    """Makes databases of the original schema with the indexes that it is given."""

    def make(name, indexes):
        return OriginalDatabase(tmp_path / name, indexes=indexes)

    return make


@pytest.fixture
def schema_of():
    """Reads a file's schema as SQLite keeps it, its own tables left out."""

    def read(path):
        with closing(sqlite3.connect(path)) as connection:
            rows = connection.execute(
                "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
            )
            return sorted(rows, key=repr)

    return read
