"""The WAL is given back once nobody reads from it, and a large one is told."""

import logging
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from context_core import ContextPersistence, WorkflowContext
from context_core_sqlite import SqliteBackend, _files, _snapshot
from context_core_sqlite._wal import PAUSE_S, WalLimit

LIMIT_BYTES = 200_000


class Watched:
    """A store with a small limit and a clock that a test moves."""

    def __init__(self, path):
        self.path = path
        backend: Any = SqliteBackend(path)
        self.backend = backend
        self.now_s = 1.0
        backend._connections._wal_limit = WalLimit(
            str(path), truncate_above_bytes=LIMIT_BYTES, warn_above_bytes=2 * LIMIT_BYTES, clock=lambda: self.now_s
        )
        self.store = ContextPersistence(backend)
        self.store.save_context(self.context())
        self.statements: list[str] = []
        backend._connections._writer.set_trace_callback(self.statements.append)

    @staticmethod
    def context():
        return WorkflowContext("w", 1, 1, "f", "w").copy_with(metadata={"x": "y" * 20_000})

    def grow(self, size_bytes):
        for _ in range(1_000):
            if self.wal_bytes() > size_bytes:
                return
            self.store.save_context(self.context())
        raise AssertionError(self.wal_bytes())

    def wal_bytes(self):
        return self.path.with_name("engine.db-wal").stat().st_size

    def attempts(self):
        return sum("wal_checkpoint" in statement for statement in self.statements)


@pytest.fixture
def watched(tmp_path, monkeypatch):
    monkeypatch.setattr(_files, "LOOK_AGAIN_S", 0.0)
    watched = Watched(tmp_path / "engine.db")
    yield watched
    watched.store.close()


@pytest.fixture
def reader(watched):
    """Somebody at a prompt who leaves a transaction open."""
    with closing(sqlite3.connect(watched.path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM workflow_context").fetchall()
        yield connection


def test_a_save_gives_back_the_wal_that_a_reader_has_left(watched, reader):
    """As soon as the time for another attempt has come."""
    watched.grow(2 * LIMIT_BYTES)
    reader.execute("ROLLBACK")
    watched.now_s += PAUSE_S
    watched.store.save_context(watched.context())
    assert watched.wal_bytes() < LIMIT_BYTES


def test_a_read_gives_back_the_wal_too(watched, reader):
    """A store that only reads from then on needs no save for it."""
    watched.grow(2 * LIMIT_BYTES)
    reader.execute("ROLLBACK")
    watched.now_s += PAUSE_S
    for _ in range(2):
        watched.store.load_context("w")
    assert watched.wal_bytes() == 0
    assert watched.store.verify().is_sound


def test_a_snapshot_that_is_closed_gives_back_the_wal(watched, monkeypatch):
    """It was the reader in the way."""
    monkeypatch.setattr(_snapshot, "TRUNCATE_ABOVE_BYTES", LIMIT_BYTES)
    snapshot = watched.backend.snapshot()
    watched.grow(2 * LIMIT_BYTES)
    snapshot.close()
    assert watched.wal_bytes() == 0


def test_a_reader_that_stays_costs_one_attempt_in_a_while(watched, reader):
    """Saves between two attempts pay nothing."""
    watched.grow(3 * LIMIT_BYTES)
    assert watched.attempts() == 1
    watched.now_s += PAUSE_S
    for _ in range(20):
        watched.store.save_context(watched.context())
    assert watched.attempts() == 2


def test_a_small_wal_is_left_alone(watched):
    """In the steady state there is neither a checkpoint nor any other statement besides the transaction."""
    watched.now_s += PAUSE_S
    for _ in range(3):
        watched.store.save_context(watched.context())
        watched.now_s += PAUSE_S
    assert watched.wal_bytes() <= LIMIT_BYTES
    assert not [statement for statement in watched.statements if "PRAGMA" in statement]


def test_a_large_wal_is_warned_of_once(watched, reader, caplog):
    """Once each time that it passes the limit, not at each save."""
    with caplog.at_level(logging.WARNING, "context_core_sqlite"):
        watched.grow(3 * LIMIT_BYTES)
        for _ in range(5):
            watched.now_s += PAUSE_S
            watched.store.save_context(watched.context())
        assert ["cannot be emptied while a reader stays open" in record.getMessage() for record in caplog.records] == [
            True
        ]
        reader.execute("ROLLBACK")
        watched.now_s += PAUSE_S
        watched.store.save_context(watched.context())
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM workflow_context").fetchall()
        watched.grow(3 * LIMIT_BYTES)
        watched.now_s += PAUSE_S
        watched.store.save_context(watched.context())
    assert len(caplog.records) == 2


def test_an_attempt_beside_a_writer_of_another_process_waits_for_nobody(watched, reader):
    """It is left for later, and the transaction of the other is not disturbed."""
    watched.grow(2 * LIMIT_BYTES)
    reader.execute("ROLLBACK")
    reader.execute("BEGIN IMMEDIATE")
    watched.now_s += PAUSE_S
    assert watched.store.load_context("w").version > 1
    assert watched.wal_bytes() > LIMIT_BYTES
    reader.execute("COMMIT")
