"""What a save waits for is one budget: its own queue, writers of other processes, and the leader of its group."""

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from context_core import BackendBusyError, ContextPersistence, WorkflowContext
from context_core_sqlite._group import Write, WriteQueue

CROWD, WAIT_S, PATIENCE_S = 6, 0.4, 30


def a_context(workflow_id="w"):
    return WorkflowContext(workflow_id, 1, 1, "f", "w")


@pytest.mark.promise("CO11")
def test_a_crowd_behind_another_process_waits_no_longer_than_one(tmp_path):
    """The leader of the group gives up when its own time ends, and so does each of the others."""
    path = tmp_path / "store.db"
    together = threading.Barrier(CROWD, timeout=PATIENCE_S)
    with ContextPersistence(f"sqlite:///{path}?busy_timeout={WAIT_S}") as store:
        store.save_context(a_context())
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")

        def save(_):
            together.wait()
            began = time.monotonic()
            with pytest.raises(BackendBusyError):
                store.save_context(a_context())
            return time.monotonic() - began

        with ThreadPoolExecutor(CROWD) as threads:
            longest_s = max(threads.map(save, range(CROWD)))
        other.close()
        assert longest_s < WAIT_S * CROWD / 2
        assert store.save_context(a_context()) == 2


def test_a_write_is_withdrawn_or_claimed():
    """Never both, and a claim that came to nothing lets its caller withdraw again."""
    withdrawn, claimed = (Write(lambda *_: None, None) for _ in range(2))
    assert withdrawn.withdraw()
    assert not withdrawn.claim()
    assert withdrawn.is_withdrawn
    assert claimed.claim()
    assert not claimed.withdraw()
    claimed.reset()
    assert claimed.withdraw()


def test_a_leader_passes_over_what_was_withdrawn():
    """Its caller was told that nothing was written; the others' writes are done."""
    done: list[object] = []

    def transact(writes, deadline):
        del deadline
        for write in writes:
            if write.claim():
                done.append(write.argument)
                write.result = None

    queue = WriteQueue(transact, PATIENCE_S)
    early, late = (Write(lambda *_: None, name) for name in ("early", "late"))
    queue._waiting.extend([early, late])
    assert queue._withdraw(early)
    queue._waiting.appendleft(early)  # a leader that had it already
    queue._lead(time.monotonic())
    assert done == ["late"]
    assert late.is_done
    assert not queue._waiting
