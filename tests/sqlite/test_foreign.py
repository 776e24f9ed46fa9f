"""Files that are not ours, or not ours alone."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest

from context_core import (
    BackendUnavailableError,
    ContextPersistence,
    ForeignDatabaseError,
    NewerDatabaseError,
    PersistenceError,
    ReadOnlyError,
    StorageError,
    WorkflowContext,
)

OPENER = Path(__file__).with_name("opener.py")


def a_context(workflow_id="w"):
    return WorkflowContext(workflow_id, 1, 2, "checkout", "deliver")


def run(path, *statements):
    with closing(sqlite3.connect(path)) as connection, connection:
        return [connection.execute(statement).fetchall() for statement in statements][-1]


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def database(tmp_path):
    """A database of ours with two versions, closed."""
    path = tmp_path / "engine.db"
    with ContextPersistence(db_path=path) as store:
        for _ in range(2):
            store.save_context(a_context())
    return path


NOT_DATABASES = {
    "text": b"workflow_id,status\norder-7,failed\n" * 100,
    "a word": b"hello\n",
    "zeros": b"\0" * 8192,
    "image": b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40,
}


@pytest.mark.promise("ER01")
@pytest.mark.parametrize("url_option", ["", "?read_only=true"])
@pytest.mark.parametrize("content", NOT_DATABASES.values(), ids=list(NOT_DATABASES))
def test_file_that_is_no_database_is_refused_untouched(tmp_path, content, url_option):
    """Whatever it is, it is not overwritten, nothing is put beside it, and SQLite's error is the cause."""
    path = tmp_path / "precious.txt"
    path.write_bytes(content)
    with pytest.raises(ForeignDatabaseError, match=r"precious\.txt") as caught:
        ContextPersistence(f"sqlite:///{path}{url_option}")
    assert isinstance(caught.value.__cause__, sqlite3.DatabaseError)
    assert files_of(tmp_path) == {"precious.txt": content}


def test_a_file_of_one_letter_is_refused_untouched(tmp_path):
    """SQLite itself takes it for an empty database, and would write over it."""
    path = tmp_path / "precious.txt"
    path.write_bytes(b"x")
    with pytest.raises(ForeignDatabaseError, match=r"precious\.txt"):
        ContextPersistence(db_path=path)
    assert files_of(tmp_path) == {"precious.txt": b"x"}


def test_empty_file_is_a_new_database(tmp_path):
    """A file without a byte holds nothing of anyone's: mktemp makes such."""
    path = tmp_path / "new.db"
    path.touch()
    with ContextPersistence(db_path=path) as store:
        assert store.save_context(a_context()) == 1


FOREIGN_SCHEMAS = {
    "another table of our name": "CREATE TABLE workflow_context (id INTEGER PRIMARY KEY, payload TEXT)",
    "a table of one column less": """CREATE TABLE workflow_context (id INTEGER PRIMARY KEY, workflow_id TEXT,
        epic_num INTEGER, story_num INTEGER, feature TEXT, workflow_name TEXT, current_phase TEXT, status TEXT,
        context_data TEXT, version INTEGER, created_at TEXT)""",
    "a table of one column more": """CREATE TABLE workflow_context (id INTEGER PRIMARY KEY, workflow_id TEXT,
        epic_num INTEGER, story_num INTEGER, feature TEXT, workflow_name TEXT, current_phase TEXT, status TEXT,
        context_data TEXT, version INTEGER, created_at TEXT, updated_at TEXT, owner TEXT)""",
    "a view of our name": "CREATE VIEW workflow_context AS SELECT 1 AS workflow_id",
    "a versions table": "CREATE TABLE workflow_context_versions (id INTEGER PRIMARY KEY)",
    "a tombstones table": "CREATE TABLE workflow_context_tombstones (id INTEGER PRIMARY KEY)",
    "a schema table of another shape": "CREATE TABLE context_core_schema (whatever TEXT)",
    "our name in capitals": "CREATE TABLE Workflow_Context (id INTEGER PRIMARY KEY, payload TEXT)",
}


