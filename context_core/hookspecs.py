"""`ContextBackend`: what a driver implements, and what it promises by doing so.

The class is abstract and a pluggy hook specification in one. A driver subclasses it; a wrapper implements some of its
verbs with ``@hookimpl(wrapper=True)``. Promise ids in the docstrings are those of the conformance suite.
"""

import abc
from typing import ClassVar, Final, Self

import pluggy

from context_core.errors import UnsupportedOperationError
from context_core.maintenance import (
    BackupRequest,
    PruneRequest,
    PruneResult,
    RehashRequest,
    RepairRequest,
    RepairResult,
    VerifyReport,
)
from context_core.model import utc_now
from context_core.records import (
    BackendDescription,
    BatchRequest,
    Clock,
    LoadRequest,
    Outcome,
    QueryRequest,
    SavedVersion,
    SaveRequest,
    Selection,
    StoredDocument,
    VersionRequest,
)
from context_core.url import BackendURL

PROJECT: Final = "context_core"

hookspec: Final = pluggy.HookspecMarker(PROJECT)
hookimpl: Final = pluggy.HookimplMarker(PROJECT)
"""Marks a wrapper's methods: ``@hookimpl(wrapper=True)``. A driver's verbs need no mark."""

VERBS: Final = ("save", "load", "version", "query", "batch")


