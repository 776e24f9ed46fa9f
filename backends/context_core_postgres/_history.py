"""How a version's document is kept: the one place that encodes and decodes it.

The column `keyframe` says how: NULL is a document stored as it is.
"""

from collections.abc import Iterable
from typing import Any, Final

from context_core.errors import CorruptDocumentError
from context_core.records import ContextRecord, StoredDocument

DOCUMENT_COLUMNS: Final = ("workflow_id", "version", "document", "save_id", "keyframe")
"""The columns of a version's document, in the order that `decoded` takes them."""


def encoded(record: ContextRecord) -> tuple[int | None, bytes]:
    """Return the keyframe and the bytes to store for the document of a version."""
    return None, record.document


def decoded(rows: Iterable[tuple[Any, ...]]) -> list[StoredDocument]:
    """Build documents from rows of DOCUMENT_COLUMNS.

    Raises:
        CorruptDocumentError: A document is kept in a way that this driver does not know.
    """
    return [_decoded(*row) for row in rows]


def _decoded(
    workflow_id: str, version: int, document: bytes, save_id: bytes | None, keyframe: int | None
) -> StoredDocument:
    if keyframe is not None:
        problem = "it is encoded in a way that this driver does not know"
        raise CorruptDocumentError(workflow_id=workflow_id, version=version, problem=problem)
    return StoredDocument(workflow_id, version, document, save_id)
