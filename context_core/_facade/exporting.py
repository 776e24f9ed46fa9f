"""Exports: every version and tombstone of a store, written to a file of JSON Lines."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from context_core._facade import scans
from context_core._facade.checking import problem_of
from context_core._facade.damaged import in_order
from context_core.errors import CorruptDocumentError, DamagedHistoryError
from context_core.files import whole_file
from context_core.hookspecs import ContextBackend
from context_core.maintenance import Damage, ExportResult
from context_core.record_rules import check_header, check_tombstone, unfit
from context_core.records import DamagedRow, QueryRequest, StoredDocument, Tombstone, VersionHeader, Want
from context_core.serialization import ContextSerializer
from context_core.transfer import ExportedVersion, write_lines

ExportDamaged: TypeAlias = Literal["raise", "leave_out"]
"""What an export does with what cannot be read."""

_HEADLESS: Final = "the current state of its workflow cannot be read"
_OLDER: Final = "it is older than a version that cannot be read, and histories have no gaps"

_RowError: TypeAlias = CorruptDocumentError | DamagedHistoryError


class Omissions:
    """What an export leaves out, each thing once."""

    def __init__(self, *, is_allowed: bool) -> None:
        self.is_allowed = is_allowed
        self.damages: list[Damage] = []
        self._known: set[tuple[str, int | None]] = set()

    def add(self, error: _RowError) -> None:
        """Note what cannot be read; raise *error* if the export may leave nothing out."""
        if not self.is_allowed:
            raise error
        version = getattr(error, "version", None)
        if (error.workflow_id, version) not in self._known:
            self._known.add((error.workflow_id, version))
            self.damages.append(Damage(workflow_id=error.workflow_id, version=version, problem=error.problem))

    def add_older(self, header: VersionHeader) -> None:
        """Note a version that is older than one that cannot be read."""
        self.damages.append(Damage(workflow_id=header.workflow_id, version=header.version, problem=_OLDER))


def export(
    backend: ContextBackend, serializer: ContextSerializer[Any], path: Path, damaged: ExportDamaged
) -> ExportResult:
    """Write an export of *backend* to a new file at *path* (MO01)."""
    omissions = Omissions(is_allowed=damaged == "leave_out")
    count = 0
    with (
        whole_file(path, rights_of=backend.describe().path) as draft,
        scans.view_of(backend) as view,
        draft.open("xb") as file,
    ):
        for line in write_lines(_items(view, serializer, omissions)):
            file.write(line)
            count += 1
    return ExportResult(count=count - 2, missing=tuple(omissions.damages))  # the first and the last line are no items


def _items(
    view: scans.Reader, serializer: ContextSerializer[Any], omissions: Omissions
) -> Iterator[ExportedVersion | Tombstone]:
    for page in scans.pages(view, Want.HEADERS):
        for row in page.damaged:
            omissions.add(row.error)
            _leave_out_history(view, row.error, omissions)
        for head in page.headers:
            yield from _history(view, serializer, head, omissions)
    found = view.query(QueryRequest(want=Want.TOMBSTONES))
    for row in found.damaged:
        omissions.add(row.error)
    for tombstone in found.tombstones:
        problem = unfit(check_tombstone, tombstone)
        if problem is None:
            yield tombstone
        else:
            omissions.add(_unreadable(tombstone.workflow_id, tombstone.last_version, problem))


def _leave_out_history(view: scans.Reader, error: _RowError, omissions: Omissions) -> None:
    """Note every version of a workflow whose head cannot be read."""
    if isinstance(error, DamagedHistoryError):
        return  # no verb reads its history: it is named as a whole
    for page in scans.history(view, error.workflow_id, Want.HEADERS):
        for header in page.headers:
            omissions.add(_unreadable(error.workflow_id, header.version, _HEADLESS))
        for row in page.damaged:
            omissions.add(row.error)


def _history(
    view: scans.Reader, serializer: ContextSerializer[Any], head: VersionHeader, omissions: Omissions
) -> Iterator[ExportedVersion]:
    first = _first_after_damage(view, serializer, head.workflow_id, omissions) if omissions.is_allowed else 0
    last = 0
    for item in _versions(view, serializer, head):
        if isinstance(item, _RowError):
            if not omissions.is_allowed:
                raise item
            continue
        if last and item.header.version != last + 1 and not omissions.is_allowed:
            raise _missing_before(item.header)
        last = item.header.version
        if item.header.version >= first:
            yield item
        else:
            omissions.add_older(item.header)


def _first_after_damage(
    view: scans.Reader, serializer: ContextSerializer[Any], workflow_id: str, omissions: Omissions
) -> int:
    """Return where the newest run of versions without damage begins; add each damaged version to *omissions*."""
    first = last = 0
    headers = (head for page in scans.history(view, workflow_id, Want.HEADERS) for head in page.headers[:1])
    head = next(headers, None)
    if head is None:
        return 0
    is_broken = False
    for item in _versions(view, serializer, head):
        if isinstance(item, _RowError):
            omissions.add(item)
            is_broken = True
            continue
        if not is_broken and last and item.header.version != last + 1:
            omissions.add(_missing_before(item.header))
            is_broken = True
        if is_broken:
            first, is_broken = item.header.version, False
        last = item.header.version
    return first


def _versions(
    view: scans.Reader, serializer: ContextSerializer[Any], head: VersionHeader
) -> Iterator[ExportedVersion | _RowError]:
    """Yield the versions of one workflow, oldest first, with an error in place of each that cannot be read."""
    for page in scans.history(view, head.workflow_id, Want.RECORDS):
        for found in in_order(zip(page.headers, page.documents, strict=True), page.damaged):
            yield found.error if isinstance(found, DamagedRow) else _version(serializer, head, *found)


def _version(
    serializer: ContextSerializer[Any], head: VersionHeader, header: VersionHeader, stored: StoredDocument
) -> ExportedVersion | CorruptDocumentError:
    try:
        document = serializer.exported(stored)
    except CorruptDocumentError as error:
        return error
    problem = unfit(check_header, header) or problem_of(
        serializer, header, StoredDocument(header.workflow_id, header.version, document)
    )
    if problem is not None:
        return _unreadable(header.workflow_id, header.version, problem)
    return ExportedVersion(header=header, workflow_created_at=head.created_at, document=document)


def _missing_before(header: VersionHeader) -> CorruptDocumentError:
    return _unreadable(header.workflow_id, header.version - 1, "it is missing, and histories have no gaps")


def _unreadable(workflow_id: str, version: int, problem: str) -> CorruptDocumentError:
    return CorruptDocumentError(workflow_id=workflow_id, version=version, problem=problem)
