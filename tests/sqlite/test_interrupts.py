"""Interrupts at the very moments that once did harm; the suite's laws strike at random ones."""

import math

import pytest

from context_core import OutcomeUnknownError, WorkflowContext
from context_core.records import SaveRequest
from context_core.serialization import ContextSerializer
from context_core_sqlite import SqliteBackend
from context_core_sqlite._group import Write


@pytest.fixture
def backend(tmp_path):
    """A backend on a new file."""
    backend = SqliteBackend(tmp_path / "store.db")
    yield backend
    backend.close()


def a_save(workflow_id="w"):
    record = ContextSerializer(WorkflowContext).to_record(WorkflowContext(workflow_id, 1, 1, "feature", "workflow"))
    return SaveRequest(record=record)


def count_versions(connection, _=None):
    return connection.execute("SELECT count(*) FROM workflow_context_versions").fetchone()[0]


@pytest.mark.promise("CO05", "CO10")
def test_a_read_that_is_broken_off_holds_no_later_one_back(backend):
    """Its statement may stay open for as long as somebody looks at the traceback, and shows one moment all the while."""
    backend.save(a_save())
    backend.save(a_save())
    still_open = []

    def broken_off(connection, _):
        cursor = connection.execute("SELECT * FROM workflow_context_versions")
        cursor.fetchone()
        still_open.append(cursor)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backend._connections.read(broken_off, None)
    assert backend.save(a_save()).version == 3
    assert backend._connections.read(count_versions, None) == 3


@pytest.mark.promise("CO10")
def test_a_roll_back_that_is_broken_off_is_made_up_for(backend):
    """The next write finds the transaction still open, and does not take part in it."""
    backend.save(a_save())
    writer = backend._connections._writer
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO workflow_context_tombstones VALUES ('ghost', 1, '2025')")
    assert backend.save(a_save()).version == 2
    ghosts = "SELECT count(*) FROM workflow_context_tombstones"
    assert backend._connections.read(lambda connection, _: connection.execute(ghosts).fetchone(), None) == (0,)


@pytest.mark.promise("CO10", "VE01")
def test_an_interrupt_after_the_commit_makes_no_save_twice(backend, monkeypatch):
    """Who writes for others is interrupted when one of theirs has just been committed: that one is not done again."""
    connections = backend._connections
    backend.save(a_save())

    def fails_half_way(connection, _):
        connection.execute("INSERT INTO workflow_context_tombstones VALUES ('ghost', 1, '2025')")
        raise ZeroDivisionError

    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(connections._packer, "commit", interrupted)  # it follows SQLite's own commit
    others = [Write(fails_half_way, None), Write(backend._writer.save, a_save("theirs"))]
    connections._queue._waiting.extend(others)
    with connections._queue.turn, pytest.raises(KeyboardInterrupt):
        connections._queue._lead(math.inf)
    monkeypatch.undo()
    backend.save(a_save())  # whoever comes next would do what is left in the queue
    with pytest.raises(OutcomeUnknownError):
        others[1].outcome()
    assert connections.read(count_versions, None) == 3
    assert not connections._queue._waiting
