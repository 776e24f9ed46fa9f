"""The recorder of eventsourcing for SQLite: its event store, without the mapping to aggregates."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import orjson
from eventsourcing.persistence import StoredEvent
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore

from context_core import WorkflowContext
from context_core_benchmarks.floor import Fields
from context_core_benchmarks.peers.peer import Peer


class EventsourcingRecorder(Peer):
    """One event per version, with the whole state as JSON; WAL, and SQLite's default sync at each commit.

    An application with aggregates costs more, because it maps events to objects and replays them.
    """

    name = "eventsourcing recorder"
    distributions = ("eventsourcing",)

    def __init__(self, folder: Path) -> None:
        self._datastore = SQLiteDatastore(str(folder / "events.db"))
        self._recorder = SQLiteApplicationRecorder(self._datastore)
        self._recorder.create_table()
        self._versions: defaultdict[str, int] = defaultdict(int)

    def save(self, state: Fields) -> None:
        """Insert one event; the writer knows its number, like an aggregate."""
        self.save_many([state])

    def save_many(self, many: Sequence[Fields]) -> None:
        """Insert events in one transaction."""
        self._recorder.insert_events([self._event(state) for state in many])

    def load(self, workflow_id: str) -> Any:
        """Return the state of the last event."""
        (last,) = self._recorder.select_events(_uuid(workflow_id), desc=True, limit=1)
        return orjson.loads(last.state)

    def history(self, of: WorkflowContext) -> list[Any]:
        """Return the states of all events."""
        return [orjson.loads(event.state) for event in self._recorder.select_events(_uuid(of.workflow_id))]

    def close(self) -> None:
        """Close the connections."""
        self._datastore.close()

    def _event(self, state: Fields) -> StoredEvent:
        workflow_id = state["workflow_id"]
        self._versions[workflow_id] += 1
        return StoredEvent(_uuid(workflow_id), self._versions[workflow_id], "saved", orjson.dumps(state))


def _uuid(workflow_id: str) -> Any:
    return uuid5(NAMESPACE_URL, workflow_id)
