"""Moving histories: backups, exports and imports."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Final, Literal, TypeAlias

import attrs

from context_core._facade import walks
from context_core._facade.arguments import check_path
from context_core._facade.checking import problem_of
from context_core._facade.damaged import in_order
from context_core._facade.opening import C, OpenedStore
from context_core.errors import (
    ConfigurationError,
    ContextCoreError,
    CorruptDocumentError,
    DamagedHistoryError,
    InvalidContextError,
    InvalidQueryError,
    RestoreConflictError,
    StorageError,
    shown,
)
from context_core.files import whole_file
from context_core.maintenance import BackupRequest, Damage, ExportResult
from context_core.record_rules import check_header, check_tombstone
from context_core.records import (
    BatchRequest,
    DamagedRow,
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
from context_core.transfer import ExportedVersion, check_whole, normal_form, read_lines, write_lines

Leaving: TypeAlias = Literal["raise", "leave_out"]
"""What an export does with what cannot be read."""

_OLDER: Final = "it is older than a version that cannot be read, and histories have no gaps"


@attrs.frozen(kw_only=True)
class ImportResult:
    """What an import did: how many versions and tombstones it wrote, and how many were there already.

    *is_checked* tells whether the export could be checked to be whole: those of older code have no last line for it.
    """

    written: int
    present: int
    is_checked: bool = True


class Moves(OpenedStore[C]):
    """The verbs that write a store to a file, and read it from one."""

    def backup(self, target: str | PathLike[str]) -> None:
        """Copy the live store to a new file, as it is at one moment; writers go on (MO02).

        The file gets its name when it is whole and synced; a run that fails or is killed leaves nothing there. It has the
        owner, group and permissions of the store.

        Raises:
            ConfigurationError: *target* is no path.
            StorageError: *target* exists, or cannot be written.
            UnsupportedOperationError: The backend does not declare BACKUP.
        """
        path, source = check_path("target", target), self._backend.describe().path
        with whole_file(path, rights_of=source, refusal=StorageError) as draft:
            self._backend.backup(BackupRequest(target=draft))

    def export(self, target: str | PathLike[str], damaged: Leaving = "raise") -> ExportResult:
        """Write every version and tombstone to a new file of JSON Lines (MO01).

        On a backend that declares SNAPSHOT the file is one consistent moment of the live store (MO02). Documents leave
        in plain, whatever codec the store has. The file gets its name when it is whole and synced; a run that fails or
        is killed leaves nothing there. It has the owner, group and permissions of the store's file, if there is one.

        Args:
            target: The path of the file.
            damaged: What to do with a version that cannot be read. "raise" ends the export. "leave_out" goes on without
                it and without the older versions of its workflow, since histories have no gaps; the result names all.

        Raises:
            ConfigurationError: *target* exists, or its folder does not.
            StorageError: The file could not be written.
            CorruptDocumentError: A version cannot be read, or its columns do not say what its document says.
            DamagedHistoryError: A head and a history do not belong together.
        """
        if damaged not in ("raise", "leave_out"):
            raise InvalidQueryError(f'damaged must be "raise" or "leave_out", not {shown(damaged)}')
        path, source = check_path("target", target), self._backend.describe().path
        missing: list[Damage] | None = [] if damaged == "leave_out" else None
        count = 0
        with (
            whole_file(path, rights_of=source) as draft,
            walks.view_of(self._backend) as view,
            draft.open("xb") as file,
        ):
            for line in write_lines(self._exported(view, missing)):
                file.write(line)
                count += 1
        return ExportResult(count=count - 2, missing=tuple(missing or ()))  # the first line and the last are no items

    def import_(self, source: str | PathLike[str]) -> ImportResult:
        """Write the versions and tombstones of an export, with their numbers and times (MO01).

        The export is checked to be whole before anything is written. One of older code cannot be checked: that is logged
        as a warning and told by the result. What is there already, equal, is left as it is, so that an import can be
        repeated or resumed.

        Raises:
            RestoreConflictError: A workflow stands here otherwise than in the export; nothing of it was overwritten.
            ConfigurationError: *source* is no export, is not whole, or holds what no save makes.
            StorageError: *source* could not be read to its end.
        """
        path = check_path("source", source)
        try:
            file = path.open("rb")
        except OSError as error:
            raise ConfigurationError(f"{path!s:.300} cannot be read: {error.strerror}") from error
        total = written = 0
        pending: list[Operation] = []
        with file, _reading(path):
            is_checked = True
            if file.seekable():
                is_checked = check_whole(file)
                file.seek(0)
            if not is_checked:
                logging.getLogger("context_core").warning(
                    "%s is an export of an older format: whether it is whole cannot be checked", path
                )
            for operation in self._restoring(read_lines(file)):
                total += 1
                if operation is None:
                    continue
                written += 1
                pending.append(operation)
                if len(pending) >= walks.PAGE_SIZE:
                    self._verbs.batch(BatchRequest(operations=tuple(pending)))
                    pending.clear()
        if pending:
            self._verbs.batch(BatchRequest(operations=tuple(pending)))
        return ImportResult(written=written, present=total - written, is_checked=is_checked)

    def _restoring(self, items: Iterable[ExportedVersion | Tombstone]) -> Iterator[Operation | None]:
        """The operation that writes each item; None for one that is there already, equal."""
        buried = {tombstone.workflow_id: tombstone for tombstone in self._tombstones(self._verbs)}
        workflow_id: str | None = None
        existing: dict[int, VersionHeader] = {}
        for item in items:
            self._check_item(item)
            if isinstance(item, Tombstone):
                yield None if buried.get(item.workflow_id) == item else _restoring_tombstone(item)
                continue
            if item.header.workflow_id != workflow_id:
                workflow_id = item.header.workflow_id
                existing = {header.version: header for header in self._headers(workflow_id)}
            present = existing.get(item.header.version)
            if present is None:
                yield self._restoring_version(item)
            elif present == item.header and self._holds(item):
                yield None
            else:
                raise RestoreConflictError(
                    workflow_id=workflow_id, version=item.header.version, head_version=max(existing)
                )

    def _restoring_version(self, item: ExportedVersion) -> RestoreRequest:
        header = item.header
        record = header.record(item.document)
        key = header.idempotency_key
        return RestoreRequest(
            record=self._serializer.seal(record),
            version=header.version,
            saved_at=header.saved_at,
            workflow_created_at=item.workflow_created_at,
            idempotency=None if key is None else self._serializer.idempotency_key(key, record),
            origin=header.origin,
        )

    def _holds(self, item: ExportedVersion) -> bool:
        request = LoadRequest(workflow_ids=(item.header.workflow_id,), version=item.header.version)
        return any(
            normal_form(self._serializer.exported(stored)) == item.document
            or normal_form(self._serializer.open(stored)) == item.document  # an older export has it as it stands here
            for stored in self._verbs.load(request)
        )

    def _headers(self, workflow_id: str) -> Sequence[VersionHeader]:
        return self._verbs.version(VersionRequest(of=workflow_id)).headers

    def _tombstones(self, view: walks.Reader) -> Sequence[Tombstone]:
        return view.query(QueryRequest(want=Want.TOMBSTONES)).tombstones

    def _check_item(self, item: ExportedVersion | Tombstone) -> None:
        """Refuse what no save or delete makes."""
        try:
            if isinstance(item, Tombstone):
                check_tombstone(item)
                return
            check_header(item.header)
        except InvalidContextError as error:
            raise ConfigurationError(f"an item of this export cannot be imported: {error}") from error
        header = item.header
        problem = self._problem_of_plain(header, item.document)
        if problem is not None:
            raise ConfigurationError(
                f"version {header.version} of workflow {shown(header.workflow_id)} cannot be imported: {problem}"
            )

    def _problem_of_plain(self, header: VersionHeader, document: bytes) -> str | None:
        return problem_of(self._serializer, header, StoredDocument(header.workflow_id, header.version, document))

    def _exported(self, view: walks.Reader, missing: list[Damage] | None) -> Iterator[ExportedVersion | Tombstone]:
        """The items of an export. What cannot be read is raised, or added to *missing*."""
        told: set[tuple[str, int | None]] = set()
        for page in walks.pages(view, Want.HEADERS):
            for row in page.damaged:
                _leave_out(row.error, missing, told)
            for head in page.headers:
                yield from self._exported_history(view, head, missing, told)
        found = view.query(QueryRequest(want=Want.TOMBSTONES))
        for row in found.damaged:
            _leave_out(row.error, missing, told)
        yield from found.tombstones

    def _exported_history(
        self,
        view: walks.Reader,
        head: VersionHeader,
        missing: list[Damage] | None,
        told: set[tuple[str, int | None]],
    ) -> Iterator[ExportedVersion]:
        first = 0 if missing is None else self._first_after_damage(view, head.workflow_id, missing, told)
        for item in self._items(view, head):
            if isinstance(item, ExportedVersion):
                if item.header.version >= first:
                    yield item
                elif missing is not None:
                    missing.append(Damage(workflow_id=head.workflow_id, version=item.header.version, problem=_OLDER))
            elif missing is None:
                raise item

    def _first_after_damage(
        self, view: walks.Reader, workflow_id: str, missing: list[Damage], told: set[tuple[str, int | None]]
    ) -> int:
        """Where the newest run of versions without damage begins; what is damaged is added to *missing*."""
        first = last = 0
        headers = (head for page in walks.history(view, workflow_id, Want.HEADERS) for head in page.headers[:1])
        head = next(headers, None)
        if head is None:
            return 0
        is_broken = False
        for item in self._items(view, head):
            if not isinstance(item, ExportedVersion):
                _leave_out(item, missing, told)
                is_broken = True
                continue
            if is_broken or (last and item.header.version != last + 1):
                first, is_broken = item.header.version, False
            last = item.header.version
        return first

    def _items(
        self, view: walks.Reader, head: VersionHeader
    ) -> Iterator[ExportedVersion | CorruptDocumentError | DamagedHistoryError]:
        """The versions of one workflow, oldest first, with an error for each that cannot be read."""
        for page in walks.history(view, head.workflow_id, Want.RECORDS):
            for found in in_order(zip(page.headers, page.documents, strict=True), page.damaged):
                if isinstance(found, DamagedRow):
                    yield found.error
                    continue
                header, stored = found
                try:
                    document = self._serializer.exported(stored)
                except CorruptDocumentError as error:
                    yield error
                    continue
                item = ExportedVersion(header=header, workflow_created_at=head.created_at, document=document)
                problem = self._problem_of_plain(header, document)
                if problem is None:
                    yield item
                else:
                    yield CorruptDocumentError(workflow_id=header.workflow_id, version=header.version, problem=problem)


def _leave_out(
    error: CorruptDocumentError | DamagedHistoryError, missing: list[Damage] | None, told: set[tuple[str, int | None]]
) -> None:
    if missing is None:
        raise error
    version = getattr(error, "version", None)
    if (error.workflow_id, version) not in told:
        told.add((error.workflow_id, version))
        missing.append(Damage(workflow_id=error.workflow_id, version=version, problem=error.problem))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn an error of the file into one of ours."""
    try:
        yield
    except ContextCoreError:
        raise  # some of ours are OSErrors too
    except OSError as error:
        raise StorageError(f"{path!s:.300} could not be read to its end: {error.strerror}") from error


def _restoring_tombstone(tombstone: Tombstone) -> RestoreTombstoneRequest:
    return RestoreTombstoneRequest(
        workflow_id=tombstone.workflow_id, last_version=tombstone.last_version, deleted_at=tombstone.deleted_at
    )
