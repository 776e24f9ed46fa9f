"""The rules of a write: what a request does to what stands of its workflow.

Every driver reads what stands inside its transaction, calls the rule of the operation, and then writes what the rule
decided. The rules are pure functions over plain values: they read no database, and they change nothing.

What stands of a workflow (`Standing`)
    Its head, or the tombstone that its deletion left, or nothing. A tombstone keeps the last version and the time of the
    deletion, so that numbers and times go on (VE05, VE08). A deleted workflow does not exist.

A save is judged in this order, and the first rule that refuses it decides
    1. The document is larger than the limit: LimitExceededError (RT15).
    2. The idempotency key is known in the workflow: with the same content the save is a replay, which writes nothing
       and gives the first version (ID01); with other content it is an IdempotencyConflictError (ID02).
    3. `must_exist`, and the workflow does not exist: ContextNotFoundError.
    4. `expected_version` is not the head's version, which is 0 where the workflow does not exist: VersionConflictError
       (CA01, CA02).
    Otherwise its version is the last one plus 1 (VE01), and its time is the clock's, or the last one's if that is later
    (VE08, TI02).

A delete
    A wrong `expected_version` is a VersionConflictError (CA07), also where the workflow does not exist. What does not
    exist is not deleted, which is no error (DE03). The tombstone's time follows the same rule as a save's.

A restore writes a version with its own number and time (MO01)
    1. The document is larger than the limit: LimitExceededError.
    2. The version does not follow: onto a head exactly the next number, saved no earlier than the head; onto a tombstone
       or onto nothing any number above it. Or another version has its key: RestoreConflictError.

A tombstone is restored
    Where the workflow does not exist, and over a tombstone whose last version is not higher; else RestoreConflictError.

In a batch each operation sees what the ones before it did (BA02, BA06): a delete frees the keys of its workflow, and a
save's key is known to the operations after it.
"""

from datetime import datetime
from typing import Final

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
    DeleteRequest,
    RestoreRequest,
    RestoreTombstoneRequest,
    SavedVersion,
    SaveRequest,
)

__all__ = [
    "KnownKey",
    "Standing",
    "check_size",
    "delete",
    "next_version",
    "restore",
    "restore_tombstone",
    "save",
]

MOST_VERSIONS: Final = 2**63 - 1
"""The last version number: those of the engines have 64 bits."""


@attrs.frozen(slots=False)  # made at each save: attrs fills the __dict__ of a frozen class faster than its slots
class Standing:
    """What stands of a workflow when a write begins.

    Attributes:
        workflow_id: Whose.
        version: The head's; where the workflow does not exist the last version of its tombstone, or 0.
        saved_at: The head's `saved_at`, or the tombstone's `deleted_at`; None where there is neither.
        exists: Whether there is a head.
    """

    workflow_id: str
    version: int = 0
    saved_at: datetime | None = None
    exists: bool = False

    @property
    def head_version(self) -> int:
        """The version that a writer may expect: 0 where the workflow does not exist."""
        return self.version if self.exists else 0


@attrs.frozen
class KnownKey:
    """The version of a workflow that has an idempotency key, and the hash that is kept beside the key."""

    version: int
    saved_at: datetime
    content_hash: bytes | None


def check_size(record: ContextRecord, limit_bytes: int) -> None:
    """Refuse a document that is larger than *limit_bytes*.

    Raises:
        LimitExceededError: It is.
    """
    size_bytes = len(record.document)
    if size_bytes > limit_bytes:
        raise LimitExceededError(what="the document in bytes", actual=size_bytes, limit=limit_bytes)


def save(
    request: SaveRequest, standing: Standing, known: KnownKey | None, *, clock: Clock, limit_bytes: int
) -> SavedVersion:
    """Return the version that a save makes, or the one that it repeats (`is_replay`): then nothing is written.

    Args:
        request: The save.
        standing: What stands of its workflow.
        known: The version that has the request's idempotency key; None where no version has it, or there is no key.
        clock: Where the time comes from. It is not read for a save that is refused.
        limit_bytes: How large a document may be.

    Raises:
        LimitExceededError: The document is too large, or the version numbers are used up.
        IdempotencyConflictError: The key stands for other content.
        ContextNotFoundError: The workflow must exist, and does not.
        VersionConflictError: The head is not the expected version.
    """
    check_size(request.record, limit_bytes)
    key = request.idempotency
    if key is not None and known is not None:
        if not key.stands_for(known.version, known.content_hash):
            raise IdempotencyConflictError(workflow_id=standing.workflow_id, key=key.key, version=known.version)
        return SavedVersion(version=known.version, saved_at=known.saved_at, is_replay=True)
    if request.must_exist and not standing.exists:
        raise ContextNotFoundError(workflow_id=standing.workflow_id)
    _check_expected(standing, request.expected_version)
    return SavedVersion(version=next_version(standing.version), saved_at=_time_of_write(standing, clock))


def next_version(last: int) -> int:
    """Return the version number after *last* (VE01).

    Raises:
        LimitExceededError: *last* is the last number of 64 bits, which only a change from outside can reach.
    """
    if last >= MOST_VERSIONS:
        raise LimitExceededError(what="the version number", actual=last + 1, limit=MOST_VERSIONS)
    return last + 1


def delete(request: DeleteRequest, standing: Standing, *, clock: Clock) -> datetime | None:
    """Return the `deleted_at` of the tombstone that a delete leaves; None where there is nothing to delete.

    The tombstone's last version is the head's.

    Raises:
        VersionConflictError: The head is not the expected version.
    """
    _check_expected(standing, request.expected_version)
    return _time_of_write(standing, clock) if standing.exists else None


def restore(request: RestoreRequest, standing: Standing, known: KnownKey | None, *, limit_bytes: int) -> None:
    """Check that a version may be restored at its own number and time; *known* as for `save`.

    Raises:
        LimitExceededError: The document is too large.
        RestoreConflictError: It does not continue the history, or another version has its key.
    """
    check_size(request.record, limit_bytes)
    if standing.exists:
        is_earlier = standing.saved_at is not None and request.saved_at < standing.saved_at
        follows = request.version == standing.version + 1 and not is_earlier
    else:
        follows = request.version > standing.version
    if not follows or known is not None:
        raise RestoreConflictError(
            workflow_id=standing.workflow_id, version=request.version, head_version=standing.version
        )


def restore_tombstone(request: RestoreTombstoneRequest, standing: Standing) -> None:
    """Check that a tombstone may be written.

    Raises:
        RestoreConflictError: The workflow exists, or its tombstone has a higher last version.
    """
    if standing.exists or request.last_version < standing.version:
        raise RestoreConflictError(
            workflow_id=standing.workflow_id, version=request.last_version, head_version=standing.version
        )


def _check_expected(standing: Standing, expected: int | None) -> None:
    if expected is not None and expected != standing.head_version:
        raise VersionConflictError(workflow_id=standing.workflow_id, expected=expected, actual=standing.head_version)


def _time_of_write(standing: Standing, clock: Clock) -> datetime:
    """The clock's time, or that of what stands if the clock went back (VE08, TI02)."""
    now = clock()
    return now if standing.saved_at is None else max(now, standing.saved_at)
