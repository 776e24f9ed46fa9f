"""The values that the core and a driver exchange: requests, results, capabilities, limits.

A driver sees indexed fields as plain values and the document as bytes. It never sees a `WorkflowContext`. All times are
aware UTC datetimes. Requests arrive validated: a driver may rely on their types and ranges. All numbers are 64-bit
integers. A `limit` is None or 0 to 2^63 - 1, an `offset` 0 to 2^63 - 1.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeAlias

import attrs

from context_core._converter import decode_document, time_to_text
from context_core.conditions import Condition, OrderTerm
from context_core.errors import CorruptDocumentError, DamagedHistoryError
from context_core.model import INDEXED_FIELDS, STATUSES, IndexedFields

__all__ = [
    "BackendDescription",
    "BatchRequest",
    "Capability",
    "Clock",
    "Condition",
    "ContextRecord",
    "DamagedRow",
    "DeleteRequest",
    "Deleted",
    "IdempotencyKey",
    "Limits",
    "LoadRequest",
    "Operation",
    "OrderTerm",
    "Origin",
    "Outcome",
    "QueryRequest",
    "RestoreRequest",
    "RestoreTombstoneRequest",
    "Restored",
    "SaveRequest",
    "SavedVersion",
    "Selection",
    "StoredDocument",
    "Story",
    "Tombstone",
    "VersionHeader",
    "VersionRequest",
    "Want",
    "decode_document",
    "time_to_text",
]

Clock: TypeAlias = Callable[[], datetime]
"""Returns the time now as an aware UTC datetime."""


class Capability(StrEnum):
    """What a backend can do beyond the five verbs. Declared ones are tested, and so are the refusals of the others."""

    DURABLE = "durable"
    """An acknowledged save survives SIGKILL and, unless configured otherwise, power loss."""
    MULTI_PROCESS = "multi_process"
    """Several processes may write to one store at once, and a process that has it open may fork: parent and child both
    go on (CO08)."""
    READ_ONLY = "read_only"
    """The store can be opened with the URL option `read_only=true`: nothing is written or created, writes raise
    ReadOnlyError."""
    IDEMPOTENCY = "idempotency"
    """Saves accept an idempotency key."""
    JSON_PATHS = "json_paths"
    """Queries may look into free-form fields."""
    EXPLAIN = "explain"
    """`explain` tells how the engine runs a query."""
    # The next ones are the verbs of that name.
    PRUNE = "prune"
    VERIFY = "verify"
    SNAPSHOT = "snapshot"
    BACKUP = "backup"
    MIGRATE = "migrate"
    REPAIR = "repair"


@attrs.frozen(kw_only=True)
class Limits:
    """What a backend can hold at most; more is refused before any write (RT15)."""

    document_bytes: int = 64 * 2**20


@attrs.frozen(kw_only=True)
class BackendDescription:
    """What a backend says of itself (ER08). `location` is fit to be shown: it never holds a password."""

    name: str
    location: str
    capabilities: frozenset[Capability]
    limits: Limits = Limits()
    schema_version: int | None = None
    path: Path | None = None
    """The file that holds the store, where it is one: backups and exports get its owner, group and permissions."""
    naive_times: str = "UTC"
    """The zone, by name, in which the naive times of documents of schema 0 are read."""


@attrs.frozen(kw_only=True, slots=False)
class ContextRecord(IndexedFields):
    """One version as it is to be stored: the indexed fields, and the document they were taken from.

    Each version keeps its own values. The head's `created_at` alone is fixed: it is that of the workflow's first
    version, whatever later records say.
    """

    document: bytes
    save_id: bytes | None = None
    """16 bytes that the store's document codec needs to read the document again; None without a codec."""


@attrs.frozen(kw_only=True)
class IdempotencyKey:
    """A key that makes one save safe to retry, with a hash of what it saves. Unique within its workflow.

    Attributes:
        key: Text of 1 to 255 characters without NUL.
        content_hash: 32 bytes, to be kept beside the key; None where nothing may be kept that tells of the content.
        same_as: A version that the core has found to hold this very content.
    """

    key: str
    content_hash: bytes | None
    same_as: int | None = None

    def stands_for(self, version: int, content_hash: bytes | None) -> bool:
        """Tell whether this save repeats *version*, which has this key and was kept with *content_hash*.

        Every driver asks this, where the key is known already. A hash that is absent equals none: then the answer is no
        until the core, having met the conflict, has compared the contents.
        """
        return self.same_as == version or (content_hash is not None and content_hash == self.content_hash)


