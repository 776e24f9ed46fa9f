"""Saving, deleting and restoring, in a transaction that the caller ends."""

from datetime import datetime
from typing import TypeAlias

import attrs

from context_core import VersionHeader, errors, records
from lmdb_context_backend import _rows
from lmdb_context_backend._rows import Txn, Workflow

_New: TypeAlias = records.SaveRequest | records.RestoreRequest


def apply(txn: Txn, operation: records.Operation, clock: records.Clock, limits: records.Limits) -> records.Outcome:
    """Do one operation."""
    if isinstance(operation, _New):
        size, limit = len(operation.record.document), limits.document_bytes
        if size > limit:
            raise errors.LimitExceededError(what="the document in bytes", actual=size, limit=limit)
    match operation:
        case records.SaveRequest():
            return _save(txn, operation, clock)
        case records.DeleteRequest():
            return _delete(txn, operation, clock)
        case records.RestoreRequest():
            return _restore(txn, operation)
        case records.RestoreTombstoneRequest():
            return _restore_tombstone(txn, operation)


def _save(txn: Txn, request: records.SaveRequest, clock: records.Clock) -> records.SavedVersion:
    known = _replay(txn, request)
    if known is not None:
        return known
    workflow = _rows.get_workflow(txn, request.record.workflow_id)
    if request.must_exist and not workflow.head:
        raise errors.ContextNotFoundError(workflow_id=workflow.workflow_id)
    _check_expected(workflow, request.expected_version)
    version, saved_at = workflow.last_version + 1, _time(workflow, clock)
    _append(txn, workflow, request, version, saved_at)
    return records.SavedVersion(version=version, saved_at=saved_at)


def _delete(txn: Txn, request: records.DeleteRequest, clock: records.Clock) -> records.Deleted:
    workflow = _rows.get_workflow(txn, request.workflow_id)
    _check_expected(workflow, request.expected_version)
    if workflow.head:
        for kind in (b"h", b"d", b"k"):
            _rows.drop(txn, _rows.key(kind, workflow.workflow_id))
        _stand(txn, attrs.evolve(workflow, last_time=_time(workflow, clock), created_at=None))
    return records.Deleted(existed=bool(workflow.head))


def _restore(txn: Txn, request: records.RestoreRequest) -> records.Restored:
    workflow = _rows.get_workflow(txn, request.record.workflow_id)
    if workflow.head:
        fits = request.version == workflow.head + 1 and request.saved_at >= (workflow.last_time or request.saved_at)
    else:
        fits = request.version > workflow.last_version
    if not fits or _known(txn, request) is not None:  # no two versions have one key
        raise _misfit(workflow, request.version)
    _append(txn, workflow, request, request.version, request.saved_at)
    return records.Restored()


def _restore_tombstone(txn: Txn, request: records.RestoreTombstoneRequest) -> records.Restored:
    workflow = _rows.get_workflow(txn, request.workflow_id)
    if workflow.head or request.last_version < workflow.last_version:
        raise _misfit(workflow, request.last_version)
    _stand(txn, attrs.evolve(workflow, last_version=request.last_version, last_time=request.deleted_at))
    return records.Restored()


def _append(txn: Txn, workflow: Workflow, request: _New, version: int, saved_at: datetime) -> None:
    record, name = request.record, request.idempotency
    shared = {field: getattr(record, field) for field in attrs.fields_dict(VersionHeader) if hasattr(record, field)}
    key = None if name is None else name.key
    header = VersionHeader(**shared, version=version, saved_at=saved_at, idempotency_key=key, origin=request.origin)
    txn.put(_rows.key(b"h", record.workflow_id, version), _rows.packed(header))
    _rows.put_document(txn, records.StoredDocument(record.workflow_id, version, record.document, record.save_id))
    if name is not None:
        txn.put(_rows.key(b"k", record.workflow_id, name.key), version.to_bytes(8, "big") + (name.content_hash or b""))
    first = request.workflow_created_at if isinstance(request, records.RestoreRequest) else record.created_at
    created_at = workflow.created_at or first
    _stand(txn, attrs.evolve(workflow, last_version=version, last_time=saved_at, created_at=created_at))


def _stand(txn: Txn, workflow: Workflow) -> None:
    txn.put(b"format", b"%d" % _rows.FORMAT, overwrite=False)
    txn.put(_rows.key(b"w", workflow.workflow_id), _rows.packed(workflow))


def _known(txn: Txn, request: _New) -> tuple[int, bytes | None] | None:
    """The version that has the request's idempotency key already, and the hash that was kept with it."""
    name = request.idempotency
    row = None if name is None else txn.get(_rows.key(b"k", request.record.workflow_id, name.key))
    return None if row is None else (int.from_bytes(row[:8], "big"), row[8:] or None)


def _replay(txn: Txn, request: records.SaveRequest) -> records.SavedVersion | None:
    """The version that the request repeats."""
    workflow_id, name, known = request.record.workflow_id, request.idempotency, _known(txn, request)
    if name is None or known is None:
        return None
    version, content_hash = known
    header = _rows.get_header(txn, workflow_id, version)
    if header is None or not name.stands_for(version, content_hash):
        raise errors.IdempotencyConflictError(workflow_id=workflow_id, key=name.key, version=version)
    return records.SavedVersion(version=version, saved_at=header.saved_at, is_replay=True)


def _time(workflow: Workflow, clock: records.Clock) -> datetime:
    now = clock()
    return max(now, workflow.last_time or now)


def _check_expected(workflow: Workflow, expected: int | None) -> None:
    if expected is not None and expected != workflow.head:
        raise errors.VersionConflictError(workflow_id=workflow.workflow_id, expected=expected, actual=workflow.head)


def _misfit(workflow: Workflow, version: int) -> errors.RestoreConflictError:
    head = workflow.last_version
    return errors.RestoreConflictError(workflow_id=workflow.workflow_id, version=version, head_version=head)
