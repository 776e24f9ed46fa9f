"""The checks of `verify`: each stored document can be read, and its columns agree with it."""

from collections.abc import Iterator
from typing import Any, Final

from context_core._converter import is_read_inexactly
from context_core._facade import scans
from context_core.conditions import INDEXED_KINDS, FieldKind
from context_core.errors import CorruptDocumentError, DamagedHistoryError, StorageError, UnsupportedSchemaError
from context_core.hookspecs import ContextBackend
from context_core.maintenance import Damage, VerifyReport
from context_core.model import INDEXED_FIELDS, WorkflowContext
from context_core.records import QueryRequest, StoredDocument, VersionHeader, Want
from context_core.serialization import ContextSerializer
from context_core.upcasting import SCHEMA_KEY

_COLUMNS: Final = tuple(name for name in INDEXED_FIELDS if name != "workflow_id")
_TIMES: Final = tuple(name for name, kind in INDEXED_KINDS.items() if kind is FieldKind.TIME)


def verified(backend: ContextBackend, serializer: ContextSerializer[Any]) -> VerifyReport:
    """Add to the backend's own report what is wrong with documents (CR06)."""
    report = backend.verify()
    damages = list(report.damages)
    known = {_place(damage) for damage in damages}
    named = {damage.workflow_id for damage in damages}
    try:
        with scans.view_of(backend) as view:
            for found in _damages(view, serializer):
                is_known = found.workflow_id in named if found.version is None else _place(found) in known
                if not is_known:
                    damages.append(found)
                    known.add(_place(found))
    except StorageError as error:
        if not damages:
            raise
        # Damage that the backend reported prevents reading: a dropped table, for example.
        damages.append(Damage(workflow_id=None, version=None, problem=f"documents cannot be read: {error}"))
    return VerifyReport(checked_versions=report.checked_versions, damages=tuple(damages))


def _damages(view: scans.Reader, serializer: ContextSerializer[Any]) -> Iterator[Damage]:
    """Yield what is wrong with documents, and all rows that the driver passes over."""
    for workflow_id in scans.ids(view):
        try:
            for page in scans.history(view, workflow_id, Want.RECORDS):
                yield from (_damage(row.error) for row in page.damaged)
                for header, stored in zip(page.headers, page.documents, strict=True):
                    problem = problem_of(serializer, header, stored)
                    if problem is not None:
                        yield Damage(workflow_id=workflow_id, version=stored.version, problem=problem)
        except (CorruptDocumentError, DamagedHistoryError) as error:
            yield _damage(error)
    for row in view.query(QueryRequest(want=Want.TOMBSTONES)).damaged:
        yield Damage(workflow_id=row.error.workflow_id, version=None, problem=row.error.problem)


def _damage(error: CorruptDocumentError | DamagedHistoryError) -> Damage:
    version = error.version if isinstance(error, CorruptDocumentError) else None
    return Damage(workflow_id=error.workflow_id, version=version, problem=error.problem)


def _place(damage: Damage) -> tuple[str | None, int | None]:
    return damage.workflow_id, damage.version


def problem_of(serializer: ContextSerializer[Any], header: VersionHeader, stored: StoredDocument) -> str | None:
    """Say what is wrong with a version; None if nothing is wrong."""
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
        # An engine's own code wrote it, and may have read the clock once for the columns and once for the document.
        differing = [name for name in differing if name not in _TIMES]
    if differing:
        return f"its columns {', '.join(differing)} do not say what its document says"
    return None


def _agree(name: str, header: VersionHeader, context: WorkflowContext) -> bool:
    column, value = getattr(header, name), getattr(context, name)
    return bool(list(column) == list(value) if name == "tags" else column == value)