@attrs.frozen(kw_only=True)
class Origin:
    """Where a fork's first version came from."""

    workflow_id: str
    version: int


@attrs.frozen(kw_only=True, slots=False)
class SaveRequest:
    """Store *record* as the next version of its workflow.

    Attributes:
        expected_version: The head that the writer has seen; 0 for "does not exist"; None to save unconditionally.
        must_exist: Refuse with ContextNotFoundError where the workflow does not exist.
        idempotency: Looked at before `expected_version`.
        origin: Recorded with the version, for forks.
    """

    record: ContextRecord
    expected_version: int | None = None
    must_exist: bool = False
    idempotency: IdempotencyKey | None = None
    origin: Origin | None = None


@attrs.frozen(kw_only=True, slots=False)
class SavedVersion:
    """An acknowledged save. `is_replay` tells that the idempotency key was known and nothing was written."""

    version: int
    saved_at: datetime
    is_replay: bool = False


@attrs.frozen(kw_only=True)
class DeleteRequest:
    """Remove every version of a workflow, leaving only a tombstone (DE01)."""

    workflow_id: str
    expected_version: int | None = None


@attrs.frozen(kw_only=True)
class Deleted:
    """The outcome of a DeleteRequest: whether there was something to delete."""

    existed: bool


@attrs.frozen(kw_only=True)
class RestoreRequest:
    """Write exactly this version, for imports: its number and times are kept (MO01).

    The version must follow the head, and its `saved_at` must not be earlier than that of the head. If the workflow does
    not exist, the version must be its first, with a number above the last version of its tombstone. A key that another
    version of the workflow has is refused. Each refusal is a RestoreConflictError. Its `head_version` is that of the
    tombstone, if only a tombstone exists.

    Attributes:
        workflow_created_at: The `created_at` of the head, if this is the first version of the workflow.
    """

    record: ContextRecord
    version: int
    saved_at: datetime
    workflow_created_at: datetime
    idempotency: IdempotencyKey | None = None
    origin: Origin | None = None


@attrs.frozen(kw_only=True)
class RestoreTombstoneRequest:
    """Write the tombstone of a deleted workflow, for imports.

    The driver raises RestoreConflictError if the workflow exists, or if its tombstone has a higher last version. It
    replaces any other tombstone.
    """

    workflow_id: str
    last_version: int
    deleted_at: datetime


@attrs.frozen(kw_only=True)
class Restored:
    """The outcome of a restore."""


Operation: TypeAlias = SaveRequest | DeleteRequest | RestoreRequest | RestoreTombstoneRequest
Outcome: TypeAlias = SavedVersion | Deleted | Restored


@attrs.frozen(kw_only=True)
class BatchRequest:
    """Apply all *operations* in order, in one transaction, or none of them (BA01)."""

    operations: Sequence[Operation]


class LoadRequest(NamedTuple):
    """Read documents by id: the heads, or one *version* of each, or the versions that were heads *as_of* a time.

    A request has a *version* or an *as_of*, never both. The version may be any 64-bit number, also one that no workflow
    has.

    It is a named tuple, like StoredDocument: each load makes both, and a microsecond is a tenth of its time.
    """

    workflow_ids: Sequence[str]
    version: int | None = None
    as_of: datetime | None = None


class StoredDocument(NamedTuple):
    """A document and what is needed to read it. A named tuple, since drivers make one from a row at little cost."""

    workflow_id: str
    version: int
    document: bytes
    save_id: bytes | None = None


def _status(text: str) -> str:
    return STATUSES.get(text, text)


