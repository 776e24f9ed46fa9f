"""Keeping a store in order: retention, checks and repairs."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime

from context_core._facade import walks
from context_core._facade.arguments import check_flag, check_statuses, check_time
from context_core._facade.checking import problem_of
from context_core._facade.opening import C, OpenedStore
from context_core.errors import CorruptDocumentError, DamagedHistoryError, InvalidQueryError, StorageError, shown
from context_core.maintenance import (
    Damage,
    KeptHash,
    PruneRequest,
    PruneResult,
    RehashRequest,
    RepairRequest,
    RepairResult,
    VerifyReport,
)
from context_core.records import Capability, LoadRequest, QueryRequest, VersionHeader, Want


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
                raise InvalidQueryError(f"{name} must be an int of 1 or more, not {shown(value)}")
        return self._backend.prune(
            PruneRequest(
                keep_last=keep_last,
                inactive_since=None if inactive_since is None else check_time("inactive_since", inactive_since),
                statuses=None if statuses is None else check_statuses(statuses),
                dry_run=check_flag("dry_run", dry_run),
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
        named = {damage.workflow_id for damage in damages}
        try:
            with walks.view_of(self._backend) as view:
                for found in self._damages(view):
                    is_known = found.workflow_id in named if found.version is None else _place(found) in known
                    if not is_known:
                        damages.append(found)
                        known.add(_place(found))
        except StorageError as error:
            if not damages:
                raise
            # What the backend has named keeps documents from being read: a table that was dropped, for one.
            damages.append(Damage(workflow_id=None, version=None, problem=f"documents cannot be read: {error}"))
        return VerifyReport(checked_versions=report.checked_versions, damages=tuple(damages))

    def _damages(self, view: walks.Reader) -> Iterator[Damage]:
        """What is wrong with documents, and all that the driver passes over as it reads."""
        for workflow_id in walks.ids(view):
            try:
                for page in walks.history(view, workflow_id, Want.RECORDS):
                    yield from (_damage(row.error) for row in page.damaged)
                    for header, stored in zip(page.headers, page.documents, strict=True):
                        problem = problem_of(self._serializer, header, stored)
                        if problem is not None:
                            yield Damage(workflow_id=workflow_id, version=stored.version, problem=problem)
            except (CorruptDocumentError, DamagedHistoryError) as error:
                yield _damage(error)
        for row in view.query(QueryRequest(want=Want.TOMBSTONES)).damaged:
            yield Damage(workflow_id=row.error.workflow_id, version=None, problem=row.error.problem)

    def repair(self, dry_run: bool = False) -> RepairResult:  # noqa: FBT001, FBT002  # repair(True) would be odd, not wrong
        """Mend what `verify` names and what is stored allows to mend (CR07); tell each step.

        A head is rebuilt from its history; a history that lacks the version of its head gets it. Nothing that can be
        read is removed or changed, and saves go on with the next number. Take a backup first.

        Args:
            dry_run: Only tell what would be done.

        Raises:
            UnsupportedOperationError: The backend does not declare REPAIR.
        """
        return self._backend.repair(RepairRequest(dry_run=check_flag("dry_run", dry_run)))

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
        for workflow_id in walks.ids(self._backend):
            # The newest first: what is saved or pruned meanwhile moves no row behind those that were looked at.
            for page in walks.history(self._backend, workflow_id, Want.HEADERS, newest_first=True):
                hashes = [self._kept_hash(header) for header in page.headers if header.idempotency_key is not None]
                if hashes:
                    self._backend.rehash(RehashRequest(hashes=hashes))

    def _kept_hash(self, header: VersionHeader) -> KeptHash:
        content_hash = None
        if self._serializer.keeps_hashes:
            with suppress(CorruptDocumentError):  # of what cannot be read nothing is kept
                for stored in self._backend.load(LoadRequest((header.workflow_id,), header.version)):
                    record = header.record(self._serializer.open(stored))
                    content_hash = self._serializer.idempotency_key(header.idempotency_key or "", record).content_hash
        return KeptHash(workflow_id=header.workflow_id, version=header.version, content_hash=content_hash)


def _damage(error: CorruptDocumentError | DamagedHistoryError) -> Damage:
    version = error.version if isinstance(error, CorruptDocumentError) else None
    return Damage(workflow_id=error.workflow_id, version=version, problem=error.problem)


def _place(damage: Damage) -> tuple[str | None, int | None]:
    return damage.workflow_id, damage.version
