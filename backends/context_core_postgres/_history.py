"""Versions as they are read: packed, each with an earlier one as its base.

The column `base_version` says how: NULL is a document that is stored as it is, a version's own number one that is packed
alone, any other number one that leans on that version.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from context_core.errors import CorruptDocumentError
from context_core.history_codec import PackedVersion, Unpacker
from context_core.records import StoredDocument
from context_core_postgres._rows import read_columns
from context_core_postgres._session import Session

DOCUMENT_COLUMNS: Final = ("workflow_id", "version", "base_version", "document", "save_id")
"""The columns of a version's document, in the order that `decoded` takes them."""


def with_bases(asked: str, columns: Iterable[str] = DOCUMENT_COLUMNS) -> str:
    """Return the statement that reads the versions whose ids and numbers *asked* selects, and all that they lean on."""
    return f"""
        WITH RECURSIVE needed (workflow_id, version) AS (
            SELECT workflow_id COLLATE "C", version FROM ({asked}) AS asked (workflow_id, version)
            UNION
            SELECT leaning.workflow_id, leaning.base_version
            FROM needed JOIN our.workflow_context_versions AS leaning
                ON leaning.workflow_id = needed.workflow_id AND leaning.version = needed.version
            WHERE leaning.base_version < leaning.version)
        SELECT {read_columns(columns, "stored")}
        FROM needed JOIN our.workflow_context_versions AS stored
            ON stored.workflow_id = needed.workflow_id AND stored.version = needed.version"""


_BASES: Final = with_bases("SELECT * FROM unnest(%s::text[], %s::bigint[])")


def newest_of_each(rows: Sequence[tuple[Any, ...]]) -> list[StoredDocument]:
    """Build the documents that were asked for from what `with_bases` gave: of each workflow the newest version.

    Raises:
        CorruptDocumentError: A document, or a version that it leans on, is damaged or missing.
    """
    newest: dict[str, tuple[Any, ...]] = {}
    for row in rows:
        if row[0] not in newest or newest[row[0]][1] < row[1]:
            newest[row[0]] = row
    return _plain(list(newest.values()), _stored(rows))


def decoded(session: Session, rows: Sequence[tuple[Any, ...]]) -> list[StoredDocument | CorruptDocumentError]:
    """Build documents from rows of DOCUMENT_COLUMNS, reading in one further statement what they lean on beyond these.

    An error takes the place of a document that cannot be built, since it, or what it leans on, is damaged or missing.
    """
    stored = _stored(rows)
    missing = {
        (workflow_id, packed.base)
        for (workflow_id, version), packed in stored.items()
        if packed.base is not None and packed.base < version and (workflow_id, packed.base) not in stored
    }
    if missing:
        arrays = [workflow_id for workflow_id, _ in missing], [number for _, number in missing]
        stored |= _stored(session.execute(_BASES, arrays).fetchall())
    unpacker = Unpacker(lambda workflow_id, version: stored.get((workflow_id, version)))
    documents: list[StoredDocument | CorruptDocumentError] = []
    for row in rows:
        try:
            documents.append(_document(unpacker, row))
        except CorruptDocumentError as error:
            documents.append(error)
    return documents


def _stored(rows: Iterable[tuple[Any, ...]]) -> dict[tuple[str, int], PackedVersion]:
    return {(row[0], row[1]): PackedVersion(row[2], row[3]) for row in rows}


def _plain(rows: Iterable[tuple[Any, ...]], stored: dict[tuple[str, int], PackedVersion]) -> list[StoredDocument]:
    unpacker = Unpacker(lambda workflow_id, version: stored.get((workflow_id, version)))
    return [_document(unpacker, row) for row in rows]


def _document(unpacker: Unpacker, row: tuple[Any, ...]) -> StoredDocument:
    workflow_id, version, base, document, save_id, *_ = row
    plain = unpacker.plain(workflow_id, version, PackedVersion(base, document))
    return StoredDocument(workflow_id, version, plain, save_id)
