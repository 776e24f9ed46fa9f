"""What a transaction of several statements will write: judged operation by operation, from where its workflows stand.

The rows are locked before, so that nothing read here can change, and all is written after; nothing here asks the
database.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import attrs

from context_core import records, write_rules
from context_core.write_rules import KnownKey, Standing
from context_core_postgres._rows import record_values


@attrs.define
class PlannedWorkflow:
    """What a transaction found of a workflow, and what it is to write: the head, or the tombstone where there is none.

    Attributes:
        version: 0 where there is neither.
        saved_at: Of the newest version, or the tombstone's `deleted_at`.
        created_at: The head's, where the workflow exists.
        oldest: Its oldest version, where it exists.
        had_head: Whether there is a row in the head table to begin with.
        last_tombstone: The last version of the tombstone that there is to begin with, or 0.
        keys: Those that its versions have, as far as the transaction asks for them.
        is_orphan: Whether there are versions and no head.
        is_purged: Whether the versions that there were to begin with go.
        tombstone: Last version and time of the tombstone that is to be written, if any.
        appended: What is to be appended to the versions; the head's row follows the last.
    """

    workflow_id: str
    version: int = 0
    saved_at: datetime | None = None
    created_at: datetime | None = None
    oldest: int = 0
    had_head: bool = False
    last_tombstone: int = 0
    keys: dict[str, KnownKey] = attrs.Factory(dict)
    is_orphan: bool = False
    is_purged: bool = False
    tombstone: tuple[int, datetime] | None = None
    appended: list[dict[str, Any]] = attrs.Factory(list)

    @property
    def exists(self) -> bool:
        """Whether there is a version to load."""
        return self.created_at is not None

    @property
    def is_claimed(self) -> bool:
        """Whether only a tombstone is to be written, of what has no row to lock."""
        return self.tombstone is not None and not self.had_head and not self.exists

    @property
    def is_new(self) -> bool:
        """Whether something is to be written of what has no row to lock."""
        return not self.had_head and (bool(self.appended) or self.tombstone is not None)

    def known_key(self, request: records.SaveRequest | records.RestoreRequest) -> KnownKey | None:
        """The version that has the request's idempotency key."""
        return self.keys.get(request.idempotency.key) if request.idempotency is not None else None

    @property
    def standing(self) -> Standing:
        """The workflow as the rules of a write see it, behind the operations that were judged so far."""
        return Standing(self.workflow_id, self.version, self.saved_at, exists=self.exists)


@attrs.frozen
class Ledger:
    """Judges operations in their order, each seeing those before it.

    Attributes:
        clock: Where `saved_at` times come from; it is read inside the transaction.
        limit_bytes: How large a document may be.
        workflows: Each workflow of the transaction, by id.
    """

    clock: records.Clock
    limit_bytes: int
    workflows: dict[str, PlannedWorkflow]

    def judge(self, operations: Iterable[records.Operation]) -> list[records.Outcome]:
        """Return the outcomes of all operations, or raise at the first that cannot be done."""
        return [self._judge(operation) for operation in operations]

    def _judge(self, operation: records.Operation) -> records.Outcome:
        if isinstance(operation, records.SaveRequest):
            return self._save(operation)
        if isinstance(operation, records.DeleteRequest):
            return self._delete(operation)
        if isinstance(operation, records.RestoreRequest):
            return self._restore(operation)
        return self._restore_tombstone(operation)

    def _save(self, request: records.SaveRequest) -> records.SavedVersion:
        workflow = self.workflows[request.record.workflow_id]
        known = workflow.known_key(request)
        saved = write_rules.save(request, workflow.standing, known, clock=self.clock, limit_bytes=self.limit_bytes)
        if not saved.is_replay:
            _append(workflow, request, saved.version, saved.saved_at, request.record.created_at)
        return saved

    def _restore(self, request: records.RestoreRequest) -> records.Restored:
        workflow = self.workflows[request.record.workflow_id]
        write_rules.restore(request, workflow.standing, workflow.known_key(request), limit_bytes=self.limit_bytes)
        _append(workflow, request, request.version, request.saved_at, request.workflow_created_at)
        return records.Restored()

    def _delete(self, request: records.DeleteRequest) -> records.Deleted:
        workflow = self.workflows[request.workflow_id]
        deleted_at = write_rules.delete(request, workflow.standing, clock=self.clock)
        if deleted_at is None:
            return records.Deleted(existed=False)
        workflow.is_purged = workflow.had_head or workflow.is_orphan
        workflow.created_at = None
        workflow.appended.clear()
        workflow.keys.clear()
        workflow.saved_at = deleted_at
        workflow.tombstone = workflow.version, deleted_at
        return records.Deleted(existed=True)

    def _restore_tombstone(self, request: records.RestoreTombstoneRequest) -> records.Restored:
        workflow = self.workflows[request.workflow_id]
        write_rules.restore_tombstone(request, workflow.standing)
        workflow.version, workflow.saved_at = workflow.tombstone = request.last_version, request.deleted_at
        return records.Restored()


def _append(
    workflow: PlannedWorkflow,
    request: records.SaveRequest | records.RestoreRequest,
    version: int,
    saved_at: datetime,
    workflow_created_at: datetime,
) -> None:
    """Note a version, and the head that follows it."""
    key = request.idempotency
    workflow.version, workflow.saved_at = version, saved_at
    if workflow.created_at is None:
        workflow.created_at, workflow.oldest = workflow_created_at, version
    own = {
        "version": version,
        "saved_at": saved_at,
        "workflow_created_at": workflow.created_at,
        "oldest_version": workflow.oldest,
    }
    workflow.appended.append(version_values(request) | own)
    if key is not None:
        workflow.keys[key.key] = KnownKey(version, saved_at, key.content_hash)


def version_values(request: records.SaveRequest | records.RestoreRequest) -> dict[str, Any]:
    """The values of a version's row by name, but for its number, its saved_at, and how it is packed."""
    key, origin = request.idempotency, request.origin
    return record_values(request.record) | {
        "idempotency_key": key.key if key is not None else None,
        "content_hash": key.content_hash if key is not None else None,
        "origin_workflow_id": origin.workflow_id if origin is not None else None,
        "origin_version": origin.version if origin is not None else None,
    }
