"""`ContextPersistence`: the one object that an engine's author uses to save and load typed contexts."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Generic, NoReturn, Self, TypeAlias, cast

import attrs
from typing_extensions import TypeVar

from context_core._facade import checking, exporting, idempotent_writes, importing, rehashing
from context_core._facade.arguments import (
    FILE_BACKEND,
    address,
    check_as_of,
    check_flag,
    check_id,
    check_key,
    check_many,
    check_page,
    check_path,
    check_positive,
    check_statuses,
    check_time,
    check_version,
    check_wanted,
    story,
)
from context_core._facade.damaged import Damaged, OnDamaged, damage_policy, load_readable, readable
from context_core._facade.paging import PAGE_SIZE, gathered, page_of
from context_core.codecs import DocumentCodec
from context_core.config import find_settings
from context_core.cursors import Page, Place
from context_core.diff import ContextDiff
from context_core.errors import (
    BackendClosedError,
    ConfigurationError,
    ContextExistsError,
    ContextNotFoundError,
    CorruptDocumentError,
    InvalidQueryError,
    StorageError,
    UnsupportedOperationError,
    VersionConflictError,
    VersionNotFoundError,
    shown,
)
from context_core.files import whole_file
from context_core.hookspecs import VERBS, ContextBackend
from context_core.maintenance import (
    BackupRequest,
    ExportResult,
    ImportResult,
    PruneRequest,
    PruneResult,
    RepairRequest,
    RepairResult,
    VerifyReport,
)
from context_core.model import Status, WorkflowContext, check_text, utc_now
from context_core.plugins import BoundVerbs, bind, open_backend
from context_core.query import Filters, parse_filters, parse_order
from context_core.records import (
    BackendDescription,
    BatchRequest,
    Capability,
    Clock,
    Deleted,
    DeleteRequest,
    LoadRequest,
    Operation,
    Origin,
    Outcome,
    QueryRequest,
    SavedVersion,
    SaveRequest,
    Selection,
    VersionHeader,
    VersionRequest,
    Want,
)
from context_core.serialization import ContextSerializer
from context_core.upcasting import Upcaster
from context_core.zones import zone_of

C = TypeVar("C", bound=WorkflowContext, default=WorkflowContext)

ROLLBACK_ATTEMPTS: Final = 100
"""How often a rollback is tried if others save in between. Each failure means that another writer made progress."""

_LAST_BUT_ONE: Final = datetime.max.replace(tzinfo=UTC) - datetime.resolution


@attrs.frozen
class Save:
    """A save within a batch; the arguments are those of `save_context`."""

    context: WorkflowContext
    expected_version: int | None = attrs.field(default=None, kw_only=True)
    idempotency_key: str | None = attrs.field(default=None, kw_only=True)


@attrs.frozen
class Delete:
    """A delete within a batch; the arguments are those of `delete_context`."""

    workflow_id: str
    expected_version: int | None = attrs.field(default=None, kw_only=True)


BatchOperation: TypeAlias = Save | Delete


class ContextPersistence(Generic[C]):
    """Stores the contexts of workflows: every save makes a new version, and every version can be loaded again.

    Many threads may use one object at once. Close it, or use it in a ``with`` block.

    Methods that list contexts or headers take *damaged* and *on_damaged*. With ``damaged="raise"`` a row that cannot be
    read raises CorruptDocumentError, UnsupportedSchemaError or DamagedHistoryError, which name the row. With
    ``damaged="skip"`` the row is left out: *on_damaged* is called with the error, a warning is logged, and the row does
    not count towards the limit.

    Args:
        store: A URL (`"sqlite:///engine.db"`, `"memory://"`), the path of a SQLite file, or a backend object. A backend
            object is closed with the store.
        db_path: The path of a SQLite file, whatever characters it holds; instead of *store*.
        context_type: WorkflowContext, or a subclass whose further fields all have defaults. Rows that other types saved
            load too; their further fields are kept in `unknown_fields`.
        clock: Returns the time for `saved_at`, and for the `created_at` of forks; by default the wall clock. A backend
            object has its own clock for `saved_at`.
        wrappers: Objects with ``@hookimpl(wrapper=True)`` methods that observe or veto calls, the first outermost.
        upcasters: Steps that read documents of the engine's own older schemas.
        document_codec: Transforms documents on their way to and from the store, encryption for example. Every later
            opening of the store needs the same codec.

    Raises:
        ConfigurationError: The address or an option of it cannot be used.
        PluginError: The backend cannot be imported, or a wrapper does not fit.
        PersistenceError: The store cannot be opened.
    """

    # Opening and closing

    def __init__(  # noqa: PLR0913  # options, all but the first by name
        self,
        store: str | PathLike[str] | ContextBackend | None = None,
        *,
        db_path: str | PathLike[str] | None = None,
        context_type: type[C] = cast("type[C]", WorkflowContext),  # noqa: B008  # a cast, not a call that matters
        clock: Clock = utc_now,
        wrappers: Sequence[object] = (),
        upcasters: Iterable[Upcaster] = (),
        document_codec: DocumentCodec | None = None,
    ) -> None:
        if store is not None and db_path is not None:
            raise ConfigurationError("give a store or a db_path, not both")
        self._serializer = ContextSerializer(context_type, upcasters, document_codec)
        self._clock = clock
        if isinstance(store, ContextBackend):
            self._backend = store
        else:
            self._backend = open_backend(address(store, db_path), clock=clock)
        try:
            self._verbs = bind(self._backend, wrappers)
            self._serializer.naive_zone = zone_of(self._backend.describe().naive_times)
        except BaseException:
            self._backend.close()
            raise
        self._is_closed = False

    @classmethod
    def from_config(cls, url: str | None = None, **options: Any) -> Self:
        """Open the configured store: *url*, else CONTEXT_CORE_URL, else [tool.context_core] in pyproject.toml.

        *options* are those of the constructor.

        Raises:
            ConfigurationError: Nothing is configured, or a source holds an unknown key. The message lists the valid
                keys.
        """
        settings = find_settings(url)
        try:
            return cls(settings.url, **options)
        except ConfigurationError as error:
            raise ConfigurationError(f"from {settings.source}: {error}") from error

    def describe(self) -> BackendDescription:
        """Return the backend's name, place, capabilities and limits."""
        return self._backend.describe()

    @property
    def db_path(self) -> Path | None:
        """The absolute path of the SQLite file, also after `close`; None for a store of another kind."""
        description = self._backend.describe()
        return Path(description.location) if description.name == FILE_BACKEND else None

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._is_closed

    def close(self) -> None:
        """Close the store. Further calls of `close` do nothing; all other methods raise BackendClosedError (ER05)."""
        self._is_closed = True
        self._verbs = _CLOSED
        self._backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Saving and deleting

    def save_context(
        self, context: WorkflowContext, *, expected_version: int | None = None, idempotency_key: str | None = None
    ) -> int:
        """Store *context* as the next version of its workflow and return that version's number (VE01).

        Args:
            context: What to store. Its own `version` is ignored.
            expected_version: Save only if this is still the newest version (`context.version` of a loaded context).
                With 0, save only if the workflow does not exist. By default the last writer wins.
            idempotency_key: Makes a retry safe: the same key with the same content returns the first version. Times
                that the library sets itself are no content: `created_at`, `updated_at`, and those of `phase_history`.

        Raises:
            VersionConflictError: The newest version is not *expected_version*; nothing was written.
            IdempotencyConflictError: The key was used for other content; nothing was written.
            InvalidContextError: A value would not come back exactly, or a field breaks its rule; nothing was written.
            BackendUnavailableError: The store cannot be reached; try again.
            OutcomeUnknownError: The reply was lost; retry with the same key.
        """
        request = self._save_request(context, expected_version, idempotency_key)
        return idempotent_writes.save(self._verbs, self._serializer, request).version

    def update_context(
        self, context: WorkflowContext, *, expected_version: int | None = None, idempotency_key: str | None = None
    ) -> int:
        """Store *context* as `save_context` does; the workflow must exist.

        Raises:
            ContextNotFoundError: The workflow does not exist; nothing was written.
        """
        request = self._save_request(context, expected_version, idempotency_key, must_exist=True)
        return idempotent_writes.save(self._verbs, self._serializer, request).version

    def save_contexts(self, contexts: Iterable[WorkflowContext]) -> list[int]:
        """Store all *contexts* in one transaction, or none of them; return their versions in input order (BA01, BA02).

        Raises:
            As `save_context`.
        """
        requests = [self._save_request(context) for context in check_many("contexts", contexts)]
        outcomes = self._verbs.batch(BatchRequest(operations=requests))
        return [outcome.version for outcome in outcomes if isinstance(outcome, SavedVersion)]

    def delete_context(self, workflow_id: str, *, expected_version: int | None = None) -> bool:
        """Remove a workflow with all its versions; return whether it existed (DE01, DE03).

        If the workflow is saved again, its next version has the next number (VE05).

        Raises:
            VersionConflictError: The newest version is not *expected_version*; nothing was deleted.
        """
        request = _delete_request(workflow_id, expected_version)
        (outcome,) = self._verbs.batch(BatchRequest(operations=[request]))
        return bool(_result_of(outcome))

    def batch(self, operations: Iterable[BatchOperation]) -> list[int | bool]:
        """Apply all *operations* in order, in one transaction, or none of them (BA01, BA06).

        Returns:
            For each `Save` its version, for each `Delete` whether the workflow existed.

        Raises:
            PersistenceError: As `save_context` and `delete_context`, for the first operation that fails.
        """
        requests = [self._request_of(operation) for operation in check_many("operations", operations)]
        return [_result_of(outcome) for outcome in idempotent_writes.apply(self._verbs, self._serializer, requests)]

    def rollback(
        self,
        workflow_id: str,
        version: int,
        *,
        expected_version: int | None = None,
        idempotency_key: str | None = None,
    ) -> int:
        """Append a version equal to *version* and return its number; nothing is removed (VE09).

        Raises:
            VersionNotFoundError: There is no such version; nothing was written.
            ContextNotFoundError: There is no such workflow.
            VersionConflictError: The newest version is not *expected_version*. Without *expected_version*: others saved
                during each of a hundred attempts.
        """
        check_id(workflow_id)
        check_wanted("version", version)
        check_version("expected_version", expected_version)
        check_key(idempotency_key)
        for attempts_left in reversed(range(ROLLBACK_ATTEMPTS)):
            # The number alone, since a rollback must also work if the head cannot be read.
            newest = self._newest_version(workflow_id)
            target = self.load_context(workflow_id, version=version)
            expected = newest if expected_version is None else expected_version
            try:
                return self.save_context(target, expected_version=expected, idempotency_key=idempotency_key)
            except VersionConflictError:
                # Another writer saved or deleted since the target was read. The next round refuses a deleted workflow.
                if expected_version is not None or not attempts_left:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def fork(self, workflow_id: str, new_workflow_id: str, version: int | None = None) -> int:
        """Start the history of *new_workflow_id* with a version of another workflow, the newest by default (VE10).

        The content is the same except the id and the times: `created_at` and `updated_at` are the clock's time, and
        always later than the `created_at` of the source. `history` tells the origin. The source does not change.

        Returns:
            The version of the new workflow: 1, or the next number if a workflow of this id was deleted.

        Raises:
            ContextExistsError: The new workflow exists; nothing was written.
            ContextNotFoundError: There is no such workflow, or not this version of it.
        """
        check_id(new_workflow_id)
        source = self.load_context(workflow_id, version=version)
        now = max(self._clock(), min(source.created_at, _LAST_BUT_ONE) + datetime.resolution)
        forked = attrs.evolve(source, workflow_id=new_workflow_id, created_at=now, updated_at=now)
        origin = Origin(workflow_id=workflow_id, version=source.version)
        request = attrs.evolve(self._save_request(forked, 0), origin=origin)
        try:
            return self._verbs.save(request).version
        except VersionConflictError as error:
            raise ContextExistsError(workflow_id=new_workflow_id, version=error.actual) from error

    # Loading

    def load_context(self, workflow_id: str, *, version: int | None = None, as_of: datetime | None = None) -> C:
        """Return the newest version, or exactly *version*, or the one that was newest *as_of* a time (VE03, VE08).

        Raises:
            ContextNotFoundError: There is no such workflow.
            VersionNotFoundError: The workflow has no such version, or none yet at that time.
            CorruptDocumentError: The stored document cannot be read; other versions still can.
            DamagedHistoryError: The head or the history of the workflow is missing; `repair` mends it.
        """
        check_text("workflow_id", workflow_id, allow_empty=False)
        if version is not None or as_of is not None:
            check_version("version", version)
            as_of = check_as_of(as_of, version)
        documents = self._verbs.load(LoadRequest((workflow_id,), version, as_of))
        if not documents:
            self._refuse_missing(workflow_id, version, as_of)
        return self._serializer.to_context(documents[0])

    def load_contexts(
        self, workflow_ids: Iterable[str], *, damaged: Damaged = "raise", on_damaged: OnDamaged | None = None
    ) -> list[C]:
        """Return the newest versions of many workflows in the given order, without those that do not exist (BA08)."""
        wanted = [workflow_ids] if isinstance(workflow_ids, str) else check_many("workflow_ids", workflow_ids)
        for workflow_id in wanted:
            check_id(workflow_id)
        policy = damage_policy(damaged, on_damaged)
        documents = load_readable(self._verbs.load, wanted, policy)
        return readable(self._serializer.to_context, documents, (), policy)

    def context_exists(self, workflow_id: str) -> bool:
        """Tell whether the workflow has any version; reads no document."""
        check_id(workflow_id)
        return self._verbs.version(VersionRequest(of=workflow_id, want=Want.COUNT)).count > 0

    def get_context_by_version(self, workflow_id: str, version: int) -> C | None:
        """Return exactly that version, or None if it does not exist."""
        check_wanted("version", version)
        try:
            return self.load_context(workflow_id, version=version)
        except ContextNotFoundError:
            return None

    # The version history of a workflow

    def history(  # noqa: PLR0913  # options, all but the first by name
        self,
        workflow_id: str,
        *,
        limit: int | None = None,
        offset: int = 0,
        newest_first: bool = False,
        damaged: Damaged = "skip",
        on_damaged: OnDamaged | None = None,
    ) -> list[VersionHeader]:
        """Return the headers of a workflow's versions, oldest first, without reading documents (VE07).

        The list is empty if the workflow does not exist. A version whose columns cannot be read is left out unless
        *damaged* is "raise".

        Raises:
            DamagedHistoryError: The workflow's head is missing, or is not that of the newest version.
        """
        check_id(workflow_id)
        check_page(limit, offset)
        check_flag("newest_first", newest_first)
        policy = damage_policy(damaged, on_damaged)
        request = VersionRequest(of=workflow_id, limit=limit, offset=offset, newest_first=newest_first)
        found = self._verbs.version(request)
        policy.handle_all(found.damaged)
        return list(found.headers)

    def diff(self, workflow_id: str, a: int, b: int) -> ContextDiff:
        """Return what changed from version *a* to version *b* (VE11), in a form that can be read and applied.

        Raises:
            VersionNotFoundError: One of them does not exist.
        """
        check_wanted("a", a)
        check_wanted("b", b)
        before, after = (self.load_context(workflow_id, version=version) for version in (a, b))
        return ContextDiff.between(before, after)

    # The workflows of a story

    def get_latest_context(
        self,
        epic_num: int,
        story_num: int | None = None,
        *,
        damaged: Damaged = "raise",
        on_damaged: OnDamaged | None = None,
    ) -> C | None:
        """Return the most recently created workflow of a story, or None. *story_num* None is the epic level."""
        return self._first({"epic_num": epic_num, "story_num": story_num}, damaged, on_damaged)

    def get_latest_context_by_status(
        self,
        epic_num: int,
        story_num: int | None,
        status: str,
        *,
        damaged: Damaged = "raise",
        on_damaged: OnDamaged | None = None,
    ) -> C | None:
        """Return the most recently created workflow of a story that has this status, or None."""
        return self._first({"epic_num": epic_num, "story_num": story_num, "status": status}, damaged, on_damaged)

    def get_context_versions(
        self,
        epic_num: int,
        story_num: int | None = None,
        *,
        damaged: Damaged = "raise",
        on_damaged: OnDamaged | None = None,
    ) -> list[C]:
        """Return every stored version of a story's workflows, ordered by (version, created_at, workflow_id) (VE12)."""
        policy = damage_policy(damaged, on_damaged)
        found = self._verbs.version(VersionRequest(of=story(epic_num, story_num), want=Want.DOCUMENTS))
        return readable(self._serializer.to_context, found.documents, found.damaged, policy)

    def get_version_count(self, epic_num: int, story_num: int | None = None) -> int:
        """Return how many versions `get_context_versions` would return; reads no document."""
        return self._verbs.version(VersionRequest(of=story(epic_num, story_num), want=Want.COUNT)).count

    # Searching

    def get_contexts_by_epic(
        self, epic_num: int, *, damaged: Damaged = "raise", on_damaged: OnDamaged | None = None
    ) -> list[C]:
        """Return all workflows of an epic, its stories and the epic level, newest first."""
        return self.search_contexts({"epic_num": epic_num}, damaged=damaged, on_damaged=on_damaged)

    def get_contexts_by_feature(
        self, feature: str, *, damaged: Damaged = "raise", on_damaged: OnDamaged | None = None
    ) -> list[C]:
        """Return all workflows of a feature, newest first."""
        return self.search_contexts({"feature": feature}, damaged=damaged, on_damaged=on_damaged)

    def get_active_contexts(self, *, damaged: Damaged = "raise", on_damaged: OnDamaged | None = None) -> list[C]:
        """Return all workflows that are running, newest first."""
        return self.search_contexts({"status": Status.RUNNING}, damaged=damaged, on_damaged=on_damaged)

    def get_failed_contexts(self, *, damaged: Damaged = "raise", on_damaged: OnDamaged | None = None) -> list[C]:
        """Return all workflows that failed, newest first."""
        return self.search_contexts({"status": Status.FAILED}, damaged=damaged, on_damaged=on_damaged)

    def search_contexts(  # noqa: PLR0913  # options by name
        self,
        filters: Filters | None = None,
        limit: int | None = None,
        offset: int | None = None,
        *,
        order_by: str | Sequence[str] | None = None,
        damaged: Damaged = "raise",
        on_damaged: OnDamaged | None = None,
    ) -> list[C]:
        """Return the newest versions of all workflows that meet *filters*, newest first by default.

        Args:
            filters: `{"status__in": ["failed", "paused"], "created_at__gte": t, "decisions.db.choice": "sqlite"}`;
                see `context_core.query`. `{"story_num": None}` is the epic level.
            limit: At most this many; 0 returns none.
            offset: Leave out this many rows first. Rows that cannot be read count here, so an offset means the same row
                whatever *damaged* says.
            order_by: One field or several, with "-" before those that sort descending.
            damaged: "raise" the first row that cannot be read, or "skip" such rows.
            on_damaged: With "skip": called with the error of each row that is left out.

        Raises:
            InvalidQueryError: An unknown field or operator, or a value that does not fit. The message lists the known
                ones.
            CorruptDocumentError: A row cannot be read, and *damaged* is "raise".
        """
        check_page(limit, offset)
        policy = damage_policy(damaged, on_damaged)
        request = _query_request(Want.DOCUMENTS, filters, order_by, limit)
        if policy.skips and limit:
            return gathered(self._query, request, self._context_at, Place(offset=offset or 0), policy)[0]
        found = self._query(attrs.evolve(request, offset=offset or 0))
        return readable(self._serializer.to_context, found.documents, found.damaged, policy)

    def count_contexts(
        self,
        filters: Filters | None = None,
        *,
        damaged: Damaged = "raise",
        on_damaged: OnDamaged | None = None,
    ) -> int:
        """Return how many workflows meet *filters* (QU09), including those that cannot be read.

        If *filters* look into documents, a row that cannot be read may or may not meet them: its error is raised or,
        with "skip", the row is not counted.
        """
        policy = damage_policy(damaged, on_damaged)
        found = self._query(_query_request(Want.COUNT, filters, None))
        policy.handle_all(found.damaged)
        return found.count

    def list_headers(  # noqa: PLR0913  # options by name
        self,
        filters: Filters | None = None,
        limit: int | None = None,
        offset: int | None = None,
        *,
        order_by: str | Sequence[str] | None = None,
        damaged: Damaged = "skip",
        on_damaged: OnDamaged | None = None,
    ) -> list[VersionHeader]:
        """Search as `search_contexts` does, without reading documents (QU12): ids, versions, statuses and times.

        A row whose columns cannot be read is left out unless *damaged* is "raise".
        """
        check_page(limit, offset)
        policy = damage_policy(damaged, on_damaged)
        found = self._query(_query_request(Want.HEADERS, filters, order_by, limit, offset or 0))
        policy.handle_all(found.damaged)
        return list(found.headers)

    def search_page(  # noqa: PLR0913  # options by name
        self,
        filters: Filters | None = None,
        *,
        limit: int = PAGE_SIZE,
        cursor: str | None = None,
        order_by: str | Sequence[str] | None = None,
        damaged: Damaged = "raise",
        on_damaged: OnDamaged | None = None,
    ) -> Page[C]:
        """Return one page of `search_contexts`, and the cursor of the next (PA01).

        In an order by `created_at` and `workflow_id`, such as the default order, pages stay consistent during
        concurrent writes: each workflow that exists throughout appears exactly once (PA02). Other orders page by
        counting rows: `Page.is_stable` is then False.

        Args:
            filters: As for `search_contexts`.
            limit: At most this many, 1 or more.
            cursor: `next_cursor` of the page before, with the same filters and order; None for the first page.
            order_by: As for `search_contexts`.
            damaged: As for `search_contexts`. Exactly one page reports each row that is left out.
            on_damaged: As for `search_contexts`.

        Raises:
            InvalidQueryError: As for `search_contexts`, or the cursor belongs to another query (PA04).
            CorruptDocumentError: A row of the page cannot be read, and *damaged* is "raise".
        """
        policy = damage_policy(damaged, on_damaged)
        request = _page_request(Want.DOCUMENTS, filters, order_by, limit)
        return page_of(self._query, request, self._context_at, cursor, policy)

    def headers_page(  # noqa: PLR0913  # options by name
        self,
        filters: Filters | None = None,
        *,
        limit: int = PAGE_SIZE,
        cursor: str | None = None,
        order_by: str | Sequence[str] | None = None,
        damaged: Damaged = "skip",
        on_damaged: OnDamaged | None = None,
    ) -> Page[VersionHeader]:
        """Return one page of `list_headers`, and the cursor of the next; reads no document (QU12).

        Cursors of `search_page` and of this method may be used for either. A row whose columns cannot be read is left
        out unless *damaged* is "raise".
        """
        policy = damage_policy(damaged, on_damaged)
        request = _page_request(Want.HEADERS, filters, order_by, limit)
        return page_of(self._query, request, _header_at, cursor, policy)

    def iter_contexts(
        self,
        filters: Filters | None = None,
        *,
        order_by: str | Sequence[str] | None = None,
        page_size: int = PAGE_SIZE,
        damaged: Damaged = "raise",
        on_damaged: OnDamaged | None = None,
    ) -> Iterator[C]:
        """Yield what `search_contexts` would return, with one page in memory at a time (PA06).

        No transaction or lock is held between pages: no writer waits, and the caller may stop at any time. As for
        `search_page`, an order by a field that can change is stable only while nobody writes.
        """
        cursor = None
        while True:  # each page begins behind the one before
            page = self.search_page(
                filters, limit=page_size, cursor=cursor, order_by=order_by, damaged=damaged, on_damaged=on_damaged
            )
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def iter_headers(
        self,
        filters: Filters | None = None,
        *,
        order_by: str | Sequence[str] | None = None,
        page_size: int = PAGE_SIZE,
        damaged: Damaged = "skip",
        on_damaged: OnDamaged | None = None,
    ) -> Iterator[VersionHeader]:
        """Yield what `list_headers` would return, with one page in memory at a time; reads no document."""
        cursor = None
        while True:  # each page begins behind the one before
            page = self.headers_page(
                filters, limit=page_size, cursor=cursor, order_by=order_by, damaged=damaged, on_damaged=on_damaged
            )
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def explain(self, filters: Filters | None = None, *, order_by: str | Sequence[str] | None = None) -> str:
        """Return the engine's plan of such a search, as text (QU13).

        Raises:
            UnsupportedOperationError: The backend does not declare EXPLAIN.
        """
        return self._backend.explain(QueryRequest(conditions=parse_filters(filters), order=parse_order(order_by)))

    # Moving histories between stores: backup, export, import

    def backup(self, target: str | PathLike[str]) -> None:
        """Copy the live store to a new file, as it is at one moment; writers continue meanwhile (MO02).

        The file appears at *target* once it is complete and synced. A run that fails or is killed leaves no file there.
        The file has the owner, group and permissions of the store.

        Raises:
            ConfigurationError: *target* is no path.
            StorageError: *target* exists, or cannot be written.
            UnsupportedOperationError: The backend does not declare BACKUP.
        """
        path, source = check_path("target", target), self._backend.describe().path
        with whole_file(path, rights_of=source, refusal=StorageError) as draft:
            self._backend.backup(BackupRequest(target=draft))

    def export(self, target: str | PathLike[str], damaged: exporting.ExportDamaged = "raise") -> ExportResult:
        """Write every version and tombstone to a new file of JSON Lines (MO01).

        On a backend that declares SNAPSHOT the file is one consistent moment of the live store (MO02). The file holds
        plain documents, whatever codec the store has. It appears at *target* once it is complete and synced. A run that
        fails or is killed leaves no file there. The file has the owner, group and permissions of the store's file, if
        there is one.

        Args:
            target: The path of the file.
            damaged: What to do with a version that cannot be read. "raise" ends the export. "leave_out" continues
                without it and without the older versions of its workflow, since histories have no gaps. The result
                names all that is left out.

        Raises:
            ConfigurationError: *target* exists, or its folder does not.
            StorageError: The file could not be written.
            CorruptDocumentError: A version cannot be read, or its columns do not agree with its document.
            DamagedHistoryError: A head and a history do not belong together.
        """
        if damaged not in ("raise", "leave_out"):
            raise InvalidQueryError(f'damaged must be "raise" or "leave_out", not {shown(damaged)}')
        return exporting.export(self._backend, self._serializer, check_path("target", target), damaged)

    def import_(self, source: str | PathLike[str]) -> ImportResult:
        """Write the versions and tombstones of an export, with their numbers and times (MO01).

        The method checks that the export is whole before it writes anything. An export of older code cannot be checked:
        a warning is logged, and the result says so. Equal items that the store holds already stay as they are, so an
        import can be repeated or resumed.

        Raises:
            RestoreConflictError: The store holds other content for a workflow of the export; nothing was overwritten.
            ConfigurationError: *source* is no export, is not whole, or holds what no save writes.
            StorageError: *source* could not be read to its end.
        """
        return importing.import_file(self._verbs, self._serializer, check_path("source", source))

    # Maintenance

    def prune(
        self,
        *,
        keep_last: int = 1,
        inactive_since: datetime | None = None,
        statuses: Sequence[str] | None = None,
        dry_run: bool = False,
        batch_size: int = 500,
    ) -> PruneResult:
        """Remove old versions, all but the newest *keep_last* of each workflow; never a head (RE01, RE02).

        Args:
            keep_last: How many versions of each workflow stay, 1 or more.
            inactive_since: Only workflows last saved before this time; all by default.
            statuses: Only workflows whose newest version has one of these statuses; all by default.
            dry_run: Only tell what would be removed.
            batch_size: How many versions one transaction removes; other writers can write between transactions.

        Raises:
            InvalidQueryError: An argument does not fit.
            UnsupportedOperationError: The backend does not declare PRUNE.
        """
        return self._backend.prune(
            PruneRequest(
                keep_last=check_positive("keep_last", keep_last),
                inactive_since=None if inactive_since is None else check_time("inactive_since", inactive_since),
                statuses=None if statuses is None else check_statuses(statuses),
                dry_run=check_flag("dry_run", dry_run),
                batch_size=check_positive("batch_size", batch_size),
            )
        )

    def verify(self) -> VerifyReport:
        """Check the storage, and read every document; name what is damaged (CR06). Nothing is changed.

        Raises:
            UnsupportedOperationError: The backend does not declare VERIFY.
        """
        return checking.verified(self._backend, self._serializer)

    def repair(self, dry_run: bool = False) -> RepairResult:  # noqa: FBT001, FBT002  # repair(True) is odd, not wrong
        """Mend the damage that `verify` names, as far as the stored data allows (CR07); return each step.

        A head is rebuilt from its history. A history that lacks the version of its head gets that version. Nothing that
        can be read is removed or changed, and the next save gets the next number. Take a backup first.

        Args:
            dry_run: Only tell what would be done.

        Raises:
            UnsupportedOperationError: The backend does not declare REPAIR.
        """
        return self._backend.repair(RepairRequest(dry_run=check_flag("dry_run", dry_run)))

    def migrate(self) -> int:
        """Convert what older code stored to the newest form, and return the schema version (MI03).

        Opening a store converts as much as it needs. This method does the part that may take long, in bounded
        transactions, while others read and write. It may be killed and run again.

        On a store with a document codec, new hashes with the codec's secret replace those beside idempotency keys. If
        the codec has no secret, the hashes are removed: with the hashes of older code, contents could be guessed.

        Raises:
            UnsupportedOperationError: The backend does not declare MIGRATE.
        """
        version = self._backend.migrate()
        if self._serializer.is_opaque and Capability.IDEMPOTENCY in self._backend.describe().capabilities:
            rehashing.rehash(self._backend, self._serializer)
        return version

    # Requests, and reading of results

    def _request_of(self, operation: BatchOperation) -> Operation:
        if isinstance(operation, Save):
            return self._save_request(operation.context, operation.expected_version, operation.idempotency_key)
        if isinstance(operation, Delete):
            return _delete_request(operation.workflow_id, operation.expected_version)
        raise InvalidQueryError(f"a batch takes Save and Delete operations, not {type(operation).__name__}")

    def _save_request(
        self,
        context: WorkflowContext,
        expected_version: int | None = None,
        key: str | None = None,
        *,
        must_exist: bool = False,
    ) -> SaveRequest:
        check_version("expected_version", expected_version)
        if key is None:
            record = self._serializer.seal(self._serializer.to_record(context))
            return SaveRequest(record=record, expected_version=expected_version, must_exist=must_exist)
        fields = self._serializer.to_fields(context)
        record = self._serializer.record_of(context, fields)
        check_key(key)
        return SaveRequest(
            record=self._serializer.seal(record),
            expected_version=expected_version,
            must_exist=must_exist,
            idempotency=self._serializer.idempotency_key(key, record, fields),
        )

    def _query(self, request: QueryRequest) -> Selection:
        if self._serializer.is_opaque and not all(condition.is_indexed for condition in request.conditions):
            raise UnsupportedOperationError(
                operation="filters on free-form fields",
                backend=self.describe().name,
                hint="this store's document codec hides them; filter on indexed fields or tags",
            )
        return self._verbs.query(request)

    def _context_at(self, page: Selection, row: int) -> C:
        return self._serializer.to_context(page.documents[row])

    def _first(self, filters: Filters, damaged: Damaged, on_damaged: OnDamaged | None) -> C | None:
        found = self.search_contexts(filters, limit=1, damaged=damaged, on_damaged=on_damaged)
        return found[0] if found else None

    def _newest_version(self, workflow_id: str) -> int:
        """Return the number of the newest version, whether its document can be read or not."""
        try:
            found = self._verbs.load(LoadRequest((workflow_id,)))
        except CorruptDocumentError as error:
            return error.version
        if not found:
            raise ContextNotFoundError(workflow_id=workflow_id)
        return found[0].version

    def _refuse_missing(self, workflow_id: str, version: int | None, as_of: datetime | None) -> NoReturn:
        if version is None and as_of is None:
            raise ContextNotFoundError(workflow_id=workflow_id)
        head_version = self._newest_version(workflow_id)
        wanted = f"version {version}" if version is not None else f"version saved at or before {as_of}"
        raise VersionNotFoundError(workflow_id=workflow_id, wanted=wanted, head_version=head_version)


