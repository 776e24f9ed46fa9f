"""Connections that are kept open, and those that are not."""

import threading
from typing import Any

import pytest

from context_core import BackendClosedError, ContextPersistence, StorageError, WorkflowContext
from context_core.maintenance import PrunedRange
from context_core_sqlite import SqliteBackend, _maintenance
from context_core_sqlite._connection import MAX_IDLE_READERS


def test_a_crowd_of_readers_leaves_few_connections_open(tmp_path):
    """As many are opened as read at once, and those beyond a few are closed again."""
    backend = SqliteBackend(tmp_path / "engine.db")
    connections: Any = backend._connections
    crowd = 2 * MAX_IDLE_READERS
    together = threading.Barrier(crowd, timeout=30)

    def read(connection, _):
        together.wait()
        return connection.execute("SELECT 1").fetchone()

    threads = [threading.Thread(target=connections.read, args=(read, None)) for _ in range(crowd)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(connections._idle) == MAX_IDLE_READERS
    backend.close()
    assert connections._idle == []


def test_a_misuse_of_the_library_is_no_closed_store(tmp_path):
    """Python's sqlite3 raises the same for both."""
    backend = SqliteBackend(tmp_path / "engine.db")
    connections: Any = backend._connections

    def misuse(connection, _):
        connection.execute("SELECT ?")

    with pytest.raises(StorageError):
        connections.read(misuse, None)
    backend.close()
    with pytest.raises(BackendClosedError):
        connections.read(misuse, None)


def test_a_prune_that_names_the_head_leaves_it(tmp_path):
    """The file may have been put back as it was before, between the naming and the removing."""
    backend = SqliteBackend(tmp_path / "engine.db")
    with ContextPersistence(backend) as store:
        for _ in range(3):
            store.save_context(WorkflowContext("w", 1, 2, "checkout", "deliver"))
        named = [PrunedRange(workflow_id="w", first=1, last=9)]
        connections: Any = backend._connections
        connections.write(_maintenance.forget, named)
        assert [header.version for header in store.history("w")] == [3]
        assert store.verify().is_sound
