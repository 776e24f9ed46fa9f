"""Rows of the original table that no save makes never keep the others from being opened."""

import sqlite3
from contextlib import closing

from context_core import ContextPersistence
from context_core.record_rules import LARGEST_VERSION

TABLE = """
    CREATE TABLE workflow_context (
        id INTEGER PRIMARY KEY, workflow_id TEXT, epic_num INTEGER, story_num INTEGER, feature TEXT,
        workflow_name TEXT, current_phase TEXT, status TEXT, context_data TEXT, version INTEGER,
        created_at TEXT, updated_at TEXT)"""
ROW = "INSERT INTO workflow_context VALUES (?, ?, 1, NULL, 'f', 'n', 'p', 'running', 'null', ?, '2025-01-01', '2025-01-01')"


def test_ids_and_versions_that_no_save_makes_are_made_fit(tmp_path):
    """An id that a row was given in place of its own may be another row's; the highest number leaves room for saves."""
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as old, old:
        old.execute(TABLE)
        old.executemany(ROW, [(1, " (row 2)", 1), (2, "", 2**63 - 1), (3, "x" * 300, 1), (4, "ok", 3)])
    with ContextPersistence(path) as store:
        heads = {head.workflow_id: head.version for head in store.list_headers()}
        assert {" (row 2)": 1, " (row 2)*": LARGEST_VERSION, "ok": 3}.items() <= heads.items()
        assert len(heads) == 4
        assert len(store.verify().damages) >= 4