def _delete_request(workflow_id: str, expected_version: int | None) -> DeleteRequest:
    check_id(workflow_id)
    check_version("expected_version", expected_version)
    return DeleteRequest(workflow_id=workflow_id, expected_version=expected_version)


def _result_of(outcome: Outcome) -> int | bool:
    return outcome.version if isinstance(outcome, SavedVersion) else isinstance(outcome, Deleted) and outcome.existed


def _query_request(
    want: Want,
    filters: Filters | None,
    order_by: str | Sequence[str] | None,
    limit: int | None = None,
    offset: int = 0,
) -> QueryRequest:
    conditions, order = parse_filters(filters), parse_order(order_by)
    return QueryRequest(conditions=conditions, order=order, want=want, limit=limit, offset=offset)


def _page_request(
    want: Want, filters: Filters | None, order_by: str | Sequence[str] | None, limit: int
) -> QueryRequest:
    check_page(limit, None)
    if not limit:
        raise InvalidQueryError("limit must be 1 or more: an empty page leads nowhere")
    return _query_request(want, filters, order_by, limit)


def _header_at(page: Selection, row: int) -> VersionHeader:
    return page.headers[row]


def _closed(_: object) -> NoReturn:
    raise BackendClosedError


_CLOSED: Final = BoundVerbs(**dict.fromkeys(VERBS, _closed))
