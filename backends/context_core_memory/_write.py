"""Saving, deleting, restoring and pruning, under a write lock that the caller holds."""

from datetime import datetime

from context_core import records, write_rules
from context_core.history_codec import compact
from context_core.maintenance import PrunedRange, PruneRequest
from context_core_memory._state import State, Version


def save(state: State, request: records.SaveRequest, clock: records.Clock, limit_bytes: int) -> records.SavedVersion:
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


def delete(state: State, request: records.DeleteRequest, clock: records.Clock) -> records.Deleted:
    """Remove a workflow and leave a tombstone."""
    workflow_id = request.workflow_id
    standing = state.standing(workflow_id)
    deleted_at = write_rules.delete(request, standing, clock=clock)
    if deleted_at is None:
        return records.Deleted(existed=False)
    state.bury(records.Tombstone(workflow_id=workflow_id, last_version=standing.version, deleted_at=deleted_at))
    return records.Deleted(existed=True)


def restore(state: State, request: records.RestoreRequest, limit_bytes: int) -> records.Restored:
    """Append a version at its own number and time."""
    workflow_id = request.record.workflow_id
    known = state.known_key(workflow_id, request.idempotency)
    write_rules.restore(request, state.standing(workflow_id), known, limit_bytes=limit_bytes)
    state.append(_version(request, request.version, request.saved_at), request.workflow_created_at)
    return records.Restored()


def restore_tombstone(state: State, request: records.RestoreTombstoneRequest) -> records.Restored:
    """Leave a tombstone, as if a workflow had been deleted."""
    write_rules.restore_tombstone(request, state.standing(request.workflow_id))
    state.bury(
        records.Tombstone(
            workflow_id=request.workflow_id, last_version=request.last_version, deleted_at=request.deleted_at
        )
    )
    return records.Restored()


def apply(state: State, operation: records.Operation, clock: records.Clock, limit_bytes: int) -> records.Outcome:
    """Do one operation of a batch."""
    if isinstance(operation, records.SaveRequest):
        return save(state, operation, clock, limit_bytes)
    if isinstance(operation, records.DeleteRequest):
        return delete(state, operation, clock)
    if isinstance(operation, records.RestoreRequest):
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


def _version(request: records.SaveRequest | records.RestoreRequest, number: int, saved_at: datetime) -> Version:
    record = request.record
    header = records.VersionHeader.of(
        record, version=number, saved_at=saved_at, idempotency=request.idempotency, origin=request.origin
    )
    document = records.StoredDocument(record.workflow_id, number, compact(record.document), record.save_id)
    return Version(header, document, request.idempotency)
