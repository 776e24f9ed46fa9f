"""`ContextBackend`: the interface that a driver implements, and the promises that the driver makes.

The class is an abstract base class and a pluggy hook specification. A driver subclasses it. A wrapper implements some
of its verbs with ``@hookimpl(wrapper=True)``. The promise ids in the docstrings are those of the conformance suite.
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
"""Marks the methods of a wrapper: ``@hookimpl(wrapper=True)``. The verbs of a driver need no mark."""

VERBS: Final = ("save", "load", "version", "query", "batch")


class ContextBackend(abc.ABC):
    """Stores versioned workflow contexts: five verbs over records and bytes.

    A driver is synchronous, and many threads may call it at once (CO01). These laws hold for every verb:

    - Each write is one atomic, durable transaction. Once the verb returns, the version survives a crash. If the verb
      raises, nothing changed; OutcomeUnknownError is the only exception (CR01, CR02).
    - The versions of a workflow start at 1, and each save adds exactly 1. The numbers continue after a delete. No
      number is used twice (VE01, VE05). A stored version never changes (VE02).
    - The driver reads the clock inside the transaction. `saved_at` is the clock's time. If the clock went back,
      `saved_at` is the `saved_at` of the head or the `deleted_at` of the tombstone. The same rule gives the
      `deleted_at` of a tombstone (VE08, TI02).
    - A row that cannot be read hides no other row (CR06). `version` and `query` leave the row out and report it in
      `Selection.damaged`. `load` raises CorruptDocumentError.
    - If the head and the history of a workflow do not belong together, every verb that names the workflow raises
      DamagedHistoryError. A delete is the exception: it removes all rows of the workflow and leaves a tombstone (CR07).
    - Every error is a ContextCoreError, and its cause is the error of the engine. No message holds a document or a
      password (ER01, ER03).
    - After `close` every verb raises BackendClosedError (ER05).

    No verb returns None. Requests arrive validated: `context_core.records` states their types and ranges.
    """

    scheme: ClassVar[str] = ""
    """The URL scheme of the driver, which is also the name of its entry point."""

    @classmethod
    def from_url(cls, url: BackendURL, *, clock: Clock = utc_now) -> Self:
        """Open the store at *url*. The driver reads its `saved_at` times from *clock* (TI01).

        Raises:
            ConfigurationError: The URL has a part or an option that this driver does not know. The error names it.
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

        The driver makes these checks inside the transaction, in this order: the size of the document, the idempotency
        key (ID01, ID02), `must_exist`, `expected_version`. An `expected_version` of 0 means that the workflow must not
        exist (CA02). A deleted workflow does not exist.

        If a version of the workflow has the same key, the driver asks `IdempotencyKey.stands_for`: the save is a replay
        of that version, or a conflict. The driver stores the hash of the key beside it, also if the hash is None.

        Raises:
            IdempotencyConflictError: The key was used for other content.
            ContextNotFoundError: The request has `must_exist`, and the workflow does not exist.
            VersionConflictError: The head is not `expected_version`.
            LimitExceededError: The document is larger than the declared limit (RT15).
            UnsupportedOperationError: The request has an idempotency key, and the driver does not declare IDEMPOTENCY.
            BackendUnavailableError: The store cannot be reached; nothing was written, and a retry is safe.
            OutcomeUnknownError: The reply was lost; retry with the same idempotency key.
        """

    @hookspec(firstresult=True)
    @abc.abstractmethod
    def load(self, request: LoadRequest) -> list[StoredDocument]:
        """Return one document of each workflow that has it, in the order of `workflow_ids`.

        If an id occurs twice in the request, its document occurs twice in the result. Missing documents are left out
        (BA08). With `version` the document is exactly that version (VE03). With `as_of` it is the highest version saved
        at or before that time (VE08). Otherwise it is the head. The driver reads all documents in one consistent view,
        however many they are (BA05).

        Raises:
            StorageError: A stored row is damaged.
        """

    @hookspec(firstresult=True)
    @abc.abstractmethod
    def version(self, request: VersionRequest) -> Selection:
        """Return the version history of a workflow or of a story: headers, documents, both, or the count (VE07, VE12).

        A workflow or a story that does not exist has an empty history. HEADERS and COUNT read no document (QU12).
        """

    @hookspec(firstresult=True)
    @abc.abstractmethod
    def query(self, request: QueryRequest) -> Selection:
        """Return the heads that meet all conditions, in a total order (QU01, QU10).

        `context_core.query.evaluate` defines what conditions and orders mean. A driver may call it.

        Raises:
            UnsupportedOperationError: A condition names a free-form field, and the driver does not declare JSON_PATHS.
        """

    @hookspec(firstresult=True)
    @abc.abstractmethod
    def batch(self, request: BatchRequest) -> list[Outcome]:
        """Apply all operations in order, in one transaction, or none of them (BA01).

        The outcomes have the order of the operations (BA02). Later operations see the earlier ones. An empty batch
        succeeds and writes nothing (BA03).

        A restore writes its version with exactly its number and time (MO01). The version is the successor of the head,
        or the first version of a workflow that does not exist, with a number above the last version of its tombstone.

        A delete removes every row that holds content of the workflow. It leaves a tombstone with the id, the last
        version and the time (DE01, VE05). A delete of a workflow that does not exist gives `Deleted(existed=False)`
        (DE03), or a conflict if the request expected a version (CA07).

        Raises:
            RestoreConflictError: A restore does not continue the history, or the workflow of a tombstone exists.
            PersistenceError: As `save`, for the first operation that fails.
        """

    def describe(self) -> BackendDescription:
        """Return name, location, capabilities and limits (ER08), also after `close`."""
        return BackendDescription(name=self.scheme or type(self).__name__, location="", capabilities=frozenset())

    def close(self) -> None:  # noqa: B027  # a driver without resources has nothing to close
        """Release every thread, handle and connection. Further calls of `close` do nothing (ER05).

        Calls that run in other threads meanwhile finish normally, or raise BackendClosedError.
        """

    def explain(self, request: QueryRequest) -> str:
        """Return the engine's plan of a query, as text (QU13). Needs the capability EXPLAIN."""
        raise self._unsupported("explain")

    def verify(self) -> VerifyReport:
        """Check every stored row and report each damaged one (CR06). Needs the capability VERIFY.

        The facade checks whether documents can be read, since it knows their codec and schema.
        """
        raise self._unsupported("verify")

    def repair(self, request: RepairRequest) -> RepairResult:
        """Mend states that no verb produces, in one transaction per workflow (CR07). Needs the capability REPAIR.

        The driver rebuilds a head from its history. If a history lacks the version of its head, the driver adds that
        version. It removes or changes nothing that can be read. The dry run reports exactly what the run does, if
        nobody writes in between. A second run finds nothing to do.
        """
        raise self._unsupported("repair")

    def prune(self, request: PruneRequest) -> PruneResult:
        """Remove old versions, never a head, in bounded transactions (RE01, RE02). Needs the capability PRUNE.

        The dry run reports exactly what the run removes, if nobody writes in between. An idempotency key is removed
        with its row.
        """
        raise self._unsupported("prune")

    def snapshot(self) -> "ContextBackend":
        """Open a consistent view of the store at this moment (MO02). Needs the capability SNAPSHOT.

        The view answers load, version and query, from any thread. Writes, including an empty batch, raise
        ReadOnlyError. After its `close` every verb raises BackendClosedError. The caller closes the view before its
        store, and does not use it in a forked process.
        """
        raise self._unsupported("snapshot")

    def backup(self, request: BackupRequest) -> None:
        """Copy the live store to a new file, as it was at one moment (MO02). Needs the capability BACKUP.

        Raises:
            StorageError: The target exists, or cannot be written.
        """
        raise self._unsupported("backup")

    def migrate(self) -> int:
        """Convert stored data to the newest form and return its schema version (MI01). Needs the capability MIGRATE.

        When a store is opened, the driver converts as much as it needs. This call does the work that may take long.
        """
        raise self._unsupported("migrate")

    def rehash(self, request: RehashRequest) -> None:
        """Replace the hashes beside idempotency keys, in one transaction. Needs the capability MIGRATE.

        Nothing else of a version changes. If the stored hash is equal already, the driver writes nothing.
        """
        raise self._unsupported("rehash")

    def _unsupported(self, operation: str) -> UnsupportedOperationError:
        return UnsupportedOperationError(operation=operation, backend=self.describe().name)
