"""What a memory store holds: histories by workflow, and what is left of deleted ones."""

import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TypeVar

import attrs

from context_core.errors import BackendBusyError, BackendUnavailableError
from context_core.forking import follow_forks
from context_core.records import IdempotencyKey, StoredDocument, Tombstone, VersionHeader
from context_core.write_rules import KnownKey, Standing

T = TypeVar("T")


@attrs.frozen
class Version:
    """One stored version. Frozen all through: headers hold tuples and scalars, documents are bytes (RT11)."""

    header: VersionHeader
    document: StoredDocument
    idempotency: IdempotencyKey | None


@attrs.frozen
class History:
    """The versions of one workflow, oldest first, never empty. *created_at* is its first version's, pruned or not."""

    created_at: datetime
    versions: list[Version]

    @property
    def head(self) -> VersionHeader:
        """The header of the newest version, as that of a head: with the workflow's `created_at`."""
        newest = self.versions[-1].header
        return newest if newest.created_at == self.created_at else attrs.evolve(newest, created_at=self.created_at)


class State:
    """Histories and tombstones. Each method changes one reference last, so that an interrupt leaves all or nothing.

    Whoever reads holds `lock`; a writer holds it only while it changes something, so that readers never wait for a
    long write (CO03). A draft has the lock of its original, since they share the histories that it does not change:
    whoever holds it sees one moment of all of them, as long as it looks for the state only then (BA04).
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.histories: dict[str, History] = {}
        self.tombstones: dict[str, Tombstone] = {}

    def versions(self, workflow_id: str) -> list[Version]:
        """The versions of a workflow, oldest first; empty where it does not exist."""
        history = self.histories.get(workflow_id)
        return history.versions if history is not None else []

    def standing(self, workflow_id: str) -> Standing:
        """What stands of a workflow: its head, its tombstone, or nothing."""
        versions = self.versions(workflow_id)
        if versions:
            head = versions[-1].header
            return Standing(workflow_id, head.version, head.saved_at, exists=True)
        tombstone = self.tombstones.get(workflow_id)
        if tombstone is None:
            return Standing(workflow_id)
        return Standing(workflow_id, tombstone.last_version, tombstone.deleted_at)

    def known_key(self, workflow_id: str, key: IdempotencyKey | None) -> KnownKey | None:
        """The version of a workflow that has an idempotency key."""
        for version in self.versions(workflow_id) if key is not None else ():
            kept = version.idempotency
            if kept is not None and key is not None and kept.key == key.key:
                return KnownKey(version.header.version, version.header.saved_at, kept.content_hash)
        return None

    def append(self, version: Version, created_at: datetime) -> None:
        """Add a version to its workflow, which begins to exist with its first, created at *created_at*."""
        workflow_id = version.header.workflow_id
        with self.lock:
            if workflow_id in self.histories:
                self.histories[workflow_id].versions.append(version)
            else:
                self.histories[workflow_id] = History(created_at, [version])

    def bury(self, tombstone: Tombstone) -> None:
        """Drop a workflow, if it exists, and leave its tombstone, which says nothing as long as it exists."""
        with self.lock:
            self.tombstones[tombstone.workflow_id] = tombstone
            self.histories.pop(tombstone.workflow_id, None)

    def forget(self, workflow_id: str, count: int) -> None:
        """Drop the oldest *count* versions of a workflow."""
        with self.lock:
            history = self.histories[workflow_id]
            self.histories[workflow_id] = History(history.created_at, history.versions[count:])

    def draft(self, workflow_ids: Iterable[str] = ()) -> "State":
        """A copy to work on: changes to the named workflows do not show in this one."""
        draft = State()
        draft.lock = self.lock
        with self.lock:
            draft.histories = dict(self.histories)
            draft.tombstones = dict(self.tombstones)
            for workflow_id in workflow_ids:
                if workflow_id in draft.histories:
                    history = draft.histories[workflow_id]
                    draft.histories[workflow_id] = History(history.created_at, list(history.versions))
        return draft


class Store:
    """The state of one store, and the lock that every writer holds to the end."""

    def __init__(self) -> None:
        self.write_lock = threading.RLock()
        self.state = State()
        self._writer_id = 0
        follow_forks(self)

    def write(self, action: Callable[[], T], wait_s: float) -> T:
        """Do *action* while nobody else writes.

        Raises:
            BackendBusyError: Others wrote for *wait_s* seconds, or this thread itself is in the middle of a write.
        """
        lock, taken = self.write_lock, list[bool]()
        if self._writer_id == threading.get_ident():
            raise BackendBusyError(waited_s=0)
        try:
            taken.extend(map(lock.acquire, (True,), (wait_s,)))  # in one step, which no interrupt can split
            if not taken[0]:
                raise BackendBusyError(waited_s=wait_s)
            self._writer_id = threading.get_ident()
            result = action()
        finally:
            if taken and taken[0]:
                self._writer_id = 0
                lock.release()
        if lock is not self.write_lock:
            raise BackendUnavailableError("this process was forked in the middle of a call: call again")
        return result

    def before_fork(self) -> None:
        """Nothing is to be done: the state is whole after each step of a writer."""

    def after_fork_in_child(self) -> None:
        """Start with fresh locks, and with a state that no call which was under way still changes."""
        self.write_lock = threading.RLock()
        self._writer_id = 0
        self.state.lock = threading.RLock()
        self.state = self.state.draft(self.state.histories)
