"""The two sides of the main benchmark, measured like the peers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from context_core import ContextPersistence, WorkflowContext
from context_core_benchmarks.floor import Fields, Floor
from context_core_benchmarks.peers.peer import Peer
from context_core_benchmarks.sides import Store


class ByHand(Peer):
    """The floor: hand-written code with sqlite3."""

    name = "by hand"
    distributions = ()

    def __init__(self, folder: Path) -> None:
        self._floor = Floor(folder / "floor.db")

    def save(self, state: Fields) -> None:
        """One transaction."""
        self._floor.save(state)

    def save_many(self, many: Sequence[Fields]) -> None:
        """One transaction."""
        self._floor.save_many(many)

    def load(self, workflow_id: str) -> Any:
        """By the head table."""
        return self._floor.load(workflow_id)

    def newest(self, status: str, limit: int) -> list[Any]:
        """By the composite index."""
        return self._floor.find("status = ?", status, limit=limit)

    def history(self, of: WorkflowContext) -> list[Any]:
        """By the story's index."""
        return self._floor.story_versions(of.epic_num, of.story_num)

    def close(self) -> None:
        """Close the connection."""
        self._floor.close()


class ContextCore(Peer):
    """context-core on SQLite: typed contexts, and a check at each save that they can be restored exactly."""

    name = "context-core"
    distributions = ("context-core",)

    def __init__(self, folder: Path) -> None:
        self._store: Store = ContextPersistence(folder / "ours.db")

    def form(self, context: WorkflowContext) -> WorkflowContext:
        """As it is."""
        return context

    def save(self, state: WorkflowContext) -> None:
        """Save it."""
        self._store.save_context(state)

    def save_many(self, many: Sequence[WorkflowContext]) -> None:
        """One transaction."""
        self._store.save_contexts(many)

    def load(self, workflow_id: str) -> WorkflowContext:
        """Load the newest version."""
        return self._store.load_context(workflow_id)

    def newest(self, status: str, limit: int) -> list[WorkflowContext]:
        """By the composite index."""
        return self._store.search_contexts({"status": status}, limit=limit)

    def history(self, of: WorkflowContext) -> list[WorkflowContext]:
        """By the story."""
        return self._store.get_context_versions(of.epic_num, of.story_num)

    def close(self) -> None:
        """Close the store."""
        self._store.close()