@attrs.frozen(kw_only=True, slots=False)
class VersionHeader(IndexedFields):
    """One stored version without its document.

    In the headers of heads, which `query` returns, `created_at` is that of the workflow's first version.
    """

    version: int
    status: str = attrs.field(converter=_status)
    """A member of `Status`. It is another text only if the stored row is damaged."""
    saved_at: datetime
    idempotency_key: str | None = None
    origin: Origin | None = None

    @classmethod
    def of(
        cls,
        record: ContextRecord,
        *,
        version: int,
        saved_at: datetime,
        idempotency: IdempotencyKey | None = None,
        origin: Origin | None = None,
    ) -> Self:
        """Return the header of *record*, saved as *version* at *saved_at*."""
        return cls(
            **{name: getattr(record, name) for name in INDEXED_FIELDS},
            version=version,
            saved_at=saved_at,
            idempotency_key=None if idempotency is None else idempotency.key,
            origin=origin,
        )

    def record(self, document: bytes) -> ContextRecord:
        """Return the record that this is the header of, with its plain *document*."""
        indexed = {name: getattr(self, name) for name in INDEXED_FIELDS} | {"status": str(self.status)}
        return ContextRecord(**indexed, document=document)


@attrs.frozen(kw_only=True)
class Tombstone:
    """What stays of a deleted workflow: its id, its last version, and when it was deleted."""

    workflow_id: str
    last_version: int
    deleted_at: datetime


class Want(StrEnum):
    """What a `version` or `query` request is to return."""

    HEADERS = "headers"
    """Reads no document (QU12)."""
    DOCUMENTS = "documents"
    RECORDS = "records"
    """Headers and documents, item by item."""
    COUNT = "count"
    TOMBSTONES = "tombstones"
    """The tombstones of deleted workflows by id, without workflows that exist again; for `query` only. Conditions,
    order and page do not apply. Histories without a head are reported in `damaged`."""


@attrs.frozen(kw_only=True)
class DamagedRow:
    """A row that a driver left out, because it cannot be read or should not exist (CR06).

    Attributes:
        error: What is wrong, and in which row. The facade raises it or reports it.
        position: How many items of the page come before the row.
    """

    error: CorruptDocumentError | DamagedHistoryError
    position: int


@attrs.frozen(kw_only=True)
class Selection:
    """What a `version` or `query` request found: *headers*, *documents* or both, or only a *count*.

    With both, the two have the same length and order. The sequences are lists or tuples. For COUNT the count includes
    all rows found, also damaged ones. With headers or documents it is the length of the page.

    A row that cannot be read never makes the verb fail. It is in *damaged*, in the order of the page, and does not
    count towards the limit. An offset counts every row, damaged or not. `context_core.pages` does this for drivers.
    """

    headers: Sequence[VersionHeader] = ()
    documents: Sequence[StoredDocument] = ()
    count: int = 0
    tombstones: Sequence[Tombstone] = ()
    damaged: Sequence[DamagedRow] = ()


@attrs.frozen(kw_only=True)
class Story:
    """A story of an epic; `story_num` None is the epic level, a story of its own (VE12)."""

    epic_num: int
    story_num: int | None


@attrs.frozen(kw_only=True)
class VersionRequest:
    """Read the history of one workflow, oldest first, or of every workflow of a story.

    A story's history is ordered by (version, created_at, workflow_id). A version belongs to the story that it names
    itself, whatever other versions of its workflow name.

    Attributes:
        of: A workflow's id, or a Story.
        want: What to return.
        limit: At most this many items, or None for all.
        offset: Leave out this many rows first.
        newest_first: Use the reverse order.
    """

    of: str | Story
    want: Want = Want.HEADERS
    limit: int | None = None
    offset: int = 0
    newest_first: bool = False


@attrs.frozen(kw_only=True)
class QueryRequest:
    """Find heads that meet all *conditions*.

    Attributes:
        conditions: What must hold, joined by AND.
        order: If empty, newest first: (created_at, workflow_id), both descending. Any other order is made total by
            workflow_id, ascending.
        want: What to return; COUNT ignores order and page.
        limit: At most this many items, or None for all.
        offset: Leave out this many rows first.
        after: Leave out everything up to the row with these values of the order's fields, whether it still exists or
            not; as many values as `context_core.query.total_order` gives terms. Only for fields that are never None.
    """

    conditions: Sequence[Condition] = ()
    order: Sequence[OrderTerm] = ()
    want: Want = Want.DOCUMENTS
    limit: int | None = None
    offset: int = 0
    after: tuple[Any, ...] | None = None