@pytest.mark.parametrize("statement", FOREIGN_SCHEMAS.values(), ids=list(FOREIGN_SCHEMAS))
def test_tables_of_our_names_that_are_not_ours_are_refused_untouched(tmp_path, statement):
    """The file keeps every byte, in its own journal mode, and nothing is left beside it."""
    path = tmp_path / "theirs.db"
    run(path, statement, "CREATE TABLE notes (text)", "INSERT INTO notes VALUES ('keep me')")
    before = files_of(tmp_path)
    for _ in range(2):
        with pytest.raises(ForeignDatabaseError, match=r"theirs\.db"):
            ContextPersistence(db_path=path)
    assert files_of(tmp_path) == before


def test_the_original_table_beside_another_of_our_names_is_refused(original):
    """What it is a part of is not known, so it is not adopted."""
    original.add("w")
    original.run("CREATE TABLE workflow_context_tombstones (id INTEGER PRIMARY KEY)")
    with pytest.raises(ForeignDatabaseError, match="workflow_context, workflow_context_tombstones"):
        ContextPersistence(db_path=original.path)
    assert original.run("SELECT workflow_id FROM workflow_context") == [("w",)]


@pytest.mark.parametrize("statement", FOREIGN_SCHEMAS.values(), ids=list(FOREIGN_SCHEMAS))
def test_foreign_database_is_refused_read_only_too(tmp_path, statement):
    """The same error, and the same bytes."""
    path = tmp_path / "theirs.db"
    run(path, statement)
    before = files_of(tmp_path)
    with pytest.raises(ForeignDatabaseError, match=r"theirs\.db"):
        ContextPersistence(f"sqlite:///{path}?read_only=true")
    assert files_of(tmp_path) == before


@pytest.mark.promise("MI04")
@pytest.mark.parametrize("url_option", ["", "?read_only=true"])
def test_newer_database_is_refused_untouched(database, tmp_path, url_option):
    """The error tells both versions, and not a byte is written."""
    known = run(database, "SELECT max(version) FROM context_core_schema")[0][0]
    run(database, "INSERT INTO context_core_schema VALUES (99, '0099_future', '2999-01-01T00:00:00.000000+00:00')")
    before = files_of(tmp_path)
    with pytest.raises(NewerDatabaseError, match="upgrade context-core") as caught:
        ContextPersistence(f"sqlite:///{database}{url_option}")
    assert (caught.value.found, caught.value.known, caught.value.location) == (99, known, str(database))
    assert files_of(tmp_path) == before


@pytest.mark.promise("ER06")
@pytest.mark.parametrize("kind", ["original", "empty"])
def test_read_only_never_migrates(original, tmp_path, kind):
    """A database that would need migrating is refused, and left as it is."""
    original.add("w")
    path = original.path if kind == "original" else tmp_path / "empty.db"
    path.touch()
    before = files_of(tmp_path)
    with pytest.raises(ReadOnlyError, match="open it once for writing"):
        ContextPersistence(f"sqlite:///{path}?read_only=true")
    assert files_of(tmp_path) == before


THEIR_STATEMENTS = (
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)",
    "INSERT INTO notes VALUES (1, 'theirs')",
    "CREATE VIEW loud_notes AS SELECT upper(text) AS text FROM notes",
    "CREATE INDEX notes_by_text ON notes (text)",
    "CREATE TRIGGER notes_no_delete BEFORE DELETE ON notes BEGIN SELECT RAISE(ABORT, 'kept'); END",
    "PRAGMA user_version = 42",
    "PRAGMA application_id = 4711",
)


def what_is_theirs(path):
    return (
        run(path, "SELECT type, name, sql FROM sqlite_master WHERE name LIKE '%notes%' ORDER BY name"),
        run(path, "SELECT * FROM notes"),
        run(path, "SELECT * FROM loud_notes"),
        run(path, "PRAGMA user_version"),
        run(path, "PRAGMA application_id"),
    )


@pytest.mark.parametrize("kind", ["new", "original"])
def test_other_peoples_tables_are_left_alone(original, tmp_path, kind):
    """Tables, rows, views, indexes, triggers and numbers of others in the same file stay as they were."""
    original.add("w", version=2)
    path = original.path if kind == "original" else tmp_path / "shared.db"
    run(path, *THEIR_STATEMENTS)
    before = what_is_theirs(path)
    with ContextPersistence(db_path=path) as store:
        version = store.save_context(a_context())
        store.delete_context("w")
    assert version == (3 if kind == "original" else 1)
    assert what_is_theirs(path) == before


