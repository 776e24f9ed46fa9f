"""`LmdbBackend`: a store, or the snapshot of one."""

import functools
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Final, ParamSpec, Self, TypeVar

import attrs

from context_core import BackendDescription, BackendURL, Capability, ContextBackend, VersionHeader, errors, records
from context_core.forking import follow_forks, outside_forks
from context_core.model import utc_now
from context_core.query import evaluate
from context_core.records import Selection, StoredDocument, Want
from lmdb_context_backend import _rows, _write
from lmdb_context_backend._connection import transaction
from lmdb_context_backend._errors import translating
from lmdb_context_backend._rows import Txn, Workflow

MAP_SIZE_BYTES: Final = 64 * 2**30
"""What a store may grow to. It takes addresses, not memory nor disk: LMDB's file is as large as what it holds."""

P = ParamSpec("P")
T = TypeVar("T")


def _outside_forks(verb: Callable[P, T]) -> Callable[P, T]:
    """Let no other thread fork in the middle of a verb."""

    @functools.wraps(verb)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return outside_forks(verb, *args, **kwargs)

    return call


class LmdbBackend(ContextBackend):
    """Contexts in a folder with an LMDB environment: `lmdb:///relative/folder`, `lmdb:////absolute/folder`.

    LMDB gives each reading transaction the state of one moment, makes no writer wait for it, and lets one write at a
    time, over all threads and processes.
    """

    scheme = "lmdb"
    limits: Final = records.Limits(document_bytes=64 * 2**20)
    capabilities: Final = frozenset(
        map(Capability, ("durable", "multi_process", "idempotency", "json_paths", "snapshot"))
    )

    def __init__(
        self,
        folder: Path,
        *,
        map_size_bytes: int = MAP_SIZE_BYTES,
        clock: records.Clock = utc_now,
        view: AbstractContextManager[Txn] | None = None,
    ) -> None:
        self._folder = folder.resolve()
        self._map_size_bytes = map_size_bytes
        self._clock = clock
        self._pid = os.getpid()
        self._is_closed = False
        self._held = ExitStack()
        self._view = None if view is None else self._held.enter_context(view)
        self._view_lock = threading.Lock()  # LMDB lets threads use one transaction by turns
        follow_forks(self)
        if view is None:
            try:
                self._folder.mkdir(exist_ok=True)
            except OSError as error:
                raise errors.BackendUnavailableError(f"the folder {folder} cannot be made: check its path") from error
            with self._reading():  # whatever is wrong with it shows now
                pass

    @classmethod
    def from_url(cls, url: BackendURL, *, clock: records.Clock = utc_now) -> Self:
        """Open a folder, made if it is missing. The option `map_size_bytes` must be the same for all who have it open."""
        url.check_options(("map_size_bytes",))
        alien = [part for part in ("username", "password", "host", "port") if getattr(url, part) is not None]
        if alien or not url.path or "\0" in url.path:
            problem = f"it has a {alien[0]}" if alien else "it names no folder"
            raise errors.ConfigurationError(f"an LMDB URL is lmdb:////path/to/folder, but {problem}")
        size = url.options.get("map_size_bytes", str(MAP_SIZE_BYTES))
        if not size.isdecimal() or len(size) > 18:
            raise errors.ConfigurationError("map_size_bytes is a number of bytes, of 18 digits at most")
        return cls(Path(url.path), map_size_bytes=int(size), clock=clock)

    def save(self, request: records.SaveRequest) -> records.SavedVersion:
        """Do what a batch of one does."""
        (saved,) = self.batch(records.BatchRequest(operations=[request]))
        assert isinstance(saved, records.SavedVersion)
        return saved

    @_outside_forks
    def batch(self, request: records.BatchRequest) -> list[records.Outcome]:
        """Do all of it in one transaction, which has the write lock before it reads."""
        self._check_open()
        if self._view is not None:
            raise errors.ReadOnlyError("this is a snapshot: write to the store that it was taken of")
        with transaction(self._folder, self._map_size_bytes, write=True) as txn:
            return [_write.apply(txn, operation, self._clock, self.limits) for operation in request.operations]

    @_outside_forks
    def load(self, request: records.LoadRequest) -> list[StoredDocument]:
        """Look each id up."""
        with self._reading() as txn:
            found = (_find(txn, workflow_id, request) for workflow_id in request.workflow_ids)
            return [document for document in found if document is not None]

    @_outside_forks
    def version(self, request: records.VersionRequest) -> Selection:
        """List one history, or look at every header for a story: there is no index."""
        with self._reading() as txn:
            headers = _history(txn, request.of)
            if request.want is Want.COUNT:
                return Selection(count=len(headers))
            if request.newest_first:
                headers.reverse()
            return _selected(txn, request.want, headers[request.offset :][: request.limit])

    @_outside_forks
    def query(self, request: records.QueryRequest) -> Selection:
        """Let `evaluate` look at every head; documents are read where a condition looks inside, and of what it finds."""
        with self._reading() as txn:
            workflows = [_rows.unpacked(Workflow, row) for row in _rows.scan(txn, b"w")]
            if request.want is Want.TOMBSTONES:
                return Selection(tombstones=sorted(_tombstones(workflows), key=lambda each: each.workflow_id))
            is_inside = any(not condition.is_indexed for condition in request.conditions)
            headers = (_head(txn, workflow) for workflow in workflows if workflow.head)
            heads = ((each, _document(txn, each) if is_inside else _unread(each)) for each in headers)
            if request.want is Want.COUNT:
                return evaluate(request, heads)
            return _selected(txn, request.want, evaluate(attrs.evolve(request, want=Want.HEADERS), heads).headers)

    @_outside_forks
    def snapshot(self) -> ContextBackend:
        """Hold one reading transaction open. LMDB keeps all pages that it sees until it is closed."""
        if self._view is not None:
            raise errors.UnsupportedOperationError(
                operation="snapshot", backend="a snapshot", hint="take it of the store"
            )
        return type(self)(self._folder, map_size_bytes=self._map_size_bytes, clock=self._clock, view=self._reading())

    def describe(self) -> BackendDescription:
        """Say what this driver can do."""
        return BackendDescription(
            name=self.scheme,
            location=str(self._folder),
            capabilities=self.capabilities,
            limits=self.limits,
            schema_version=_rows.FORMAT,
        )

    @_outside_forks
    def close(self) -> None:
        """Refuse from now on; transactions under way end well."""
        with self._view_lock:
            self._is_closed = True
            if self._pid == os.getpid():  # else it is for the parent to close
                self._held.close()

    def before_fork(self) -> None:
        """Nothing is to be done: `_connection` closes the environments."""

    def after_fork_in_child(self) -> None:
        """Start with a fresh lock: another thread may have held this one."""
        self._view_lock = threading.Lock()

    def _check_open(self) -> None:
        if self._is_closed:
            raise errors.BackendClosedError

    @contextmanager
    def _reading(self) -> Iterator[Txn]:
        if self._view is None:
            self._check_open()
            with transaction(self._folder, self._map_size_bytes) as txn:
                yield txn
        else:
            with self._view_lock, translating():
                self._check_open()
                if self._pid != os.getpid():
                    raise errors.BackendUnavailableError("this snapshot is of the process that forked this one")
                yield self._view


