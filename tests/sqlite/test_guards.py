"""The database file itself, as someone at a sqlite3 prompt, or an application beside us, meets it."""

import sqlite3
from contextlib import closing

import pytest

from context_core import (
    BackendUnavailableError,
    ConfigurationError,
    ContextPersistence,
    CorruptDocumentError,
    WorkflowContext,
)
from context_core_sqlite import SqliteBackend


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "engine.db"
    with ContextPersistence(db_path=path) as store:
        context = WorkflowContext("order-7", 1, 2, "checkout", "deliver", tags=["a"])
        store.save_context(context, idempotency_key="first")
        store.save_context(context.add_error("late"))
    return path


def run(database, *statements):
    with closing(sqlite3.connect(database)) as connection, connection:
        return [connection.execute(statement).fetchall() for statement in statements][-1]


def replacing(row_id, workflow_id, version, idempotency_key):
    """A REPLACE that collides with the first version in one of its keys."""
    return f"""REPLACE INTO workflow_context_versions
        SELECT {row_id}, {workflow_id}, {version}, epic_num, story_num, feature, workflow_name, current_phase, status,
            created_at, updated_at, saved_at, tags, NULL, {idempotency_key}, NULL, NULL, NULL, '{{}}', NULL
        FROM workflow_context_versions WHERE version = 1"""


@pytest.mark.promise("VE02")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE workflow_context_versions SET document = '{}'",
        "UPDATE workflow_context_versions SET saved_at = 'never' WHERE version = 1",
        "DELETE FROM workflow_context_versions WHERE version = 1",
        "INSERT OR REPLACE INTO workflow_context_versions SELECT * FROM workflow_context_versions WHERE version = 1",
        replacing(99, "workflow_id", "version", "NULL"),
        replacing("id", "'other'", "version", "NULL"),
        replacing(99, "workflow_id", 77, "'first'"),
    ],
)
def test_versions_are_guarded_against_rewriting(database, statement):
    """No statement of someone else changes, replaces or removes a stored version."""
    before = run(database, "SELECT * FROM workflow_context_versions ORDER BY id")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        run(database, statement)
    assert run(database, "SELECT * FROM workflow_context_versions ORDER BY id") == before


def test_delete_guard_opens_for_one_workflow_only(database):
    """The documented guard lets the versions of the named workflow go, and of no other."""
    with ContextPersistence(db_path=database) as store:
        store.save_context(WorkflowContext("order-8", 1, 2, "checkout", "deliver"))
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        run(
            database,
            "INSERT INTO workflow_context_delete_guard VALUES ('order-7')",
            "DELETE FROM workflow_context_versions",
        )
    run(
        database,
        "INSERT INTO workflow_context_delete_guard VALUES ('order-7')",
        "DELETE FROM workflow_context_versions WHERE workflow_id = 'order-7'",
        "DELETE FROM workflow_context_delete_guard",
    )
    assert run(database, "SELECT workflow_id FROM workflow_context_versions") == [("order-8",)]


def test_current_state_reads_at_a_prompt(database):
    """The head table holds plain JSON, which SQLite's own functions read."""
    sql = "SELECT workflow_id, version, json_extract(document, '$.errors[0]') FROM workflow_context"
    assert run(database, sql) == [("order-7", 2, "late")]


@pytest.mark.promise("CR06", "ER01")
def test_damaged_column_is_told_and_spares_the_document(database):
    """A header that cannot be read is a typed error; verify names it, and the context still loads."""
    run(database, "UPDATE workflow_context SET updated_at = 'yesterday'")
    with ContextPersistence(db_path=database) as store:
        with pytest.raises(CorruptDocumentError, match="an indexed column"):
            store.list_headers(damaged="raise")
        assert store.load_context("order-7").errors == ["late"]
        assert [(damage.workflow_id, damage.version) for damage in store.verify().damages] == [("order-7", 2)]


def test_document_is_the_last_column(database):
    """A prompt that cuts long lines still shows every other column."""
    assert run(database, "SELECT name FROM pragma_table_info('workflow_context') ORDER BY cid")[-1] == ("document",)


@pytest.mark.promise("CR05")
def test_removed_database_is_noticed_before_a_save_is_acknowledged(tmp_path):
    """SQLite would go on writing to a deleted file; the save is refused instead."""
    path = tmp_path / "engine.db"
    context = WorkflowContext("order-7", 1, 2, "checkout", "deliver")
    with ContextPersistence(db_path=path) as store:
        store.save_context(context)
        path.rename(tmp_path / "elsewhere.db")
        with pytest.raises(BackendUnavailableError, match="removed or replaced"):
            store.save_context(context)
        with pytest.raises(BackendUnavailableError):
            store.save_context(context)
        (tmp_path / "elsewhere.db").rename(path)
        assert store.save_context(context) == 2


def test_database_named_memory_is_a_file(tmp_path, monkeypatch):
    """A path is always a file path, that of SQLite's in-memory name too."""
    monkeypatch.chdir(tmp_path)
    with ContextPersistence(db_path=":memory:") as store:
        store.save_context(WorkflowContext("order-7", 1, 2, "checkout", "deliver"))
    assert (tmp_path / ":memory:").exists()


@pytest.mark.parametrize("name", ["a b.db", "what?.db", "100%.db", "#1.db", "ümlaut.db", "file:x.db", "a&b=c.db"])
def test_file_name_may_hold_any_character(tmp_path, name):
    """A database lies where its path says, whatever a URL would make of it."""
    with ContextPersistence(db_path=tmp_path / name) as store:
        store.save_context(WorkflowContext("order-7", 1, 2, "checkout", "deliver"))
    assert (tmp_path / name).exists()


def test_change_of_directory_moves_nothing(tmp_path, monkeypatch):
    """A relative path is that of the moment when the store was opened."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with ContextPersistence("sqlite:///engine.db") as store:
        monkeypatch.chdir(tmp_path / "elsewhere")
        store.save_context(WorkflowContext("order-7", 1, 2, "checkout", "deliver"))
        assert store.load_context("order-7").version == 1
    assert sorted(path.name for path in tmp_path.rglob("*.db")) == ["engine.db"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"path": ""},
        {"path": "a\0b"},
        {"path": b"bytes.db"},
        {"path": "x.db", "synchronous": "off"},
        {"path": "x.db", "busy_timeout_s": -1},
        {"path": "x.db", "busy_timeout_s": float("nan")},
        {"path": "x.db", "busy_timeout_s": "soon"},
    ],
)
def test_unusable_argument_is_refused(tmp_path, monkeypatch, arguments):
    """An argument that cannot be used is refused before a file is made."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError):
        SqliteBackend(**arguments)
    assert list(tmp_path.iterdir()) == []


def test_missing_folder_is_told(tmp_path):
    """A folder that does not exist is not made, and the error says where to look."""
    with pytest.raises(BackendUnavailableError, match="check that its folder exists"):
        ContextPersistence(db_path=tmp_path / "missing" / "engine.db")


def test_old_sqlite_library_is_told(tmp_path, monkeypatch):
    """A Python linked with a SQLite that lacks what is needed is told so."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 30, 0))
    with pytest.raises(ConfigurationError, match=r"3\.37"):
        ContextPersistence(db_path=tmp_path / "engine.db")
