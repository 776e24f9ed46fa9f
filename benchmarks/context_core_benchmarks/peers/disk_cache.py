"""diskcache: a dict on disk, which is often used to store state."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diskcache import Cache

from context_core import WorkflowContext
from context_core_benchmarks.floor import Fields
from context_core_benchmarks.peers.peer import Peer


class DiskCache(Peer):
    """One key per workflow for the newest state, and one per version; syncs at each commit, and evicts nothing.

    Values of any size are stored in the database, because diskcache does not sync the files of large values.
    """

    name = "diskcache"
    distributions = ("diskcache",)
    note = "pickles; synchronous=FULL instead of its own NORMAL"

    def __init__(self, folder: Path) -> None:
        self._cache = Cache(
            str(folder), sqlite_synchronous=2, eviction_policy="none", size_limit=2**40, disk_min_file_size=2**30
        )
        self._versions: defaultdict[str, int] = defaultdict(int)

    def save(self, state: Fields) -> None:
        """Set both keys in one transaction."""
        with self._cache.transact():
            self._set(state)

    def save_many(self, many: Sequence[Fields]) -> None:
        """Set all keys in one transaction."""
        with self._cache.transact():
            for state in many:
                self._set(state)

    def load(self, workflow_id: str) -> Any:
        """Get the newest state."""
        return self._cache[workflow_id]

    def history(self, of: WorkflowContext) -> list[Any]:
        """Get every version by its key, in one transaction."""
        with self._cache.transact():
            return [self._cache[of.workflow_id, version] for version in range(1, self._versions[of.workflow_id] + 1)]

    def close(self) -> None:
        """Close the connection."""
        self._cache.close()

    def _set(self, state: Fields) -> None:
        workflow_id = state["workflow_id"]
        self._versions[workflow_id] += 1
        self._cache[workflow_id] = state
        self._cache[workflow_id, self._versions[workflow_id]] = state