class ContextBackend(abc.ABC):
    """Keeps versioned workflow contexts: five verbs over records and bytes.

    A driver is synchronous and safe for use by many threads at once (CO01). It keeps these laws for every verb:

    - Each write is one atomic, durable transaction: once it returns, the version survives a crash; if it raises,
      nothing changed, OutcomeUnknownError excepted (CR01, CR02).
    - Versions of a workflow start at 1 and grow by exactly 1 for each save; numbers go on after a delete and are never
      used again (VE01, VE05). A stored version never changes (VE02).
    - `saved_at` is the clock's time or, if that went back, the `saved_at` of the head or the `deleted_at` of the
      tombstone; it is read inside the transaction. A tombstone's `deleted_at` likewise (VE08, TI02).
    - A row that cannot be read hides no other (CR06): `version` and `query` pass it over and tell of it in
      `Selection.damaged`; `load` raises CorruptDocumentError.
    - A workflow whose head and history do not belong together is a DamagedHistoryError in every verb that names it,
      but a delete removes what there is of it, and leaves a tombstone (CR07).
    - Every error is a ContextCoreError with the engine's own as its cause; messages never hold a document or a
      password (ER01, ER03).
    - After `close` every verb raises BackendClosedError (ER05).

    No verb returns None. Requests arrive validated.
    """

    scheme: ClassVar[str] = ""
    """The URL scheme of the driver, the name of its entry point."""

    @classmethod
    def from_url(cls, url: BackendURL, *, clock: Clock = utc_now) -> Self:
        """Open the store at *url*; its `saved_at` times are read from *clock* (TI01).

        Raises:
            ConfigurationError: The URL has a part or an option that this driver does not know; the error names it.
            BackendUnavailableError: The store cannot be reached now.
        """
        del url, clock
        raise UnsupportedOperationError(
            operation="opening by URL", backend=cls.__name__, hint="pass a backend object instead of a URL"
        )

    @hookspec(firstresult=True)
    @abc.abstractmethod
    def save(self, request: SaveRequest) -> SavedVersion:
        """Store `request.record` as the next version of its workflow (VE01, CA01).

        Looks, in this order and inside the transaction, at the size of the document, at the idempotency key (ID01, ID02), at `must_exist`, and at
        `expected_version`, where 0 means that the workflow must not exist (CA02); a deleted workflow does not exist.

        A key that is known in its workflow makes a replay where `IdempotencyKey.stands_for` says that it stands for the
        version which has it, and a conflict otherwise. The hash is kept beside the key, None too.

        Raises:
            IdempotencyConflictError: The key stands for other content.
            ContextNotFoundError: `must_exist`, and it does not.
            VersionConflictError: The head is not `expected_version`.
            LimitExceededError: The document is larger than the declared limit (RT15).
            UnsupportedOperationError: An idempotency key on a driver that does not declare IDEMPOTENCY.
            BackendUnavailableError: The store cannot be reached; safe to try again.
            OutcomeUnknownError: The reply was lost; retry with the same idempotency key.
        """

    @hookspec(firstresult=True)
    @abc.abstractmethod
    def load(self, request: LoadRequest) -> list[StoredDocument]:
        """Return the asked documents of those workflows that have them, in the order of `workflow_ids`.

        An id asked twice is given twice; what is missing is left out (BA08). With `version` it is exactly that version
        (VE03), with `as_of` the highest version saved at or before that time (VE08), else the head. All are read in
        one consistent view, however many they are (BA05).

        Raises:
            StorageError: A stored row is damaged.
        """

    @hookspec(firstresult=True)
    @abc.abstractmethod
    def version(self, request: VersionRequest) -> Selection:
        """Return the history of a workflow or of a story: headers, documents, both, or the count (VE07, VE12).

        What does not exist has an empty history. HEADERS and COUNT read no document (QU12).
        """

    @hookspec(firstresult=True)
    @abc.abstractmethod
    def query(self, request: QueryRequest) -> Selection:
        """Return the heads that meet all conditions, in a total order (QU01, QU10).

        `context_core.query.evaluate` says what conditions and orders mean; a driver may call it.

        Raises:
            UnsupportedOperationError: A condition on a free-form field, and the driver does not declare JSON_PATHS.
        """

    @hookspec(firstresult=True)
    @abc.abstractmethod
    def batch(self, request: BatchRequest) -> list[Outcome]:
        """Apply all operations in order, in one transaction, or none of them (BA01); outcomes follow their order (BA02).

        Later operations see the earlier ones. A restore writes its version at its very number and time, as the
        successor of the head or as the first of a workflow that does not exist, above its tombstone (MO01). An empty batch succeeds and writes nothing (BA03). A delete removes
        every row that holds the workflow's content; a tombstone of its id, last version and time stays (DE01, VE05),
        and deleting what does not exist gives `Deleted(existed=False)` (DE03), or a conflict where a version was
        expected (CA07).

        Raises:
            RestoreConflictError: A restore does not continue the history, or a tombstone's workflow exists.
            PersistenceError: As `save`, for whichever operation fails first.
        """

    def describe(self) -> BackendDescription:
        """Return name, place, capabilities and limits (ER08). Works on a closed store too."""
        return BackendDescription(name=self.scheme or type(self).__name__, location="", capabilities=frozenset())

    def close(self) -> None:  # noqa: B027  # a driver that holds nothing has nothing to close
        """Release every thread, handle and connection; further calls do nothing (ER05).

        Calls under way in other threads end as they would have, or raise BackendClosedError.
        """

    def explain(self, request: QueryRequest) -> str:
        """Return the engine's plan of a query, as text (QU13). By capability EXPLAIN."""
        raise self._unsupported("explain")

    def verify(self) -> VerifyReport:
        """Check every stored row and name the damaged ones; one of them hides no other (CR06). By capability VERIFY.

        Whether documents can be read is for the facade to judge: it knows their codec and schema.
        """
        raise self._unsupported("verify")

    def repair(self, request: RepairRequest) -> RepairResult:
        """Mend the states that no driver makes: one transaction a workflow (CR07). By capability REPAIR.

        A head is rebuilt from its history, a history that lacks the version of its head gets it. Nothing that can be
        read is removed or changed. The dry run names exactly what the run does, if nobody writes in between; a second
        run finds nothing to do.
        """
        raise self._unsupported("repair")

    def prune(self, request: PruneRequest) -> PruneResult:
        """Remove old versions, never a head, in bounded transactions (RE01, RE02). By capability PRUNE.

        The dry run names exactly what the run removes, if nobody writes in between. Idempotency keys go with their rows.
        """
        raise self._unsupported("prune")

    def snapshot(self) -> "ContextBackend":
        """Open a consistent view of this moment (MO02). By capability SNAPSHOT.

        It answers load, version and query, from any thread; writes, an empty batch too, raise ReadOnlyError, and after
        its close everything raises BackendClosedError. Close it before its store, and do not take it through a fork.
        """
        raise self._unsupported("snapshot")

    def backup(self, request: BackupRequest) -> None:
        """Copy the live store to another place, as it was at one moment (MO02). By capability BACKUP.

        Raises:
            StorageError: The target exists, or cannot be written.
        """
        raise self._unsupported("backup")

    def migrate(self) -> int:
        """Bring stored data to the newest form and return its schema version (MI01). By capability MIGRATE.

        Opening a store does as much of this as it needs; what may take long is left to this call.
        """
        raise self._unsupported("migrate")

    def rehash(self, request: RehashRequest) -> None:
        """Replace the hashes that are kept beside idempotency keys, in one transaction. By capability MIGRATE.

        Nothing else of a version changes. A hash that is kept already costs no write.
        """
        raise self._unsupported("rehash")

    def _unsupported(self, operation: str) -> UnsupportedOperationError:
        return UnsupportedOperationError(operation=operation, backend=self.describe().name)
