"""Exports of databases that were damaged from outside: what is left out is named, and the rest imports."""

import contextlib
import sqlite3
import zlib
from typing import Any

import pytest

from context_core import (
    ContextPersistence,
    CorruptDocumentError,
    DamagedHistoryError,
    ExportResult,
    LimitExceededError,
    PersistenceError,
    StorageError,
    WorkflowContext,
)

NO_TEXT = "CAST(x'61ff62' AS TEXT)"
NO_ZSTD = "x'" + zlib.compress(b"no frame").hex() + "'"
ALL_OF_B: set[tuple[str, int | None]] = {("b", 1), ("b", 2), ("b", 3)}
OF_HEAD, OF_VERSION = BOTH = "workflow_context", "workflow_context_versions"

DAMAGES: dict[str, tuple[list[str], set[tuple[str, int | None]]]] = {
    "a head's time": ([f"UPDATE {OF_HEAD} SET created_at = 'never' WHERE workflow_id = 'b'"], ALL_OF_B),
    "a head's text": ([f"UPDATE {OF_HEAD} SET feature = {NO_TEXT} WHERE workflow_id = 'b'"], ALL_OF_B),
    "a head's tags": ([f"UPDATE {OF_HEAD} SET tags = '[' WHERE workflow_id = 'b'"], ALL_OF_B),
    "a head's document": ([f"UPDATE {OF_HEAD} SET document = {NO_TEXT} WHERE workflow_id = 'b'"], set()),
    "a version's text": (
        [f"UPDATE {OF_VERSION} SET status = {NO_TEXT} WHERE workflow_id = 'b' AND version = 2"],
        {("b", 1), ("b", 2)},
    ),
    "a version's time": (
        [f"UPDATE {OF_VERSION} SET saved_at = 'never' WHERE workflow_id = 'b' AND version = 1"],
        {("b", 1)},
    ),
    "a newest version's text": (
        [f"UPDATE {OF_VERSION} SET feature = {NO_TEXT} WHERE workflow_id = 'b' AND version = 3"],
        {("b", 3)},
    ),
    "a base that is no frame": (
        [f"UPDATE {OF_VERSION} SET document = {NO_ZSTD} WHERE workflow_id = 'b' AND version = 1"],
        ALL_OF_B,
    ),
    "a history without its head": ([f"DELETE FROM {OF_HEAD} WHERE workflow_id = 'b'"], {("b", None)}),
    "a head without its history": ([f"DELETE FROM {OF_VERSION} WHERE workflow_id = 'b'"], {("b", None)}),
    "a missing newest version": (
        [f"DELETE FROM {OF_VERSION} WHERE workflow_id = 'b' AND version = 3"],
        {("b", None)},
    ),
    "a gap": (
        [f"DELETE FROM {OF_VERSION} WHERE workflow_id = 'b' AND version = 2"],
        {("b", 1), ("b", 2)},
    ),
    "a key that no save takes": (
        [f"UPDATE {OF_VERSION} SET idempotency_key = '' WHERE workflow_id = 'b' AND version = 1"],
        {("b", 1)},
    ),
    "a tombstone's time": (["UPDATE workflow_context_tombstones SET deleted_at = 'yesterday'"], {("gone", 1)}),
    "a tombstone's number": (["UPDATE workflow_context_tombstones SET last_version = -1"], {("gone", -1)}),
}
"""What is done to the file, and what an export must name."""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "engine.db"


@pytest.fixture
def store(path):
    """Three workflows of three versions and a tombstone."""
    with ContextPersistence(path) as opened:
        for number in (1, 2, 3):
            opened.save_contexts(a_context(name, number) for name in "abc")
        opened.save_context(a_context("gone", 1))
        opened.delete_context("gone")
        yield opened


def a_context(workflow_id: str, number: int) -> WorkflowContext:
    return WorkflowContext(workflow_id, 1, 2, f"f{number}", "n", metadata={"text": "as before " * 50, "number": number})


def damage(path, statements):
    """Run *statements* without the driver and its triggers."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
        for _, sql in triggers:
            connection.execute(sql)


def named(result: ExportResult) -> set[tuple[Any, Any]]:
    places = [(found.workflow_id, found.version) for found in result.missing]
    assert len(places) == len(set(places)), "each is named once"
    return set(places)


@pytest.mark.promise("ER01", "CR07")
@pytest.mark.parametrize("verb", ["save_context", "save_contexts"])
def test_the_last_number_is_an_error_of_ours(path, store, verb):
    """A version that was put at the end of 64 bits from outside stops its own saves, and no other."""
    damage(
        path, [f"UPDATE {table} SET version = {2**63 - 1} WHERE workflow_id = 'b' AND version = 3" for table in BOTH]
    )
    context: Any = a_context("b", 4)
    with pytest.raises((StorageError, LimitExceededError)):
        getattr(store, verb)(context if verb == "save_context" else [a_context("a", 4), context])
    assert store.save_context(a_context("a", 4)) == 4
    assert store.delete_context("b")
    with pytest.raises((StorageError, LimitExceededError)):
        store.save_context(context)


@pytest.mark.promise("CR06", "CR07", "MO01")
@pytest.mark.parametrize("kind", DAMAGES)
def test_an_export_names_what_it_leaves_out_and_holds_the_rest(path, store, tmp_path, kind):
    """The other workflows whole, the tombstone, and of the damaged one the newest versions without damage."""
    statements, expected = DAMAGES[kind]
    damage(path, statements)
    result = store.export(tmp_path / "export", damaged="leave_out")
    assert named(result) == expected
    left = {(name, number) for name in "abc" for number in (1, 2, 3)} - expected
    if ("b", None) in expected:
        left = {place for place in left if place[0] != "b"}
    with ContextPersistence("memory://") as target:
        assert target.import_(tmp_path / "export").written == result.count
        found = {(name, header.version) for name in "abc" for header in target.history(name)}
        assert found == left
        for name, number in found:
            assert target.load_context(name, version=number).feature == f"f{number}"
        assert result.count == len(found) + ("tombstone" not in kind)


@pytest.mark.promise("CR06", "CR07", "MO01")
@pytest.mark.parametrize("kind", [kind for kind, (_, expected) in DAMAGES.items() if expected])
def test_an_export_that_meets_damage_leaves_nothing(path, store, tmp_path, kind):
    """Unless it is told to go on: the error names the workflow, and the target's name stays free."""
    damage(path, DAMAGES[kind][0])
    (tmp_path / "folder").mkdir()
    with pytest.raises(PersistenceError) as caught:
        store.export(tmp_path / "folder" / "export")
    assert isinstance(caught.value, CorruptDocumentError | DamagedHistoryError)
    assert caught.value.workflow_id == ("gone" if "tombstone" in kind else "b")
    assert list((tmp_path / "folder").iterdir()) == []
