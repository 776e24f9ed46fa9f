"""Saving and deleting, inside a transaction that the caller holds."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import attrs

from context_core.columns import RECORD_COLUMNS
from context_core.errors import (
    ContextNotFoundError,
    CorruptDocumentError,
    IdempotencyConflictError,
    LimitExceededError,
    RestoreConflictError,
    VersionConflictError,
)
from context_core.records import (
    Clock,
    ContextRecord,
    Deleted,
    DeleteRequest,
    IdempotencyKey,
    Operation,
    Outcome,
    Restored,
    RestoreRequest,
    RestoreTombstoneRequest,
    SavedVersion,
    SaveRequest,
    time_to_text,
)
from context_core_sqlite._damage import NEWEST_OF_HEAD, check_histories, check_standing, rows
from context_core_sqlite._foreign_keys import refusals_named
from context_core_sqlite._history import BASE_SAVED_AT, Packer, guarded
from context_core_sqlite._rows import document_value, record_values

REPACKED_AT_ONCE: Final = 200
"""How many versions one transaction packs anew, so that writers get their turn."""

_HEAD: Final = f"""
    SELECT version, {NEWEST_OF_HEAD}, {BASE_SAVED_AT}, {", ".join(RECORD_COLUMNS)} FROM workflow_context AS head WHERE workflow_id = ?"""
_WITHOUT_HEAD: Final = """
    SELECT (SELECT last_version FROM workflow_context_tombstones WHERE workflow_id = ?1),
        (SELECT deleted_at FROM workflow_context_tombstones WHERE workflow_id = ?1),
        (SELECT max(version) FROM workflow_context_versions WHERE workflow_id = ?1)"""
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


_BURY: Final = """
    INSERT INTO workflow_context_tombstones (workflow_id, last_version, deleted_at) VALUES (?, ?, ?)
    ON CONFLICT (workflow_id) DO UPDATE SET last_version = excluded.last_version, deleted_at = excluded.deleted_at"""


@attrs.frozen
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
    def actual(self) -> int:
        """The version that a writer may expect: 0 where the workflow does not exist."""
        return self.version if self.values else 0


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
        record, key = request.record, request.idempotency
        workflow_id = record.workflow_id
        self._check_size(record)
        if key is not None:
            known = _replay(connection, workflow_id, key)
            if known is not None:
                return known
        head = _standing(connection, workflow_id)
        if request.must_exist and not head.exists:
            raise ContextNotFoundError(workflow_id=workflow_id)
        _check_expected(workflow_id, head.actual, request.expected_version)
        version = head.version + 1
        saved_at = self._saved_at(head)
        self._append(connection, head, version, request, record_values(record, saved_at))
        return SavedVersion(version=version, saved_at=saved_at)

    def restore(self, connection: sqlite3.Connection, request: RestoreRequest) -> Restored:
        """Append a version at its own number and time."""
        record = request.record
        self._check_size(record)
        head = _standing(connection, record.workflow_id)
        follows = request.version == head.version + 1 if head.exists else request.version > head.version
        values = record_values(record, request.saved_at)
        key = request.idempotency
        is_taken = key is not None and _version_of_key(connection, record.workflow_id, key.key) is not None
        seen = _read_time(head.saved_at) if head.exists else None
        if not follows or is_taken or (seen is not None and request.saved_at < seen):
            raise RestoreConflictError(
                workflow_id=record.workflow_id, version=request.version, head_version=head.version
            )
        self._append(connection, head, request.version, request, values)
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
        # A deletion that was broken off, or was made from outside in one table alone, is finished.
        last_version = max(head.version, head.newest or 0)
        exists = head.exists or head.newest is not None
        _check_expected(workflow_id, last_version if exists else 0, request.expected_version)
        if not exists:
            return Deleted(existed=False)
        deleted_at = time_to_text(self._saved_at(head))
        with refusals_named(connection, workflow_id):
            with guarded(connection, workflow_id):
                connection.execute("DELETE FROM workflow_context_versions WHERE workflow_id = ?", (workflow_id,))
            connection.execute("DELETE FROM workflow_context WHERE workflow_id = ?", (workflow_id,))
        connection.execute(_BURY, (workflow_id, last_version, deleted_at))
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

    def _check_size(self, record: ContextRecord) -> None:
        size_bytes = len(record.document)
        if size_bytes > self.limit_bytes:
            raise LimitExceededError(what="the document in bytes", actual=size_bytes, limit=self.limit_bytes)

    def _saved_at(self, head: _Head) -> datetime:
        """The clock's time, or that of the head or tombstone where the clock went back (VE08)."""
        now = self.clock()
        seen = _read_time(head.saved_at)
        return now if seen is None else max(now, seen)


def restore_tombstone(connection: sqlite3.Connection, request: RestoreTombstoneRequest) -> Restored:
    """Leave a tombstone, as if a workflow had been deleted."""
    head = _standing(connection, request.workflow_id)
    if head.exists or request.last_version < head.version:
        raise RestoreConflictError(
            workflow_id=request.workflow_id, version=request.last_version, head_version=head.version
        )
    connection.execute(_BURY, (request.workflow_id, request.last_version, time_to_text(request.deleted_at)))
    return Restored()


def _head(connection: sqlite3.Connection, workflow_id: str) -> _Head:
    found = rows(connection, _HEAD, (workflow_id,))
    if found:
        version, newest, base_saved_at, *values = found[0]
        return _Head(workflow_id, version, values[_SAVED_AT], tuple(values), base_saved_at, newest)
    last_version, deleted_at, newest = rows(connection, _WITHOUT_HEAD, (workflow_id,))[0]
    return _Head(workflow_id, last_version or 0, deleted_at or "", newest=newest)


def _standing(connection: sqlite3.Connection, workflow_id: str) -> _Head:
    """As `_head`; a workflow that nothing may be written to is refused (CR07)."""
    head = _head(connection, workflow_id)
    if head.newest != (head.version if head.exists else None):
        check_standing(workflow_id, head.version if head.exists else None, head.newest)
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


def _check_expected(workflow_id: str, actual: int, expected: int | None) -> None:
    if expected is not None and expected != actual:
        raise VersionConflictError(workflow_id=workflow_id, expected=expected, actual=actual)


def _version_of_key(connection: sqlite3.Connection, workflow_id: str, key: str) -> tuple[int, str, bytes | None] | None:
    found: list[Any] = rows(connection, _VERSION_OF_KEY, (workflow_id, key))
    return found[0] if found else None


def _replay(connection: sqlite3.Connection, workflow_id: str, key: IdempotencyKey) -> SavedVersion | None:
    row = _version_of_key(connection, workflow_id, key.key)
    if row is None:
        return None
    version, saved_at, content_hash = row
    if not key.stands_for(version, content_hash):
        raise IdempotencyConflictError(workflow_id=workflow_id, key=key.key, version=version)
    check_histories(connection, (workflow_id,))
    moment = _read_time(saved_at)
    if moment is None:
        raise CorruptDocumentError(workflow_id=workflow_id, version=version, problem="its saved_at is no time")
    return SavedVersion(version=version, saved_at=moment, is_replay=True)
