"""Other hashes beside the idempotency keys of stored versions."""

import sqlite3
from collections.abc import Sequence
from typing import Final

from context_core.maintenance import KeptHash

_TRIGGER: Final = "workflow_context_versions_no_update"
_HAS_OTHER: Final = """
    SELECT 1 FROM workflow_context_versions
    WHERE workflow_id = ? AND version = ? AND idempotency_key IS NOT NULL AND content_hash IS NOT ?"""
_KEEP: Final = "UPDATE workflow_context_versions SET content_hash = ? WHERE workflow_id = ? AND version = ?"


def rehash(connection: sqlite3.Connection, hashes: Sequence[KeptHash]) -> None:
    """Replace hashes, inside a transaction.

    The trigger that refuses every change of a version stands aside meanwhile: to other connections it was never gone, as
    all of this is one transaction. What the trigger was is what it becomes.
    """
    others = [
        (kept.content_hash, kept.workflow_id, kept.version)
        for kept in hashes
        if connection.execute(_HAS_OTHER, (kept.workflow_id, kept.version, kept.content_hash)).fetchone()
    ]
    if not others:
        return
    trigger = connection.execute(
        "SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND name = ?", (_TRIGGER,)
    ).fetchone()
    if trigger is not None:
        connection.execute(f"DROP TRIGGER {_TRIGGER}")
    connection.executemany(_KEEP, others)
    if trigger is not None:
        connection.execute(trigger[0])
