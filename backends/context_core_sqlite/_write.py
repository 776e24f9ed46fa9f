"""Saving and deleting, inside a transaction that the caller holds."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import attrs

from context_core import write_rules
from context_core.columns import RECORD_COLUMNS
from context_core.errors import CorruptDocumentError, DamagedHistoryError
from context_core.records import (
    Clock,
    Deleted,
    DeleteRequest,
    Operation,
    Outcome,
    Restored,
    RestoreRequest,
    RestoreTombstoneRequest,
    SavedVersion,
    SaveRequest,
    time_to_text,
)
from context_core.write_rules import KnownKey, Standing
from context_core_sqlite._damage import NEWEST_OF_HEAD, rows
from context_core_sqlite._foreign_keys import refusals_named
from context_core_sqlite._history import BASE_SAVED_AT, Packer, guarded
from context_core_sqlite._rows import document_value, record_values

REPACKED_AT_ONCE: Final = 200
"""How many versions one transaction packs anew, so that writers get their turn."""

_HEAD: Final = f"""
    SELECT version, {NEWEST_OF_HEAD}, {BASE_SAVED_AT}, {", ".join(RECORD_COLUMNS)} FROM workflow_context AS head WHERE workflow_id = ?"""
_WITHOUT_HEAD: Final = """
    SELECT (SELECT last_version FROM workflow_context_tombstones WHERE workflow_id = ?),
        (SELECT deleted_at FROM workflow_context_tombstones WHERE workflow_id = ?),
        (SELECT max(version) FROM workflow_context_versions WHERE workflow_id = ?)"""
_VERSION_OF_KEY: Final = """
    SELECT version, saved_at, content_hash FROM workflow_context_versions
    WHERE workflow_id = ? AND idempotency_key = ?"""

_INSERT_HEAD: Final = f"""
    INSERT INTO workflow_context (workflow_id, version, {", ".join(RECORD_COLUMNS)}, document)
    VALUES (?, ?, {", ".join("?" * len(RECORD_COLUMNS))}, ?)"""
_FOLLOWING: Final = tuple(place for place, column in enumerate(RECORD_COLUMNS) if column != "created_at")
"""The places among RECORD_COLUMNS of those that follow the newest version."""
_SAVED_AT: Final = RECORD_COLUMNS.index("saved_at")
_INSERT_VERSION: Final = f"""
    INSERT INTO workflow_context_versions (workflow_id, version, {", ".join(RECORD_COLUMNS)},
        idempotency_key, content_hash, origin_workflow_id, origin_version, base_version, document)
    VALUES (?, ?, {", ".join("?" * len(RECORD_COLUMNS))}, ?, ?, ?, ?, ?, ?)"""


_WRITE_TOMBSTONE: Final = """
    INSERT INTO workflow_context_tombstones (workflow_id, last_version, deleted_at) VALUES (?, ?, ?)
    ON CONFLICT (workflow_id) DO UPDATE SET last_version = excluded.last_version, deleted_at = excluded.deleted_at"""


@attrs.frozen(slots=False)  # made at each save: attrs fills the __dict__ of a frozen class faster than its slots
class _Head:
    """Where a workflow stands: its newest version, or that of its tombstone where it does not exist.

    *values* are those of RECORD_COLUMNS; empty for a tombstone. *base_saved_at* is the time of the version that the next
    one should lean on, None where there is none. *newest* is the number of the newest version, which should be the
    head's; None where there is no version.
    """

    workflow_id: str
    version: int = 0
    saved_at: str = ""
    values: tuple[Any, ...] = ()
    base_saved_at: str | None = None
    newest: int | None = None

    @property
    def exists(self) -> bool:
        """Whether there is a version to load."""
        return bool(self.values)

    @property
    def standing(self) -> Standing:
        """The workflow as the rules of a write see it."""
        return Standing(self.workflow_id, self.version, _read_time(self.saved_at), exists=bool(self.values))


@attrs.frozen
class Writer:
    """Writes within a transaction that the caller holds.

    Attributes:
        clock: Where `saved_at` times come from; it is read inside the transaction.
        limit_bytes: How large a document may be.
        packer: How documents of versions are stored.
    """

    clock: Clock
    limit_bytes: int
    packer: Packer = attrs.Factory(Packer)

    def save(self, connection: sqlite3.Connection, request: SaveRequest) -> SavedVersion:
        """Append a version and make it the head."""
        record = request.record
        known = _known_key(connection, request)
        head = _sound_head(connection, record.workflow_id)
        saved = write_rules.save(request, head.standing, known, clock=self.clock, limit_bytes=self.limit_bytes)
        if not saved.is_replay:
            self._append(connection, head, saved.version, request, record_values(record, saved.saved_at))
        return saved

    def restore(self, connection: sqlite3.Connection, request: RestoreRequest) -> Restored:
        """Append a version at its own number and time."""
        record = request.record
        head = _sound_head(connection, record.workflow_id)
        write_rules.restore(request, head.standing, _known_key(connection, request), limit_bytes=self.limit_bytes)
        self._append(connection, head, request.version, request, record_values(record, request.saved_at))
        if not head.exists and request.workflow_created_at != record.created_at:
            connection.execute(
                "UPDATE workflow_context SET created_at = ? WHERE workflow_id = ?",
                (time_to_text(request.workflow_created_at), record.workflow_id),
            )
        return Restored()

    def delete(self, connection: sqlite3.Connection, request: DeleteRequest) -> Deleted:
        """Remove every row of a workflow and leave a tombstone."""
        workflow_id = request.workflow_id
        head = _head(connection, workflow_id)
        standing = head.standing
        if head.newest is not None:
            # A deletion that was broken off, or was made from outside in one table alone, is finished.
            standing = attrs.evolve(standing, version=max(head.version, head.newest), exists=True)
        deleted_at = write_rules.delete(request, standing, clock=self.clock)
        if deleted_at is None:
            return Deleted(existed=False)
        with refusals_named(connection, workflow_id):
            with guarded(connection, workflow_id):
                connection.execute("DELETE FROM workflow_context_versions WHERE workflow_id = ?", (workflow_id,))
            connection.execute("DELETE FROM workflow_context WHERE workflow_id = ?", (workflow_id,))
        connection.execute(_WRITE_TOMBSTONE, (workflow_id, standing.version, time_to_text(deleted_at)))
        return Deleted(existed=True)

    def apply(self, connection: sqlite3.Connection, operations: Sequence[Operation]) -> list[Outcome]:
        """Do the operations of a batch, in order."""
        return [self._apply(connection, operation) for operation in operations]

    def _apply(self, connection: sqlite3.Connection, operation: Operation) -> Outcome:
        if isinstance(operation, SaveRequest):
            return self.save(connection, operation)
        if isinstance(operation, DeleteRequest):
            return self.delete(connection, operation)
        if isinstance(operation, RestoreRequest):
            return self.restore(connection, operation)
        return restore_tombstone(connection, operation)

    def repack(self, connection: sqlite3.Connection, after: tuple[str, int]) -> tuple[str, int] | None:
        """Pack some versions behind *after* that are stored as they are; return the last, None at the end."""
        return self.packer.repack(connection, after, REPACKED_AT_ONCE)

    def _append(
        self,
        connection: sqlite3.Connection,
        head: _Head,
        version: int,
        request: SaveRequest | RestoreRequest,
        values: tuple[Any, ...],
    ) -> None:
        """Write a version, and the head that follows it."""
        record, key, origin = request.record, request.idempotency, request.origin
        document = document_value(record)
        if head.exists:
            _update_head(connection, head, version, values, document)
        else:
            connection.execute(_INSERT_HEAD, (head.workflow_id, version, *values, document))
        lineage = (
            key.key if key is not None else None,
            key.content_hash if key is not None else None,
            origin.workflow_id if origin is not None else None,
            origin.version if origin is not None else None,
        )
        stored: tuple[int | None, str | bytes] = None, document
        if record.save_id is None:  # what went through a codec of the store has nothing in common with anything
            stored = self.packer.pack(connection, head.workflow_id, version, record.document, head.base_saved_at)
            self.packer.wrote(head.workflow_id, version, values[_SAVED_AT], record.document)
        connection.execute(_INSERT_VERSION, (head.workflow_id, version, *values, *lineage, *stored))


def restore_tombstone(connection: sqlite3.Connection, request: RestoreTombstoneRequest) -> Restored:
    """Leave a tombstone, as if a workflow had been deleted."""
    write_rules.restore_tombstone(request, _sound_head(connection, request.workflow_id).standing)
    connection.execute(_WRITE_TOMBSTONE, (request.workflow_id, request.last_version, time_to_text(request.deleted_at)))
    return Restored()


def _head(connection: sqlite3.Connection, workflow_id: str) -> _Head:
    found = rows(connection, _HEAD, (workflow_id,))
    if found:
        version, newest, base_saved_at, *values = found[0]
        return _Head(workflow_id, version, values[_SAVED_AT], tuple(values), base_saved_at, newest)
    last_version, deleted_at, newest = rows(connection, _WITHOUT_HEAD, (workflow_id,) * 3)[0]
    return _Head(workflow_id, last_version or 0, deleted_at or "", newest=newest)


def _sound_head(connection: sqlite3.Connection, workflow_id: str) -> _Head:
    """As `_head`; a workflow that nothing may be written to is refused (CR07)."""
    head = _head(connection, workflow_id)
    if head.newest != (head.version if head.exists else None):
        DamagedHistoryError.check(workflow_id, head.version if head.exists else None, head.newest)
    return head


def _read_time(text: Any) -> datetime | None:
    """Read a stored time; None for what is none, which holds nothing back."""
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo is not None else None


def _update_head(
    connection: sqlite3.Connection, head: _Head, version: int, values: tuple[Any, ...], document: str | bytes
) -> None:
    """Set only the columns that change: SQLite rewrites the indexes of every column that is named, changed or not."""
    changed = [place for place in _FOLLOWING if values[place] != head.values[place]]
    assignments = "".join(f"{RECORD_COLUMNS[place]} = ?, " for place in changed)
    connection.execute(
        f"UPDATE workflow_context SET version = ?, {assignments}document = ? WHERE workflow_id = ?",
        (version, *(values[place] for place in changed), document, head.workflow_id),
    )


def _known_key(connection: sqlite3.Connection, request: SaveRequest | RestoreRequest) -> KnownKey | None:
    """The version that has the request's idempotency key."""
    key, workflow_id = request.idempotency, request.record.workflow_id
    found: list[Any] = [] if key is None else rows(connection, _VERSION_OF_KEY, (workflow_id, key.key))
    if not found:
        return None
    version, saved_at, content_hash = found[0]
    moment = _read_time(saved_at)
    if moment is None:
        raise CorruptDocumentError(workflow_id=workflow_id, version=version, problem="its saved_at is no time")
    return KnownKey(version, moment, content_hash)