def test_views_on_the_original_table_do_not_stop_adoption(original):
    """They stay, word for word, and those of columns that we have too still answer."""
    original.add("w", status="failed")
    views = (
        "CREATE VIEW failed AS SELECT workflow_id, feature FROM workflow_context WHERE status = 'failed'",
        "CREATE VIEW documents AS SELECT id, context_data FROM workflow_context",
    )
    original.run(*views)
    with ContextPersistence(db_path=original.path) as store:
        assert store.load_context("w").status == "failed"
    assert original.run("SELECT sql FROM sqlite_master WHERE type = 'view' ORDER BY name DESC") == [
        (sql,) for sql in views
    ]
    assert original.run("SELECT * FROM failed") == [("w", "checkout")]


def test_rows_that_refer_to_the_original_table_do_not_stop_adoption(original):
    """Someone's own table with a foreign key onto it keeps its rows."""
    original.add("w")
    original.run(
        "CREATE TABLE remarks (context_id INTEGER REFERENCES workflow_context(id) ON DELETE CASCADE, text TEXT)",
        "INSERT INTO remarks SELECT id, 'mine' FROM workflow_context",
    )
    with ContextPersistence(db_path=original.path) as store:
        assert store.load_context("w").version == 1
    assert original.run("SELECT text FROM remarks") == [("mine",)]


@pytest.mark.promise("CR05")
def test_folder_in_place_of_a_file_is_told(tmp_path):
    """A path that is a folder is a typed error."""
    with pytest.raises(BackendUnavailableError):
        ContextPersistence(db_path=tmp_path)


@pytest.mark.promise("CR05")
def test_vanished_folder_is_a_typed_error_until_it_is_back(tmp_path):
    """Reads and writes are refused while the folder is gone, and work again once it is back."""
    folder, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    folder.mkdir()
    with ContextPersistence(db_path=folder / "engine.db") as store:
        store.save_context(a_context())
        folder.rename(elsewhere)
        with pytest.raises(PersistenceError):
            store.save_context(a_context())
        elsewhere.rename(folder)
        assert store.save_context(a_context()) == 2
        assert [header.version for header in store.history("w")] == [1, 2]


@pytest.mark.promise("CR05")
@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to read-only files")
def test_read_only_file_is_a_typed_error_and_reads_on(database):
    """A file without the right to write refuses writes alone."""
    database.chmod(0o444)
    with suppress(ReadOnlyError), ContextPersistence(db_path=database) as store:
        with pytest.raises(ReadOnlyError):
            store.save_context(a_context())
        assert store.load_context("w").version == 2
    with ContextPersistence(f"sqlite:///{database}?read_only=true") as store:
        assert store.load_context("w").version == 2


@pytest.mark.promise("CR05", "ER01")
@pytest.mark.parametrize("spare_bytes", [0, 50_000, 200_000])
def test_full_disk_is_a_typed_error_that_loses_nothing(database, spare_bytes):
    """What was acknowledged is there, what was not is not, and saves go on once there is room again."""
    command = [sys.executable, OPENER, "fill", database, str(spare_bytes)]
    *lines, error, count, after = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=120
    ).stdout.splitlines()
    assert error in ("StorageError OperationalError", "OutcomeUnknownError OperationalError")
    assert [int(line) for line in lines] == list(range(1, int(count) + 1))
    assert after == "1"
    with ContextPersistence(db_path=database) as store:
        assert len(store.history("filled")) == int(count)
        assert store.load_context("w").version == 2
    assert run(database, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.promise("CR05", "ER01")
def test_damaged_pages_are_a_typed_error(database, tmp_path):
    """A file whose pages were overwritten is refused, or fails its reads, with SQLite's error as the cause."""
    damaged = tmp_path / "damaged.db"
    shutil.copyfile(database, damaged)
    with damaged.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (damaged.stat().st_size - 4096))
    before = damaged.read_bytes()
    with pytest.raises((StorageError, ForeignDatabaseError)) as caught, ContextPersistence(db_path=damaged) as store:
        store.load_context("w")
    assert isinstance(caught.value.__cause__, sqlite3.DatabaseError)
    assert damaged.read_bytes() == before
