"""Keeping a store in order: retention, checks, backups, and moving histories to other stores."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Final, TypeAlias

import attrs

from context_core._facade.arguments import check_statuses, check_time
from context_core._facade.opening import C, OpenedStore
from context_core.conditions import OrderTerm
from context_core.errors import (
    ConfigurationError,
    CorruptDocumentError,
    InvalidQueryError,
    RestoreConflictError,
    UnsupportedSchemaError,
)
from context_core.hookspecs import ContextBackend
from context_core.maintenance import (
    BackupRequest,
    Damage,
    KeptHash,
    PruneRequest,
    PruneResult,
    RehashRequest,
    RepairRequest,
    RepairResult,
    VerifyReport,
)
from context_core.plugins import BoundVerbs
from context_core.records import (
    BatchRequest,
    Capability,
    ContextRecord,
    LoadRequest,
    Operation,
    QueryRequest,
    RestoreRequest,
    RestoreTombstoneRequest,
    Selection,
    StoredDocument,
    Tombstone,
    VersionHeader,
    VersionRequest,
    Want,
)
from context_core.transfer import ExportedVersion, normal_form, read_lines, write_lines

PAGE_SIZE: Final = 200
"""Versions read, or written, at a time."""

Reader: TypeAlias = ContextBackend | BoundVerbs
"""What answers load, version and query."""

_BY_ID: Final = (OrderTerm(field="workflow_id"),)


@attrs.frozen(kw_only=True)
class ImportResult:
    """What an import did: how many versions and tombstones it wrote, and how many were there already."""

    written: int
    present: int


class Upkeep(OpenedStore[C]):
    """The verbs of whoever runs the store."""

    def prune(
        self,
        *,
        keep_last: int = 1,
        inactive_since: datetime | None = None,
        statuses: Sequence[str] | None = None,
        dry_run: bool = False,
        batch_size: int = 500,
    ) -> PruneResult:
        """Remove all but the newest *keep_last* versions of the workflows meant; never a newest one (RE01, RE02).

        Args:
            keep_last: How many versions of each workflow stay, 1 or more.
            inactive_since: Only workflows last saved before this time; all by default.
            statuses: Only workflows whose newest version has one of these statuses; all by default.
            dry_run: Only tell what would go.
            batch_size: How many versions go in one transaction; writers take turns with it.

        Raises:
            InvalidQueryError: An argument does not fit.
            UnsupportedOperationError: The backend does not declare PRUNE.
        """
        for name, value in (("keep_last", keep_last), ("batch_size", batch_size)):
            if type(value) is not int or not 1 <= value < 2**63:
                raise InvalidQueryError(f"{name} must be an int of 1 or more, not {value!r:.40}")
        return self._backend.prune(
            PruneRequest(
                keep_last=keep_last,
                inactive_since=None if inactive_since is None else check_time("inactive_since", inactive_since),
                statuses=None if statuses is None else check_statuses(statuses),
                dry_run=dry_run,
                batch_size=batch_size,
            )
        )

    def verify(self) -> VerifyReport:
        """Check the storage, and read every document; name what is damaged (CR06). Nothing is changed.

        Raises:
            UnsupportedOperationError: The backend does not declare VERIFY.
        """
        report = self._backend.verify()
        damages = list(report.damages)
        known = {(damage.workflow_id, damage.version) for damage in damages}
        with _view_of(self._backend) as view:
            for stored in itertools.chain.from_iterable(_readable(view, workflow_id) for workflow_id in _ids(view)):
                problem = stored.problem if isinstance(stored, CorruptDocumentError) else self._problem_of(stored)
                if problem is not None and (stored.workflow_id, stored.version) not in known:
                    damages.append(Damage(workflow_id=stored.workflow_id, version=stored.version, problem=problem))
        return VerifyReport(checked_versions=report.checked_versions, damages=tuple(damages))

    def repair(self, dry_run: bool = False) -> RepairResult:  # noqa: FBT001, FBT002  # repair(True) would be odd, not wrong
        """Mend what `verify` names and what is stored allows to mend (CR07); tell each step.

        A head is rebuilt from its history; a history that lacks the version of its head gets it. Nothing that can be
        read is removed or changed, and saves go on with the next number. Take a backup first.

        Args:
            dry_run: Only tell what would be done.

        Raises:
            UnsupportedOperationError: The backend does not declare REPAIR.
        """
        return self._backend.repair(RepairRequest(dry_run=dry_run))

    def migrate(self) -> int:
        """Bring what older code stored to the newest form, and return the schema version (MI03).

        Opening a store does as much of this as it needs; this does what may take long, in bounded transactions, while
        others read and write. It may be killed and run again.

        On a store with a document codec the hashes that are kept beside idempotency keys are made anew with the codec's
        secret, or removed where it gives none: older code kept hashes by which contents could be guessed.

        Raises:
            UnsupportedOperationError: The backend does not declare MIGRATE.
        """
        version = self._backend.migrate()
        if self._serializer.is_opaque and Capability.IDEMPOTENCY in self._backend.describe().capabilities:
            self._rehash()
        return version

    def _rehash(self) -> None:
        for workflow_id in _ids(self._backend):
            # The newest first: what is saved or pruned meanwhile moves no row behind those that were looked at.
            for page in _history(self._backend, workflow_id, Want.HEADERS, newest_first=True):
                hashes = [self._kept_hash(header) for header in page.headers if header.idempotency_key is not None]
                if hashes:
                    self._backend.rehash(RehashRequest(hashes=hashes))

    def _kept_hash(self, header: VersionHeader) -> KeptHash:
        content_hash = None
        if self._serializer.keeps_hashes:
            with suppress(CorruptDocumentError):  # of what cannot be read nothing is kept
                for stored in self._backend.load(LoadRequest((header.workflow_id,), header.version)):
                    record = _record(header, self._serializer.open(stored))
                    content_hash = self._serializer.idempotency_key(header.idempotency_key or "", record).content_hash
        return KeptHash(workflow_id=header.workflow_id, version=header.version, content_hash=content_hash)

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
        with _view_of(self._backend) as view:
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
                if len(pending) >= PAGE_SIZE:
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
        record = _record(header, item.document)
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

    def _tombstones(self, view: Reader) -> Sequence[Tombstone]:
        return view.query(QueryRequest(want=Want.TOMBSTONES)).tombstones

    def _exported(self, view: Reader) -> Iterator[ExportedVersion | Tombstone]:
        for head in _heads(view):
            for page in _history(view, head.workflow_id, Want.RECORDS):
                for header, stored in zip(page.headers, page.documents, strict=True):
                    document = self._serializer.exported(stored)
                    yield ExportedVersion(header=header, workflow_created_at=head.created_at, document=document)
        yield from self._tombstones(view)

    def _problem_of(self, stored: StoredDocument) -> str | None:
        try:
            self._serializer.to_context(stored)
        except CorruptDocumentError as error:
            return error.problem
        except UnsupportedSchemaError as error:
            return f"its schema {error.schema!r:.20} is not one that this code reads"
        return None


def _record(header: VersionHeader, document: bytes) -> ContextRecord:
    return ContextRecord(
        workflow_id=header.workflow_id,
        epic_num=header.epic_num,
        story_num=header.story_num,
        feature=header.feature,
        workflow_name=header.workflow_name,
        current_phase=header.current_phase,
        status=str(header.status),
        created_at=header.created_at,
        updated_at=header.updated_at,
        tags=header.tags,
        document=document,
    )


def _restoring_tombstone(tombstone: Tombstone) -> RestoreTombstoneRequest:
    return RestoreTombstoneRequest(
        workflow_id=tombstone.workflow_id, last_version=tombstone.last_version, deleted_at=tombstone.deleted_at
    )


@contextmanager
def _view_of(backend: ContextBackend) -> Iterator[ContextBackend]:
    """A consistent view where the backend gives one, else the backend itself."""
    if Capability.SNAPSHOT not in backend.describe().capabilities:
        yield backend
        return
    with closing(backend.snapshot()) as view:
        yield view


def _heads(view: Reader) -> Iterator[VersionHeader]:
    """Every head, by id."""
    for page in _pages(view, Want.HEADERS):
        yield from page.headers


def _ids(view: Reader) -> Iterator[str]:
    """Every workflow's id, also of one whose header cannot be read."""
    for page in _pages(view, Want.DOCUMENTS):
        yield from (stored.workflow_id for stored in page.documents)


