"""Requests for laws about the bare verbs of a backend, and the sum of what a backend shows."""

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias, TypeVar

from context_core import ContextBackend, ContextPersistence, VersionHeader, WorkflowContext
from context_core.idempotency import idempotency_key
from context_core.records import (
    BatchRequest,
    ContextRecord,
    LoadRequest,
    Operation,
    Outcome,
    QueryRequest,
    SaveRequest,
    StoredDocument,
    VersionRequest,
    Want,
)
from context_core.serialization import ContextSerializer
from context_core_conformance.samples import a_context

Store: TypeAlias = ContextPersistence[Any]
"""A store of contexts of whatever type."""

Contents: TypeAlias = dict[str, tuple[tuple[VersionHeader, StoredDocument], ...]]
"""Every version of every workflow; the head, as a query shows it, comes first."""

E = TypeVar("E", bound=Exception)

_SERIALIZER: Final = ContextSerializer(WorkflowContext)


def record_of(context: WorkflowContext) -> ContextRecord:
    """What a store would hand its driver for *context*."""
    return _SERIALIZER.to_record(context)


def a_save(
    workflow_id: str = "order-7",
    *,
    expected_version: int | None = None,
    must_exist: bool = False,
    key: str | None = None,
    **fields: Any,
) -> SaveRequest:
    """A request to save a sample context with *fields*."""
    record = record_of(a_context(workflow_id, **fields))
    return SaveRequest(
        record=record,
        expected_version=expected_version,
        must_exist=must_exist,
        idempotency=None if key is None else idempotency_key(key, record),
    )


def refusal(kind: type[E], action: Callable[[], object]) -> E | None:
    """The error of this kind that *action* raised, or None where it went well."""
    try:
        action()
    except kind as error:
        return error
    return None


def apply(backend: ContextBackend, *operations: Operation) -> list[Outcome]:
    """Apply *operations* as one batch."""
    return backend.batch(BatchRequest(operations=operations))


def loaded(backend: ContextBackend, *workflow_ids: str, **request: Any) -> list[StoredDocument]:
    """The documents that one load gives."""
    return list(backend.load(LoadRequest(workflow_ids=workflow_ids, **request)))


def headers_of(backend: ContextBackend, workflow_id: str) -> list[VersionHeader]:
    """The headers of a workflow's history, oldest first."""
    return list(backend.version(VersionRequest(of=workflow_id)).headers)


def everything(backend: ContextBackend, and_also: Iterable[str] = ()) -> Contents:
    """Every head and every version that the backend shows, *and_also* the histories of these ids."""
    heads = backend.query(QueryRequest(want=Want.RECORDS))
    shown = {head.workflow_id: ((head, document),) for head, document in _pairs(heads.headers, heads.documents)}
    contents: Contents = {}
    for workflow_id in [*shown, *and_also]:
        history = backend.version(VersionRequest(of=workflow_id, want=Want.RECORDS))
        contents[workflow_id] = (*shown.get(workflow_id, ()), *_pairs(history.headers, history.documents))
    return contents


def _pairs(
    headers: Iterable[VersionHeader], documents: Iterable[StoredDocument]
) -> tuple[tuple[VersionHeader, StoredDocument], ...]:
    return tuple(zip(headers, documents, strict=True))