def _find(txn: Txn, workflow_id: str, request: records.LoadRequest) -> StoredDocument | None:
    if request.version is not None:
        return _rows.get_document(txn, workflow_id, request.version)
    version = _rows.get_workflow(txn, workflow_id).head
    while request.as_of is not None:
        header = _rows.get_header(txn, workflow_id, version)
        if header is None or header.saved_at <= request.as_of:
            break
        version -= 1
    return _rows.get_document(txn, workflow_id, version)


def _history(txn: Txn, of: str | records.Story) -> list[VersionHeader]:
    prefix = _rows.key(b"h", of) if isinstance(of, str) else b"h"
    headers = (_rows.unpacked(VersionHeader, row) for row in _rows.scan(txn, prefix))
    if isinstance(of, str):
        return list(headers)
    own = (header for header in headers if (header.epic_num, header.story_num) == (of.epic_num, of.story_num))
    return sorted(own, key=lambda header: (header.version, header.created_at, header.workflow_id))


def _selected(txn: Txn, want: Want, found: Iterable[VersionHeader]) -> Selection:
    headers = tuple(found)
    documents = () if want is Want.HEADERS else tuple(_document(txn, header) for header in headers)
    return Selection(headers=() if want is Want.DOCUMENTS else headers, documents=documents, count=len(headers))


def _tombstones(workflows: Iterable[Workflow]) -> Iterator[records.Tombstone]:
    for each in workflows:
        if not each.head and each.last_time is not None:
            yield records.Tombstone(
                workflow_id=each.workflow_id, last_version=each.last_version, deleted_at=each.last_time
            )


def _head(txn: Txn, workflow: Workflow) -> VersionHeader:
    header = _rows.get_header(txn, workflow.workflow_id, workflow.head)
    if header is None or workflow.created_at is None:
        raise _missing(workflow.workflow_id, workflow.head)
    return attrs.evolve(header, created_at=workflow.created_at)


def _document(txn: Txn, header: VersionHeader) -> StoredDocument:
    document = _rows.get_document(txn, header.workflow_id, header.version)
    if document is None:
        raise _missing(header.workflow_id, header.version)
    return document


def _unread(header: VersionHeader) -> StoredDocument:
    return StoredDocument(header.workflow_id, header.version, b"")


def _missing(workflow_id: str, version: int) -> errors.StorageError:
    return errors.StorageError(f"version {version} of {workflow_id!r} is lost: restore the folder from a backup")
