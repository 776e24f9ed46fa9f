"""What a transaction of several statements will write: judged operation by operation, from where its workflows stand.

The rows are locked before, so that nothing read here can change, and all is written after; nothing here asks the
database.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import attrs

from context_core.errors import (
    ContextNotFoundError,
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
    Operation,
    Outcome,
    Restored,
    RestoreRequest,
    RestoreTombstoneRequest,
    SavedVersion,
    SaveRequest,
)
from context_core_postgres._rows import record_values


@attrs.frozen
class KnownKey:
    """The version that an idempotency key stands for."""

    version: int
    saved_at: datetime
    content_hash: bytes | None


@attrs.define
class Standing:
    """Where a workflow stands: its newest version, or that of its tombstone where it does not exist.

    Attributes:
        version: 0 where there is neither.
        saved_at: Of the newest version, or the tombstone's `deleted_at`.
        created_at: The head's, where the workflow exists.
        oldest: Its oldest version, where it exists.
        had_head: Whether there is a row in the head table to begin with.
        last_buried: The last version of the tombstone that there is to begin with, or 0.
        keys: Those that its versions have, as far as the transaction asks for them.
        is_orphan: Whether there are versions and no head.
        is_purged: Whether the versions that there were to begin with go.
        buried: Last version and time of the tombstone that is to be written, if any.
        appended: What is to be appended to the versions; the head's row follows the last.
    """

    workflow_id: str
    version: int = 0
    saved_at: datetime | None = None
    created_at: datetime | None = None
    oldest: int = 0
    had_head: bool = False
    last_buried: int = 0
    keys: dict[str, KnownKey] = attrs.Factory(dict)
    is_orphan: bool = False
    is_purged: bool = False
    buried: tuple[int, datetime] | None = None
    appended: list[dict[str, Any]] = attrs.Factory(list)

    @property
    def exists(self) -> bool:
        """Whether there is a version to load."""
        return self.created_at is not None

    @property
    def is_claimed(self) -> bool:
        """Whether only a tombstone is to be written, of what has no row to lock."""
        return self.buried is not None and not self.had_head and not self.exists

    @property
    def is_new(self) -> bool:
        """Whether something is to be written of what has no row to lock."""
        return not self.had_head and (bool(self.appended) or self.buried is not None)

    @property
    def actual(self) -> int:
        """The version that a writer may expect: 0 where the workflow does not exist."""
        return self.version if self.exists else 0


def check_size(record: ContextRecord, limit_bytes: int) -> None:
    """Refuse a document that is too large."""
    size_bytes = len(record.document)
    if size_bytes > limit_bytes:
        raise LimitExceededError(what="the document in bytes", actual=size_bytes, limit=limit_bytes)


@attrs.frozen
class Ledger:
    """Judges operations in their order, each seeing those before it.

    Attributes:
        clock: Where `saved_at` times come from; it is read inside the transaction.
        limit_bytes: How large a document may be.
        standings: Where each workflow of the transaction stands, by id.
    """

    clock: Clock
    limit_bytes: int
    standings: dict[str, Standing]

    def judge(self, operations: Iterable[Operation]) -> list[Outcome]:
        """Return the outcomes of all operations, or raise at the first that cannot be done."""
        return [self._judge(operation) for operation in operations]

    def _judge(self, operation: Operation) -> Outcome:
        if isinstance(operation, SaveRequest):
            return self._save(operation)
        if isinstance(operation, DeleteRequest):
            return self._delete(operation)
        if isinstance(operation, RestoreRequest):
            return self._restore(operation)
        return self._restore_tombstone(operation)

    def _save(self, request: SaveRequest) -> SavedVersion:
        record, key = request.record, request.idempotency
        check_size(record, self.limit_bytes)
        standing = self.standings[record.workflow_id]
        known = standing.keys.get(key.key) if key is not None else None
        if key is not None and known is not None:
            if not key.stands_for(known.version, known.content_hash):
                raise IdempotencyConflictError(workflow_id=record.workflow_id, key=key.key, version=known.version)
            return SavedVersion(version=known.version, saved_at=known.saved_at, is_replay=True)
        if request.must_exist and not standing.exists:
            raise ContextNotFoundError(workflow_id=record.workflow_id)
        _check_expected(standing, request.expected_version)
        version, saved_at = standing.version + 1, self._saved_at(standing)
        _append(standing, request, version, saved_at, record.created_at)
        return SavedVersion(version=version, saved_at=saved_at)

    def _restore(self, request: RestoreRequest) -> Restored:
        record, key = request.record, request.idempotency
        check_size(record, self.limit_bytes)
        standing = self.standings[record.workflow_id]
        follows = request.version == standing.version + 1 if standing.exists else request.version > standing.version
        is_taken = key is not None and key.key in standing.keys
        is_earlier = standing.exists and standing.saved_at is not None and request.saved_at < standing.saved_at
        if not follows or is_taken or is_earlier:
            raise RestoreConflictError(
                workflow_id=record.workflow_id, version=request.version, head_version=standing.version
            )
        _append(standing, request, request.version, request.saved_at, request.workflow_created_at)
        return Restored()

    def _delete(self, request: DeleteRequest) -> Deleted:
        standing = self.standings[request.workflow_id]
        _check_expected(standing, request.expected_version)
        if not standing.exists:
            return Deleted(existed=False)
        standing.is_purged = standing.had_head or standing.is_orphan
        standing.created_at = None
        standing.appended.clear()
        standing.keys.clear()
        standing.saved_at = self._saved_at(standing)
        standing.buried = standing.version, standing.saved_at
        return Deleted(existed=True)

    def _restore_tombstone(self, request: RestoreTombstoneRequest) -> Restored:
        standing = self.standings[request.workflow_id]
        if standing.exists or request.last_version < standing.version:
            raise RestoreConflictError(
                workflow_id=request.workflow_id, version=request.last_version, head_version=standing.version
            )
        standing.version, standing.saved_at = standing.buried = request.last_version, request.deleted_at
        return Restored()

    def _saved_at(self, standing: Standing) -> datetime:
        """The clock's time, or that of the head or tombstone where the clock went back (VE08)."""
        now = self.clock()
        return now if standing.saved_at is None else max(now, standing.saved_at)


def _append(
    standing: Standing,
    request: SaveRequest | RestoreRequest,
    version: int,
    saved_at: datetime,
    workflow_created_at: datetime,
) -> None:
    """Note a version, and the head that follows it."""
    key = request.idempotency
    standing.version, standing.saved_at = version, saved_at
    if standing.created_at is None:
        standing.created_at, standing.oldest = workflow_created_at, version
    own = {
        "version": version,
        "saved_at": saved_at,
        "workflow_created_at": standing.created_at,
        "oldest_version": standing.oldest,
    }
    standing.appended.append(version_values(request) | own)
    if key is not None:
        standing.keys[key.key] = KnownKey(version, saved_at, key.content_hash)


def version_values(request: SaveRequest | RestoreRequest) -> dict[str, Any]:
    """The values of a version's row by name, but for its number, its saved_at, and how it is packed."""
    key, origin = request.idempotency, request.origin
    return record_values(request.record) | {
        "idempotency_key": key.key if key is not None else None,
        "content_hash": key.content_hash if key is not None else None,
        "origin_workflow_id": origin.workflow_id if origin is not None else None,
        "origin_version": origin.version if origin is not None else None,
    }


def _check_expected(standing: Standing, expected: int | None) -> None:
    if expected is not None and expected != standing.actual:
        raise VersionConflictError(workflow_id=standing.workflow_id, expected=expected, actual=standing.actual)
