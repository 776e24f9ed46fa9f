"""Saving, deleting, restoring and pruning, under a write lock that the caller holds."""

from datetime import datetime

from context_core import write_rules
from context_core.history_codec import compact
from context_core.maintenance import PrunedRange, PruneRequest
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
    StoredDocument,
    Tombstone,
    VersionHeader,
)
from context_core_memory._state import State, Version


def save(state: State, request: SaveRequest, clock: Clock, limit_bytes: int) -> SavedVersion:
    """Append a version and make it the head."""
    workflow_id = request.record.workflow_id
    saved = write_rules.save(
        request,
        state.standing(workflow_id),
        state.known_key(workflow_id, request.idempotency),
        clock=clock,
        limit_bytes=limit_bytes,
    )
    if not saved.is_replay:
        state.append(_version(request, saved.version, saved.saved_at), request.record.created_at)
    return saved


def delete(state: State, request: DeleteRequest, clock: Clock) -> Deleted:
    """Remove a workflow and leave a tombstone."""
    workflow_id = request.workflow_id
    standing = state.standing(workflow_id)
    deleted_at = write_rules.delete(request, standing, clock=clock)
    if deleted_at is None:
        return Deleted(existed=False)
    state.bury(Tombstone(workflow_id=workflow_id, last_version=standing.version, deleted_at=deleted_at))
    return Deleted(existed=True)


def restore(state: State, request: RestoreRequest, limit_bytes: int) -> Restored:
    """Append a version at its own number and time."""
    workflow_id = request.record.workflow_id
    known = state.known_key(workflow_id, request.idempotency)
    write_rules.restore(request, state.standing(workflow_id), known, limit_bytes=limit_bytes)
    state.append(_version(request, request.version, request.saved_at), request.workflow_created_at)
    return Restored()


def restore_tombstone(state: State, request: RestoreTombstoneRequest) -> Restored:
    """Leave a tombstone, as if a workflow had been deleted."""
    write_rules.restore_tombstone(request, state.standing(request.workflow_id))
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


def _version(request: SaveRequest | RestoreRequest, number: int, saved_at: datetime) -> Version:
    record = request.record
    header = VersionHeader.of(
        record, version=number, saved_at=saved_at, idempotency=request.idempotency, origin=request.origin
    )
    document = StoredDocument(record.workflow_id, number, compact(record.document), record.save_id)
    return Version(header, document, request.idempotency)
