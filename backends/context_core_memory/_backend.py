"""A backend that keeps everything in this process, and checks that the core keeps its side of the contract."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final, Self

from context_core import records
from context_core.errors import BackendClosedError, ConfigurationError, ReadOnlyError
from context_core.hookspecs import ContextBackend
from context_core.maintenance import PruneRequest, PruneResult, VerifyReport
from context_core.model import utc_now
from context_core.options import seconds
from context_core.query import evaluate
from context_core.url import BackendURL
from context_core_memory import _write
from context_core_memory._checks import check_load, check_operation, check_page, check_record, checked_clock
from context_core_memory._state import State, Store, Version

_CAPABILITIES: Final = frozenset(
    {
        records.Capability.IDEMPOTENCY,
        records.Capability.JSON_PATHS,
        records.Capability.PRUNE,
        records.Capability.SNAPSHOT,
        records.Capability.VERIFY,
    }
)


_named: Final[dict[str, Store]] = {}


def drop(name: str) -> bool:
    """Forget the store `memory://name`; return whether there was one. Open handles keep what they have."""
    return _named.pop(name, None) is not None


class MemoryBackend(ContextBackend):
    """Contexts in this process: `memory://` dies at close, `memory://name` lives until dropped or the process ends.

    It is the double to test engines with: held to every promise but durability, and stricter than any other driver
    about what the core sends.

    Args:
        name: Of the store; an empty one belongs to this object alone.
        clock: Where `saved_at` times come from.
        busy_timeout_s: How long a write waits for others before BackendBusyError, 0 to 86,400.
    """

    scheme = "memory"
    limits: Final = records.Limits(document_bytes=64 * 2**20)

    def __init__(self, name: str = "", *, clock: records.Clock = utc_now, busy_timeout_s: float = 30.0) -> None:
        self._name = name
        self._busy_timeout_s = seconds("busy_timeout", busy_timeout_s)
        self._clock = checked_clock(clock)
        self._store = _named.setdefault(name, Store()) if name else Store()
        self._is_closed = False
        self._is_read_only = False

    @classmethod
    def from_url(cls, url: BackendURL, *, clock: records.Clock = utc_now) -> Self:
        """Open `memory://` or `memory://name`; `?busy_timeout=5` is how many seconds a write waits for others."""
        url.check_options(("busy_timeout",))
        if url.path or url.port or url.username:
            raise ConfigurationError("a memory URL is memory:// or memory://name")
        busy_timeout_s = seconds("busy_timeout", url.options.get("busy_timeout", "30"))
        return cls(url.host or "", clock=clock, busy_timeout_s=busy_timeout_s)

    def save(self, request: records.SaveRequest) -> records.SavedVersion:
        """Append to the workflow's list."""
        check_record(request.record)
        store = self._open_for_writing()
        limit = self.limits.document_bytes
        return store.write(lambda: _write.save(store.state, request, self._clock, limit), self._busy_timeout_s)

    def load(self, request: records.LoadRequest) -> list[records.StoredDocument]:
        """Look each id up, under one lock."""
        check_load(request)
        with self._reading() as state:
            found = (_pick(state.versions(workflow_id), request) for workflow_id in request.workflow_ids)
            return [version.document for version in found if version is not None]

    def version(self, request: records.VersionRequest) -> records.Selection:
        """List one history, or walk all of them for a story."""
        check_page(request)
        with self._reading() as state:
            versions = _versions_of(state, request.of)
        if request.want is records.Want.COUNT:
            return records.Selection(count=len(versions))
        if request.newest_first:
            versions.reverse()
        end = None if request.limit is None else request.offset + request.limit
        page = versions[request.offset : end]
        return records.Selection(
            headers=() if request.want is records.Want.DOCUMENTS else tuple(version.header for version in page),
            documents=() if request.want is records.Want.HEADERS else tuple(version.document for version in page),
            count=len(page),
        )

    def query(self, request: records.QueryRequest) -> records.Selection:
        """Evaluate every head: this driver has no index, and no other meaning than the evaluator's."""
        check_page(request)
        with self._reading() as state:
            if request.want is records.Want.TOMBSTONES:
                gone = sorted(state.tombstones.keys() - state.histories.keys())
                return records.Selection(tombstones=tuple(state.tombstones[workflow_id] for workflow_id in gone))
            heads = [(history.head, history.versions[-1].document) for history in state.histories.values()]
        return evaluate(request, heads)

    def batch(self, request: records.BatchRequest) -> list[records.Outcome]:
        """Work on a draft of the state and put it in place at the end."""
        operations = list(request.operations)
        for operation in operations:
            check_operation(operation)
        store = self._open_for_writing()

        def work() -> list[records.Outcome]:
            draft = store.state.draft(_workflow_id(operation) for operation in operations)
            limit = self.limits.document_bytes
            outcomes = [_write.apply(draft, operation, self._clock, limit) for operation in operations]
            store.state = draft
            return outcomes

        return store.write(work, self._busy_timeout_s)

    def prune(self, request: PruneRequest) -> PruneResult:
        """Drop old versions, a workflow at a time."""
        store = self._open_for_writing()

        def work() -> PruneResult:
            ranges = _write.prunable(store.state, request)
            for pruned in () if request.dry_run else ranges:
                store.state.forget(pruned.workflow_id, pruned.last - pruned.first + 1)
            return PruneResult(ranges=tuple(ranges))

        return store.write(work, self._busy_timeout_s)

    def verify(self) -> VerifyReport:
        """Count what is there: nothing can be damaged here but by this process itself."""
        with self._reading() as state:
            return VerifyReport(
                checked_versions=sum(len(history.versions) for history in state.histories.values()), damages=()
            )

    def snapshot(self) -> ContextBackend:
        """Give a copy that nobody writes to."""
        view = MemoryBackend(clock=self._clock)
        with self._reading() as state:
            view._store.state = state.draft(state.histories)
        view._is_read_only = True
        return view

    def describe(self) -> records.BackendDescription:
        """Say what this driver can do."""
        return records.BackendDescription(
            name=self.scheme,
            location=f"memory://{self._name}",
            capabilities=_CAPABILITIES,
            limits=self.limits,
        )

    def close(self) -> None:
        """Let go of the state; that of a named store stays for the next who opens it."""
        self._is_closed = True
        self._store = Store()

    def _open(self) -> Store:
        store = self._store
        if self._is_closed:
            raise BackendClosedError
        return store

    @contextmanager
    def _reading(self) -> Iterator[State]:
        """The state of one moment."""
        store = self._open()
        with store.state.lock:
            yield store.state

    def _open_for_writing(self) -> Store:
        if self._is_read_only and not self._is_closed:
            raise ReadOnlyError("this is a snapshot: write to the store that it was taken of")
        return self._open()


def _versions_of(state: State, of: str | records.Story) -> list[Version]:
    if isinstance(of, str):
        return list(state.versions(of))
    every = (version for history in state.histories.values() for version in history.versions)
    return sorted((version for version in every if _is_of(version, of)), key=_story_position)


def _pick(versions: list[Version], request: records.LoadRequest) -> Version | None:
    if request.version is not None:
        return next((version for version in versions if version.header.version == request.version), None)
    if request.as_of is not None:
        as_of = request.as_of
        return next((version for version in reversed(versions) if version.header.saved_at <= as_of), None)
    return versions[-1] if versions else None


def _is_of(version: Version, story: records.Story) -> bool:
    return (version.header.epic_num, version.header.story_num) == (story.epic_num, story.story_num)


def _story_position(version: Version) -> tuple[int, datetime, str]:
    return version.header.version, version.header.created_at, version.header.workflow_id


def _workflow_id(operation: records.Operation) -> str:
    if isinstance(operation, records.SaveRequest | records.RestoreRequest):
        return operation.record.workflow_id
    return operation.workflow_id
