"""Saving, deleting, restoring and pruning, under a write lock that the caller holds."""

from datetime import datetime

from context_core.errors import (
    ContextNotFoundError,
    IdempotencyConflictError,
    LimitExceededError,
    RestoreConflictError,
    VersionConflictError,
)
from context_core.history_codec import compact
from context_core.maintenance import PrunedRange, PruneRequest
from context_core.records import (
    Clock,
    ContextRecord,
    Deleted,
    DeleteRequest,
    IdempotencyKey,
    Operation,
    Origin,
    Outcome,
    Restored,
    RestoreRequest,
    RestoreTombstoneRequest,
    SavedVersion,
    SaveRequest,
    StoredDocument,
    Tombstone,
    VersionHeader,
)
from context_core_memory._checks import check_time
from context_core_memory._state import State, Version


def save(state: State, request: SaveRequest, clock: Clock, limit_bytes: int) -> SavedVersion:
    """Append a version and make it the head."""
    record, key = request.record, request.idempotency
    workflow_id = record.workflow_id
    _check_size(record, limit_bytes)
    versions = state.versions(workflow_id)
    if key is not None:
        known = next((version for version in versions if _has_key(version, key.key)), None)
        if known is not None:
            return _replay(known, key)
    actual = versions[-1].header.version if versions else 0
    if request.must_exist and not versions:
        raise ContextNotFoundError(workflow_id=workflow_id)
    _check_expected(workflow_id, request.expected_version, actual)
    number = (actual or _last_of_deleted(state, workflow_id)) + 1
    saved_at = _saved_at(state, workflow_id, clock)
    state.append(_version(record, number, saved_at, key, request.origin), record.created_at)
    return SavedVersion(version=number, saved_at=saved_at)


def delete(state: State, request: DeleteRequest, clock: Clock) -> Deleted:
    """Remove a workflow and leave a tombstone."""
    versions = state.versions(request.workflow_id)
    actual = versions[-1].header.version if versions else 0
    _check_expected(request.workflow_id, request.expected_version, actual)
    if versions:
        deleted_at = _saved_at(state, request.workflow_id, clock)
        state.bury(Tombstone(workflow_id=request.workflow_id, last_version=actual, deleted_at=deleted_at))
    return Deleted(existed=bool(versions))


def restore(state: State, request: RestoreRequest, limit_bytes: int) -> Restored:
    """Append a version at its own number and time."""
    record = request.record
    _check_size(record, limit_bytes)
    versions = state.versions(record.workflow_id)
    head = versions[-1].header.version if versions else _last_of_deleted(state, record.workflow_id)
    follows = request.version == head + 1 if versions else request.version > head
    key = request.idempotency
    if key is not None and any(_has_key(version, key.key) for version in versions):
        follows = False
    if not follows or (versions and request.saved_at < versions[-1].header.saved_at):
        raise RestoreConflictError(workflow_id=record.workflow_id, version=request.version, head_version=head)
    version = _version(record, request.version, request.saved_at, request.idempotency, request.origin)
    state.append(version, request.workflow_created_at)
    return Restored()


def restore_tombstone(state: State, request: RestoreTombstoneRequest) -> Restored:
    """Leave a tombstone, as if a workflow had been deleted."""
    versions = state.versions(request.workflow_id)
    head = versions[-1].header.version if versions else _last_of_deleted(state, request.workflow_id)
    if versions or request.last_version < head:
        raise RestoreConflictError(workflow_id=request.workflow_id, version=request.last_version, head_version=head)
    state.bury(
        Tombstone(workflow_id=request.workflow_id, last_version=request.last_version, deleted_at=request.deleted_at)
    )
    return Restored()


def apply(state: State, operation: Operation, clock: Clock, limit_bytes: int) -> Outcome:
    """Do one operation of a batch."""
    if isinstance(operation, SaveRequest):
        return save(state, operation, clock, limit_bytes)
    if isinstance(operation, DeleteRequest):
        return delete(state, operation, clock)
    if isinstance(operation, RestoreRequest):
        return restore(state, operation, limit_bytes)
    return restore_tombstone(state, operation)


def prunable(state: State, request: PruneRequest) -> list[PrunedRange]:
    """Name what a prune removes, by workflow id."""
    ranges = []
    with state.lock:
        for workflow_id, history in sorted(state.histories.items()):
            head = history.versions[-1].header
            if request.statuses is not None and head.status not in request.statuses:
                continue
            if request.inactive_since is not None and head.saved_at >= request.inactive_since:
                continue
            surplus = history.versions[: -request.keep_last]
            if surplus:
                first, last = surplus[0].header.version, surplus[-1].header.version
                ranges.append(PrunedRange(workflow_id=workflow_id, first=first, last=last))
    return ranges


def _version(
    record: ContextRecord, number: int, saved_at: datetime, key: IdempotencyKey | None, origin: Origin | None
) -> Version:
    header = VersionHeader(
        workflow_id=record.workflow_id,
        version=number,
        epic_num=record.epic_num,
        story_num=record.story_num,
        feature=record.feature,
        workflow_name=record.workflow_name,
        current_phase=record.current_phase,
        status=record.status,
        created_at=record.created_at,
        updated_at=record.updated_at,
        saved_at=saved_at,
        tags=record.tags,
        idempotency_key=key.key if key is not None else None,
        origin=origin,
    )
    return Version(header, StoredDocument(record.workflow_id, number, compact(record.document), record.save_id), key)


def _check_size(record: ContextRecord, limit_bytes: int) -> None:
    if len(record.document) > limit_bytes:
        raise LimitExceededError(what="the document in bytes", actual=len(record.document), limit=limit_bytes)


def _check_expected(workflow_id: str, expected: int | None, actual: int) -> None:
    if expected is not None and expected != actual:
        raise VersionConflictError(workflow_id=workflow_id, expected=expected, actual=actual)


def _last_of_deleted(state: State, workflow_id: str) -> int:
    tombstone = state.tombstones.get(workflow_id)
    return tombstone.last_version if tombstone is not None else 0


def _saved_at(state: State, workflow_id: str, clock: Clock) -> datetime:
    """The clock's time, or that of the head or tombstone where the clock went back (VE08)."""
    now = clock()
    check_time(now, "the clock")
    versions = state.versions(workflow_id)
    if versions:
        return max(now, versions[-1].header.saved_at)
    tombstone = state.tombstones.get(workflow_id)
    return max(now, tombstone.deleted_at) if tombstone is not None else now


def _has_key(version: Version, key: str) -> bool:
    return version.idempotency is not None and version.idempotency.key == key


def _replay(known: Version, key: IdempotencyKey) -> SavedVersion:
    header, kept = known.header, known.idempotency
    if kept is None or not key.stands_for(header.version, kept.content_hash):
        raise IdempotencyConflictError(workflow_id=header.workflow_id, key=key.key, version=header.version)
    return SavedVersion(version=header.version, saved_at=header.saved_at, is_replay=True)
