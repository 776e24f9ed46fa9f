"""What `verify` asks of each stored version: that its document can be read, and says what its columns say."""

from typing import Any, Final

from context_core._converter import is_read_inexactly
from context_core.conditions import INDEXED_KINDS, FieldKind
from context_core.errors import CorruptDocumentError, UnsupportedSchemaError
from context_core.model import INDEXED_FIELDS, WorkflowContext
from context_core.records import StoredDocument, VersionHeader
from context_core.serialization import ContextSerializer
from context_core.upcasting import SCHEMA_KEY

_COLUMNS: Final = tuple(name for name in INDEXED_FIELDS if name != "workflow_id")
_TIMES: Final = tuple(name for name, kind in INDEXED_KINDS.items() if kind is FieldKind.TIME)


def problem_of(serializer: ContextSerializer[Any], header: VersionHeader, stored: StoredDocument) -> str | None:
    """Say what is wrong with a version; None where nothing is."""
    try:
        context = serializer.to_context(stored)
        document = serializer.open(stored)
    except CorruptDocumentError as error:
        return error.problem
    except UnsupportedSchemaError as error:
        return f"its schema {error.schema!r:.20} is not one that this code reads"
    has_schema = b'"' + SCHEMA_KEY.encode() + b'"' in document
    if has_schema and is_read_inexactly(document):
        return "it holds a number beyond 64 bits, which readers of JSON round"
    differing = [name for name in _COLUMNS if not _agree(name, header, context)]
    if not has_schema:
        # An engine's own code wrote it: its columns and its document may have told the time separately.
        differing = [name for name in differing if name not in _TIMES]
    if differing:
        return f"its columns {', '.join(differing)} do not say what its document says"
    return None


def _agree(name: str, header: VersionHeader, context: WorkflowContext) -> bool:
    column, value = getattr(header, name), getattr(context, name)
    return bool(list(column) == list(value) if name == "tags" else column == value)
