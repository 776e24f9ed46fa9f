"""Requests to restore, the tombstones that a backend shows, and whole contents to compare stores by."""

from datetime import datetime
from typing import Any, TypeAlias

from context_core import ContextBackend
from context_core.idempotency import idempotency_key
from context_core.records import (
    Origin,
    QueryRequest,
    RestoreRequest,
    RestoreTombstoneRequest,
    Tombstone,
    Want,
)
from context_core_conformance.samples import EPOCH, a_context
from context_core_conformance.verbs import Contents, everything, record_of

Whole: TypeAlias = tuple[Contents, tuple[Tombstone, ...]]
"""Every version of every workflow, and what is left of the deleted ones."""


def a_restore(  # noqa: PLR0913  # as many as there are facts of a version
    version: int,
    workflow_id: str = "order-7",
    *,
    saved_at: datetime = EPOCH,
    workflow_created_at: datetime = EPOCH,
    key: str | None = None,
    origin: Origin | None = None,
    **fields: Any,
) -> RestoreRequest:
    """A request to restore a sample context with *fields* as *version*."""
    record = record_of(a_context(workflow_id, **fields))
    return RestoreRequest(
        record=record,
        version=version,
        saved_at=saved_at,
        workflow_created_at=workflow_created_at,
        idempotency=None if key is None else idempotency_key(key, record),
        origin=origin,
    )


def a_restored_tombstone(
    last_version: int, workflow_id: str = "order-7", *, deleted_at: datetime = EPOCH
) -> RestoreTombstoneRequest:
    """A request to restore the tombstone of a workflow."""
    return RestoreTombstoneRequest(workflow_id=workflow_id, last_version=last_version, deleted_at=deleted_at)


def tombstones(backend: ContextBackend) -> tuple[Tombstone, ...]:
    """What is left of deleted workflows."""
    return tuple(backend.query(QueryRequest(want=Want.TOMBSTONES)).tombstones)


def whole(backend: ContextBackend) -> Whole:
    """All that a backend shows."""
    return everything(backend), tombstones(backend)
