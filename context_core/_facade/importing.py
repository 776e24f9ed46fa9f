"""Imports: the versions and tombstones of an export, written to a store with their numbers and times."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from context_core._facade import scans
from context_core._facade.checking import problem_of
from context_core.errors import (
    ConfigurationError,
    ContextCoreError,
    InvalidContextError,
    RestoreConflictError,
    StorageError,
    shown,
)
from context_core.maintenance import ImportResult
from context_core.plugins import BoundVerbs
from context_core.record_rules import check_header, check_tombstone
from context_core.records import (
    BatchRequest,
    LoadRequest,
    Operation,
    QueryRequest,
    RestoreRequest,
    RestoreTombstoneRequest,
    StoredDocument,
    Tombstone,
    VersionHeader,
    VersionRequest,
    Want,
)
from context_core.serialization import ContextSerializer
from context_core.transfer import ExportedVersion, check_whole, normal_form, read_lines


def import_file(verbs: BoundVerbs, serializer: ContextSerializer[Any], path: Path) -> ImportResult:
    """Write the items of the export at *path* that the store does not hold yet (MO01)."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise ConfigurationError(f"{path!s:.300} cannot be read: {error.strerror}") from error
    total = written = 0
    pending: list[Operation] = []
    with file, _reading(path):
        is_checked = _check_whole(file, path)
        for operation in _restores(verbs, serializer, read_lines(file)):
            total += 1
            if operation is None:
                continue
            written += 1
            pending.append(operation)
            if len(pending) >= scans.PAGE_SIZE:
                verbs.batch(BatchRequest(operations=tuple(pending)))
                pending.clear()
    if pending:
        verbs.batch(BatchRequest(operations=tuple(pending)))
    return ImportResult(written=written, present=total - written, is_checked=is_checked)


def _check_whole(file: BinaryIO, path: Path) -> bool:
    """Refuse an export that is not whole; tell whether that could be checked before the import."""
    if not file.seekable():
        return True  # read_lines checks it at the end
    is_checked = check_whole(file)
    file.seek(0)
    if not is_checked:
        logging.getLogger("context_core").warning(
            "%s is an export of an older format: whether it is whole cannot be checked", path
        )
    return is_checked


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn an error of the file into a StorageError."""
    try:
        yield
    except ContextCoreError:
        raise  # some of ours are OSErrors too
    except OSError as error:
        raise StorageError(f"{path!s:.300} could not be read to its end: {error.strerror}") from error


def _restores(
    verbs: BoundVerbs, serializer: ContextSerializer[Any], items: Iterable[ExportedVersion | Tombstone]
) -> Iterator[Operation | None]:
    """Yield the operation that writes each item; None for an equal item that the store holds already."""
    found = verbs.query(QueryRequest(want=Want.TOMBSTONES)).tombstones
    tombstones = {tombstone.workflow_id: tombstone for tombstone in found}
    workflow_id: str | None = None
    existing: dict[int, VersionHeader] = {}
    for item in items:
        _check_item(serializer, item)
        if isinstance(item, Tombstone):
            yield None if tombstones.get(item.workflow_id) == item else _restore_tombstone(item)
            continue
        if item.header.workflow_id != workflow_id:
            workflow_id = item.header.workflow_id
            existing = {header.version: header for header in verbs.version(VersionRequest(of=workflow_id)).headers}
        present = existing.get(item.header.version)
        if present is None:
            yield _restore(serializer, item)
        elif present == item.header and _is_stored(verbs, serializer, item):
            yield None
        else:
            raise RestoreConflictError(workflow_id=workflow_id, version=item.header.version, head_version=max(existing))


def _restore(serializer: ContextSerializer[Any], item: ExportedVersion) -> RestoreRequest:
    header = item.header
    record = header.record(item.document)
    key = header.idempotency_key
    return RestoreRequest(
        record=serializer.seal(record),
        version=header.version,
        saved_at=header.saved_at,
        workflow_created_at=item.workflow_created_at,
        idempotency=None if key is None else serializer.idempotency_key(key, record),
        origin=header.origin,
    )


def _restore_tombstone(tombstone: Tombstone) -> RestoreTombstoneRequest:
    return RestoreTombstoneRequest(
        workflow_id=tombstone.workflow_id, last_version=tombstone.last_version, deleted_at=tombstone.deleted_at
    )


def _is_stored(verbs: BoundVerbs, serializer: ContextSerializer[Any], item: ExportedVersion) -> bool:
    """Tell whether the store holds the document of *item*."""
    request = LoadRequest(workflow_ids=(item.header.workflow_id,), version=item.header.version)
    return any(
        normal_form(serializer.exported(stored)) == item.document
        or normal_form(serializer.open(stored)) == item.document  # an older export holds it as it is stored here
        for stored in verbs.load(request)
    )


def _check_item(serializer: ContextSerializer[Any], item: ExportedVersion | Tombstone) -> None:
    """Refuse what no save or delete writes."""
    try:
        if isinstance(item, Tombstone):
            check_tombstone(item)
            return
        check_header(item.header)
    except InvalidContextError as error:
        raise ConfigurationError(f"an item of this export cannot be imported: {error}") from error
    header = item.header
    problem = problem_of(serializer, header, StoredDocument(header.workflow_id, header.version, item.document))
    if problem is not None:
        raise ConfigurationError(
            f"version {header.version} of workflow {shown(header.workflow_id)} cannot be imported: {problem}"
        )