def _pages(view: Reader, want: Want) -> Iterator[Selection]:
    """The heads by id, a page at a time."""
    place: tuple[str] | None = None
    while True:
        page = view.query(QueryRequest(order=_BY_ID, want=want, limit=PAGE_SIZE, after=place))
        yield page
        if page.count < PAGE_SIZE:
            return
        place = ((page.headers or page.documents)[-1].workflow_id,)


def _readable(view: Reader, workflow_id: str) -> Iterator[StoredDocument | CorruptDocumentError]:
    """A workflow's documents, oldest first; for each that the backend cannot read, its error."""
    for offset in itertools.count(0, PAGE_SIZE):
        try:
            page: Sequence[StoredDocument | CorruptDocumentError] = _documents(view, workflow_id, PAGE_SIZE, offset)
        except CorruptDocumentError:
            page = list(_one_by_one(view, workflow_id, offset))
        yield from page
        if len(page) < PAGE_SIZE:
            return


def _one_by_one(view: Reader, workflow_id: str, start: int) -> Iterator[StoredDocument | CorruptDocumentError]:
    for offset in range(start, start + PAGE_SIZE):
        try:
            found = _documents(view, workflow_id, 1, offset)
        except CorruptDocumentError as error:
            yield error
        else:
            if not found:
                return
            yield from found


def _documents(view: Reader, workflow_id: str, limit: int, offset: int) -> Sequence[StoredDocument]:
    return view.version(VersionRequest(of=workflow_id, want=Want.DOCUMENTS, limit=limit, offset=offset)).documents


def _history(view: Reader, workflow_id: str, want: Want, *, newest_first: bool = False) -> Iterator[Selection]:
    """A workflow's versions, oldest first unless asked otherwise, a page at a time."""
    for offset in itertools.count(0, PAGE_SIZE):
        page = view.version(
            VersionRequest(of=workflow_id, want=want, limit=PAGE_SIZE, offset=offset, newest_first=newest_first)
        )
        yield page
        if page.count < PAGE_SIZE:
            return
