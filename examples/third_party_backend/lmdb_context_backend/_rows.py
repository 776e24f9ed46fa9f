"""What stands under which key of an environment. JSON and bytes: to read a hostile file executes nothing.

===========================  ========================================================
``format``                   the number of this layout
``w`` + id                   a `Workflow`; it stays when the workflow is deleted
``h`` + id + version         a `VersionHeader`
``d`` + id + version         the length of the save id, the save id, the document
``k`` + id + idempotency key  the version, and the hash of what it saved
===========================  ========================================================

Ids and idempotency keys are hashed: LMDB's keys end at 511 bytes, and with equal lengths none is a prefix of another.
"""

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Final, TypeAlias, TypeVar

import attrs
import lmdb

from context_core import VersionHeader, errors
from context_core.records import Origin, StoredDocument, time_to_text
from context_core.write_rules import Standing

Txn: TypeAlias = "lmdb.Transaction[bytes]"
T = TypeVar("T", "Workflow", VersionHeader)

FORMAT: Final = 1
_TIMES: Final = {"created_at", "updated_at", "saved_at", "last_time"}


@attrs.frozen(kw_only=True)
class Workflow:
    """Where a workflow stands: *last_time* is when its newest version was saved, or when it was deleted."""

    workflow_id: str
    last_version: int = 0
    last_time: datetime | None = None
    created_at: datetime | None = None  # that of the first version; None where the workflow does not exist

    @property
    def head(self) -> int:
        """The newest version; 0 where the workflow does not exist."""
        return self.last_version if self.created_at is not None else 0

    @property
    def standing(self) -> Standing:
        """The workflow as the rules of a write see it."""
        return Standing(self.workflow_id, self.last_version, self.last_time, exists=self.created_at is not None)


def key(kind: bytes, workflow_id: str, rest: int | str | None = None) -> bytes:
    """The key of a row, or of all rows of a workflow. Versions are in order; one below 1 is that of no row."""
    tail = rest.to_bytes(8, "big", signed=True) if isinstance(rest, int) else _digest(rest or "")
    return kind + _digest(workflow_id) + (b"" if rest is None else tail)


def scan(txn: Txn, prefix: bytes) -> Iterator[bytes]:
    """All rows whose keys begin so, in order."""
    cursor = txn.cursor()
    cursor.set_range(prefix)
    for found, row in cursor:
        if not found.startswith(prefix):
            return
        yield row


def drop(txn: Txn, prefix: bytes) -> None:
    """Delete all rows whose keys begin so, without reading them."""
    cursor = txn.cursor()
    cursor.set_range(prefix)
    while cursor.key().startswith(prefix):
        cursor.delete()


def check_format(txn: Txn, location: str) -> None:
    """Refuse what someone else has filled, or a newer driver."""
    found = txn.get(b"format")
    if found is None and txn.stat()["entries"]:
        raise errors.ForeignDatabaseError(f"{location} holds other data than contexts; nothing was changed")
    if found is not None and int(found) > FORMAT:
        raise errors.NewerDatabaseError(location=location, found=int(found), known=FORMAT)


def get_workflow(txn: Txn, workflow_id: str) -> Workflow:
    """Where a workflow stands; at 0 where it never was."""
    row = txn.get(key(b"w", workflow_id))
    return Workflow(workflow_id=workflow_id) if row is None else unpacked(Workflow, row)


def get_header(txn: Txn, workflow_id: str, version: int) -> VersionHeader | None:
    """The header of a version, if there is such a version."""
    row = txn.get(key(b"h", workflow_id, version))
    return None if row is None else unpacked(VersionHeader, row)


def get_document(txn: Txn, workflow_id: str, version: int) -> StoredDocument | None:
    """The document of a version, if there is such a version."""
    row = txn.get(key(b"d", workflow_id, version))
    if row is None:
        return None
    length = int.from_bytes(row[:4], "big", signed=True)
    end = 4 + max(length, 0)
    return StoredDocument(workflow_id, version, row[end:], None if length < 0 else row[4:end])


def put_document(txn: Txn, document: StoredDocument) -> None:
    """Write a document, apart from its header, so that headers are read without it."""
    save_id = document.save_id
    length = (-1 if save_id is None else len(save_id)).to_bytes(4, "big", signed=True)
    txn.put(key(b"d", document.workflow_id, document.version), length + (save_id or b"") + document.document)


def packed(value: Workflow | VersionHeader) -> bytes:
    """A row of *value*."""
    return json.dumps(attrs.asdict(value), default=time_to_text).encode()


def unpacked(kind: type[T], row: bytes) -> T:
    """Read what `packed` wrote."""
    try:
        fields = json.loads(row)
        fields |= {name: datetime.fromisoformat(fields[name]) for name in _TIMES & fields.keys() if fields[name]}
        if kind is VersionHeader:
            fields |= {"tags": tuple(fields["tags"]), "origin": fields["origin"] and Origin(**fields["origin"])}
        return kind(**fields)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise errors.StorageError("a row of the store is damaged: restore the folder from a backup") from error


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
