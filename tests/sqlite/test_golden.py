"""Databases of earlier schema versions, kept as SQL: what an older driver wrote reads the same, for good."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from context_core import Capability, ContextPersistence, WorkflowContext
from context_core.records import Origin
from context_core_sqlite import SqliteBackend, _write

FOLDER = Path(__file__).with_name("golden")
OPENER = Path(__file__).with_name("opener.py")
CREATED_AT = datetime(2026, 1, 1, tzinfo=UTC)
FIRST_SAVED_AT = datetime(2026, 1, 2, 3, 4, 7, 678901, tzinfo=UTC)


@pytest.fixture(params=sorted(FOLDER.glob("schema-*.sql")), ids=lambda path: path.stem)
def golden(request, tmp_path):
    """A database as a driver of that schema version left it."""
    path = tmp_path / "engine.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(request.param.read_text("utf-8"))
    return path


def the_order():
    """The versions of the workflow order-7, as they were saved."""
    context = WorkflowContext(
        "order-7", 1, 2, "checkout", "deliver", created_at=CREATED_AT, updated_at=CREATED_AT, tags=["a", "b"]
    )
    context = context.copy_with(
        decisions={"db": {"choice": "sqlite", "naïve": "ünïcode \0"}}, updated_at=context.updated_at
    )
    versions = [context]
    for number, phase in enumerate(("build", "test", "review", "release", "done")):
        left_at = CREATED_AT + timedelta(hours=number + 1, microseconds=number)
        moved = versions[-1].transition_phase(phase, at=left_at)
        versions.append(moved.copy_with(artifacts=[*moved.artifacts, f"dist/part-{number}.tar.gz"]))
    return versions


def contents(store):
    """Everything that the golden database holds, but for the times at which its contexts were changed."""
    return [
        [store.load_context("order-7", version=version) for version in range(1, 7)],
        [(header.version, header.saved_at, header.idempotency_key) for header in store.history("order-7")],
        store.load_context("order-8"),
        store.history("order-8"),
        store.load_context("epic"),
        [context.workflow_id for context in store.search_contexts()],
        [context.version for context in store.get_context_versions(1, 2)],
    ]


def bases(path):
    with closing(sqlite3.connect(path)) as connection:
        sql = "SELECT base_version FROM workflow_context_versions ORDER BY workflow_id, version"
        return [base for (base,) in connection.execute(sql)]


@pytest.mark.promise("MI01")
def test_it_opens_with_equal_content(golden):
    """Versions, times, keys, lineage, tombstones and searches are what they were."""
    with ContextPersistence(golden) as store:
        for number, (found, saved) in enumerate(zip(contents(store)[0], the_order(), strict=True), 1):
            assert (found.version, found.copy_with(updated_at=saved.updated_at)) == (number, saved)
        first, *_ = store.history("order-7")
        assert (first.saved_at, first.idempotency_key) == (FIRST_SAVED_AT, "first")
        (forked,) = store.history("order-8")
        assert forked.origin == Origin(workflow_id="order-7", version=3)
        assert store.load_context("epic").metadata == {"n": 1.5}
        assert store.save_context(WorkflowContext("gone", 1, 1, "x", "y")) == 2
        assert store.verify().is_sound


@pytest.mark.promise("MI03", "VE02")
def test_both_forms_read_while_documents_are_packed(golden, monkeypatch):
    """Packing goes on in small transactions beside readers and writers, and changes nothing that they see."""
    monkeypatch.setattr(_write, "REPACKED_AT_ONCE", 1)
    backend = SqliteBackend(golden)
    with ContextPersistence(backend) as store, ContextPersistence(golden) as reader:
        assert Capability.MIGRATE in store.describe().capabilities
        before = contents(reader)
        assert None in bases(golden)
        place: tuple[str, int] | None = ("", 0)
        steps = 0
        while place is not None:
            place = backend._connections.write(backend._writer.repack, place)
            assert contents(reader) == before
            steps += 1
        assert steps == 9
        assert None not in bases(golden)
        packed = bases(golden)
        assert store.migrate() == store.describe().schema_version
        assert (bases(golden), contents(reader)) == (packed, before)
        assert store.save_context(before[0][-1]) == 7
        assert store.verify().is_sound


@pytest.mark.promise("MI03", "CR03")
def test_packing_that_is_killed_goes_on(golden, tmp_path, schema_of):
    """Killed before any statement of opening or packing, the next run completes it, and nothing is lost."""
    folder = tmp_path / "killed"
    folder.mkdir()
    command = [sys.executable, OPENER, "kill", golden, folder]
    killed, code = subprocess.run(command, capture_output=True, text=True, check=True, timeout=240).stdout.split()
    assert (int(killed) > 40, code) == (True, "0")
    with ContextPersistence(folder / f"killed-{int(killed) + 1:03}.db") as store:
        expected = contents(store)
    for database in sorted(folder.glob("*.db"))[: int(killed)]:
        with ContextPersistence(database) as store:
            assert contents(store) == expected
            store.migrate()
            assert contents(store) == expected
        assert None not in bases(database)


@pytest.mark.promise("MI05")
def test_fresh_and_migrated_schemas_are_identical(golden, tmp_path, schema_of):
    """A database that came from an old schema is built as one that was made today."""
    fresh = tmp_path / "fresh.db"
    for path in (golden, fresh):
        ContextPersistence(path).close()
    assert schema_of(golden) == schema_of(fresh)
