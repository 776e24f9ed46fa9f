"""Saving, deleting and restoring, in a transaction that the caller ends. `context_core.write_rules` decides."""

from datetime import datetime
from typing import TypeAlias

import attrs

from context_core import VersionHeader, records, write_rules
from lmdb_context_backend import _rows
from lmdb_context_backend._rows import Txn, Workflow

_New: TypeAlias = records.SaveRequest | records.RestoreRequest


def apply(txn: Txn, operation: records.Operation, clock: records.Clock, limits: records.Limits) -> records.Outcome:
    """Do one operation."""
    limit = limits.document_bytes
    match operation:
        case records.SaveRequest():
            workflow = _rows.get_workflow(txn, operation.record.workflow_id)
            known = _known(txn, operation)
            saved = write_rules.save(operation, workflow.standing, known, clock=clock, limit_bytes=limit)
            if not saved.is_replay:
                _append(txn, workflow, operation, saved.version, saved.saved_at)
            return saved
        case records.DeleteRequest():
            workflow = _rows.get_workflow(txn, operation.workflow_id)
            deleted_at = write_rules.delete(operation, workflow.standing, clock=clock)
            if deleted_at is not None:
                for kind in (b"h", b"d", b"k"):
                    _rows.drop(txn, _rows.key(kind, workflow.workflow_id))
                _put(txn, attrs.evolve(workflow, last_time=deleted_at, created_at=None))
            return records.Deleted(existed=deleted_at is not None)
        case records.RestoreRequest():
            workflow = _rows.get_workflow(txn, operation.record.workflow_id)
            write_rules.restore(operation, workflow.standing, _known(txn, operation), limit_bytes=limit)
            _append(txn, workflow, operation, operation.version, operation.saved_at)
        case records.RestoreTombstoneRequest():
            workflow = _rows.get_workflow(txn, operation.workflow_id)
            write_rules.restore_tombstone(operation, workflow.standing)
            _put(txn, attrs.evolve(workflow, last_version=operation.last_version, last_time=operation.deleted_at))
    return records.Restored()


def _append(txn: Txn, workflow: Workflow, request: _New, version: int, saved_at: datetime) -> None:
    record, key = request.record, request.idempotency
    header = VersionHeader.of(record, version=version, saved_at=saved_at, idempotency=key, origin=request.origin)
    txn.put(_rows.key(b"h", record.workflow_id, version), _rows.packed(header))
    _rows.put_document(txn, records.StoredDocument(record.workflow_id, version, record.document, record.save_id))
    if key is not None:
        txn.put(_rows.key(b"k", record.workflow_id, key.key), version.to_bytes(8, "big") + (key.content_hash or b""))
    first = request.workflow_created_at if isinstance(request, records.RestoreRequest) else record.created_at
    created_at = workflow.created_at or first
    _put(txn, attrs.evolve(workflow, last_version=version, last_time=saved_at, created_at=created_at))


def _put(txn: Txn, workflow: Workflow) -> None:
    txn.put(b"format", b"%d" % _rows.FORMAT, overwrite=False)
    txn.put(_rows.key(b"w", workflow.workflow_id), _rows.packed(workflow))


def _known(txn: Txn, request: _New) -> write_rules.KnownKey | None:
    """The version that has the request's idempotency key already."""
    workflow_id, key = request.record.workflow_id, request.idempotency
    row = None if key is None else txn.get(_rows.key(b"k", workflow_id, key.key))
    header = None if row is None else _rows.get_header(txn, workflow_id, int.from_bytes(row[:8], "big"))
    if row is None or header is None:
        return None
    return write_rules.KnownKey(header.version, header.saved_at, row[8:] or None)
