"""Moving histories: backups, exports and imports."""

from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path

import attrs

from context_core._facade import walks
from context_core._facade.opening import C, OpenedStore
from context_core.errors import ConfigurationError, RestoreConflictError
from context_core.maintenance import BackupRequest
from context_core.records import (
    BatchRequest,
    LoadRequest,
    Operation,
    QueryRequest,
    RestoreRequest,
    RestoreTombstoneRequest,
    Tombstone,
    VersionHeader,
    VersionRequest,
    Want,
)
from context_core.transfer import ExportedVersion, normal_form, read_lines, write_lines


@attrs.frozen(kw_only=True)
class ImportResult:
    """What an import did: how many versions and tombstones it wrote, and how many were there already."""

    written: int
    present: int


class Moves(OpenedStore[C]):
    """The verbs that write a store to a file, and read it from one."""

    def backup(self, target: str | PathLike[str]) -> None:
        """Copy the live store to a new file, as it is at one moment; writers go on (MO02).

        Raises:
            StorageError: *target* exists, or cannot be written.
            UnsupportedOperationError: The backend does not declare BACKUP.
        """
        self._backend.backup(BackupRequest(target=Path(target)))

    def export(self, target: str | PathLike[str]) -> int:
        """Write every version and tombstone to a new file of JSON Lines; return how many (MO01).

        On a backend that declares SNAPSHOT the file is one consistent moment of the live store (MO02). Documents leave
        in plain, whatever codec the store has.

        Raises:
            ConfigurationError: *target* exists, or cannot be written.
        """
        count = 0
        with walks.view_of(self._backend) as view:
            try:
                file = Path(target).open("xb")  # noqa: SIM115  # closed below; here only its opening is meant
            except OSError as error:
                raise ConfigurationError(f"{target} must be a new file in an existing folder: {error}") from error
            with file:
                for line in write_lines(self._exported(view)):
                    file.write(line)
                    count += 1
        return count - 1  # the first line is the format's

    def import_(self, source: str | PathLike[str]) -> ImportResult:
        """Write the versions and tombstones of an export, with their numbers and times (MO01).

        What is there already, equal, is left as it is, so that an import can be repeated or resumed.

        Raises:
            RestoreConflictError: A workflow stands here otherwise than in the export; nothing of it was overwritten.
            ConfigurationError: *source* is no export.
        """
        try:
            file = Path(source).open("rb")  # noqa: SIM115  # closed below; here only its opening is meant
        except OSError as error:
            raise ConfigurationError(f"{source} cannot be read: {error}") from error
        total = written = 0
        pending: list[Operation] = []
        with file:
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
        return ImportResult(written=written, present=total - written)

    def _restoring(self, items: Iterable[ExportedVersion | Tombstone]) -> Iterator[Operation | None]:
        """The operation that writes each item; None for one that is there already, equal."""
        buried = {tombstone.workflow_id: tombstone for tombstone in self._tombstones(self._verbs)}
        workflow_id: str | None = None
        existing: dict[int, VersionHeader] = {}
        for item in items:
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
        record = walks.record(header, item.document)
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

    def _exported(self, view: walks.Reader) -> Iterator[ExportedVersion | Tombstone]:
        for head in walks.heads(view):
            for page in walks.history(view, head.workflow_id, Want.RECORDS):
                for header, stored in zip(page.headers, page.documents, strict=True):
                    document = self._serializer.exported(stored)
                    yield ExportedVersion(header=header, workflow_created_at=head.created_at, document=document)
        yield from self._tombstones(view)


def _restoring_tombstone(tombstone: Tombstone) -> RestoreTombstoneRequest:
    return RestoreTombstoneRequest(
        workflow_id=tombstone.workflow_id, last_version=tombstone.last_version, deleted_at=tombstone.deleted_at
    )
