"""Tables of the user that refer to ours by foreign keys."""

import logging
import sqlite3
from contextlib import closing

import pytest

from context_core import (
    ContextPersistence,
    ContextReferencedError,
    Delete,
    Save,
    StorageError,
    WorkflowContext,
)
from context_core.model import utc_now
from context_core_sqlite import _schema
from tests.sqlite.test_group_commit import Store

ACTIONS = ["CASCADE", "SET NULL", "RESTRICT", "NO ACTION", "NO ACTION DEFERRABLE INITIALLY DEFERRED"]
REFUSING = ACTIONS[2:]


def a_context(workflow_id="w", **metadata):
    return WorkflowContext(workflow_id, 1, 2, "checkout", "deliver").copy_with(metadata=metadata)


def run(path, *statements):
    with closing(sqlite3.connect(path)) as connection, connection:
        return [connection.execute(statement).fetchall() for statement in statements][-1]


def refer(path, action, *workflow_ids, column="workflow_id", table="reviews"):
    run(
        path,
        f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, workflow TEXT "
        f"REFERENCES workflow_context({column}) ON DELETE {action})",
        *[f"INSERT INTO {table} (workflow) VALUES ('{workflow_id}')" for workflow_id in workflow_ids],
    )


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "engine.db"
    with ContextPersistence(db_path=path) as store:
        for _ in range(3):
            store.save_context(a_context())
        store.save_context(a_context("free"))
    return path


@pytest.mark.parametrize(("action", "left"), [("CASCADE", []), ("SET NULL", [(1, None)])])
def test_a_deletion_does_what_the_foreign_key_says(database, action, left):
    """Rows of the user's table go with the workflow, or forget it."""
    refer(database, action, "w")
    with ContextPersistence(db_path=database) as store:
        assert store.save_context(a_context()) == 4
        assert run(database, "SELECT * FROM reviews") == [(1, "w")]
        assert store.delete_context("w")
    assert run(database, "SELECT * FROM reviews") == left


@pytest.mark.promise("ER01", "BA01")
@pytest.mark.parametrize("action", REFUSING)
def test_a_deletion_that_a_foreign_key_refuses_changes_nothing(database, action):
    """The error names the workflow and the table that refers to it; a batch is refused as a whole."""
    refer(database, action, "w")
    with ContextPersistence(db_path=database) as store:
        for refused in (
            lambda: store.delete_context("w"),
            lambda: store.batch([Save(a_context("new")), Delete("free"), Delete("w")]),
        ):
            with pytest.raises(ContextReferencedError, match="'reviews'") as caught:
                refused()
            assert (caught.value.workflow_id, caught.value.table) == ("w", "reviews")
            assert isinstance(caught.value.__cause__, sqlite3.Error)
        assert [header.version for header in store.history("w")] == [1, 2, 3]
        assert (store.context_exists("free"), store.context_exists("new")) == (True, False)
        assert store.delete_context("free")
        assert store.save_context(a_context()) == 4
        assert store.verify().is_sound
        run(database, "DELETE FROM reviews")
        assert store.delete_context("w")


@pytest.mark.promise("CO10", "BA01")
@pytest.mark.parametrize("action", REFUSING)
def test_a_refused_deletion_takes_no_neighbour_with_it(tmp_path, action):
    """Writers that share its transaction are committed without it, also where COMMIT itself was refused."""
    shared = Store(tmp_path / "engine.db")
    shared.store.save_context(a_context("w"))
    refer(shared.store.describe().location, action, "w")
    ended = shared.together(shared.saving("a"), lambda: shared.store.delete_context("w"), shared.saving("b"))
    assert [ended[0], ended[2]] == [1, 1]
    assert isinstance(ended[1], ContextReferencedError)
    assert shared.store.context_exists("w")
    shared.store.close()


@pytest.mark.promise("ER01")
@pytest.mark.parametrize("action", REFUSING)
def test_a_reference_to_a_version_keeps_it_from_being_pruned(database, action):
    """RESTRICT refuses; what nothing refers to still goes."""
    run(
        database,
        f"CREATE TABLE pins (version_id INTEGER REFERENCES workflow_context_versions(id) ON DELETE {action})",
        "INSERT INTO pins SELECT id FROM workflow_context_versions WHERE workflow_id = 'w' AND version = 1",
    )
    with ContextPersistence(db_path=database) as store:
        store.save_context(a_context("free"))
        with pytest.raises(ContextReferencedError, match="'pins'") as caught:
            store.prune(keep_last=1)
        assert caught.value.workflow_id == "w"
        with pytest.raises(ContextReferencedError, match="'pins'"):
            store.delete_context("w")
        assert [header.version for header in store.history("w")] == [1, 2, 3]
        assert store.delete_context("free")


def test_a_reference_to_a_pruned_version_is_set_to_null(database):
    """The user's row says by itself that the version is gone."""
    run(
        database,
        "CREATE TABLE pins (version_id INTEGER REFERENCES workflow_context_versions ON DELETE SET NULL)",
        "INSERT INTO pins SELECT id FROM workflow_context_versions WHERE workflow_id = 'w'",
    )
    with ContextPersistence(db_path=database) as store:
        assert store.prune(keep_last=1).count == 2
    assert run(database, "SELECT count(*), count(version_id) FROM pins") == [(3, 1)]


@pytest.mark.parametrize(
    "definition",
    [
        "workflow TEXT REFERENCES workflow_context(workflow_id)",
        "workflow TEXT REFERENCES workflow_context(id)",
        "workflow TEXT REFERENCES workflow_context(feature)",
        "workflow TEXT REFERENCES workflow_context(feature) DEFERRABLE INITIALLY DEFERRED",
        "workflow TEXT REFERENCES workflow_context_versions(workflow_id) DEFERRABLE INITIALLY DEFERRED",
        "workflow TEXT REFERENCES nowhere(workflow_id)",
        "workflow TEXT REFERENCES workflow_context(workflow_id) ON UPDATE RESTRICT",
    ],
)
@pytest.mark.parametrize("is_open", [False, True])
def test_a_reference_that_leads_nowhere_is_in_no_saves_way(database, definition, is_open):
    """Rows without a workflow, and references that SQLite cannot enforce, are their owner's."""
    statements = f"CREATE TABLE notes ({definition})", "INSERT INTO notes VALUES ('missing'), ('w'), ('checkout')"
    if not is_open:
        run(database, *statements)
    with ContextPersistence(db_path=database) as store:
        assert store.save_context(a_context()) == 4
        if is_open:
            run(database, *statements)
        assert store.save_context(a_context().copy_with(feature="other")) == 5
        assert store.save_context(a_context("new").copy_with(epic_num=7)) == 1
        assert store.save_context(a_context("missing")) == 1
        assert store.prune(keep_last=4).count == 1
    assert run(database, "SELECT count(*) FROM notes") == [(3,)]


def test_a_reference_that_cannot_be_enforced_is_named_by_a_deletion(database):
    """SQLite refuses every deletion then; the error names the table."""
    refer(database, "CASCADE", "w", column="id")
    with ContextPersistence(db_path=database) as store, pytest.raises(ContextReferencedError, match="'reviews'"):
        store.delete_context("w")


def test_a_new_head_fires_no_action_of_the_user(database):
    """A save changes no key that a reference may lead to."""
    run(
        database,
        "CREATE TABLE notes (w TEXT REFERENCES workflow_context(workflow_id) ON UPDATE SET NULL ON DELETE SET NULL)",
        "INSERT INTO notes VALUES ('w')",
    )
    with ContextPersistence(db_path=database) as store:
        store.save_context(a_context().copy_with(feature="other", status="failed"))
        store.rollback("w", 1)
    assert run(database, "SELECT * FROM notes") == [("w",)]


ORIGINAL_KEYS = ["workflow_id", "id"]


@pytest.mark.promise("MI01")
@pytest.mark.parametrize("column", ORIGINAL_KEYS)
@pytest.mark.parametrize("action", ACTIONS)
def test_adoption_keeps_the_rows_that_refer_to_the_original_table(original, action, column):
    """DROP TABLE with foreign keys on would delete them; row ids stay what they were."""
    original.add("a")
    original.add("gone")
    original.add("w", version=3)
    original.run("DELETE FROM workflow_context WHERE workflow_id = 'gone'")
    refer(original.path, action, "w" if column == "workflow_id" else "3", column=column)
    with ContextPersistence(db_path=original.path) as store:
        assert store.save_context(a_context()) == 4
    assert run(original.path, "SELECT * FROM reviews") == [(1, "w" if column == "workflow_id" else "3")]
    assert run(original.path, "SELECT rowid, workflow_id FROM workflow_context") == [(1, "a"), (3, "w")]
    if column == "workflow_id":
        assert run(original.path, "PRAGMA foreign_key_check") == []


@pytest.mark.promise("MI01")
def test_adoption_keeps_what_the_user_attached_to_the_table(original, caplog):
    """Indexes, triggers and views stay where they fit the new columns; what does not is named by a warning."""
    original.add("w")
    kept = (
        "CREATE INDEX my_index ON workflow_context(feature, status)",
        "CREATE TRIGGER my_trigger AFTER UPDATE ON workflow_context BEGIN INSERT INTO log VALUES (NEW.status); END",
        "CREATE VIEW my_view AS SELECT workflow_id FROM workflow_context",
    )
    original.run(
        "CREATE TABLE log (x)",
        *kept,
        "CREATE INDEX unfit_index ON workflow_context(context_data)",
        "CREATE TRIGGER unfit_trigger AFTER UPDATE ON workflow_context BEGIN INSERT INTO log VALUES (NEW.id); END",
        "CREATE VIEW unfit_view AS SELECT context_data FROM workflow_context",
    )
    with caplog.at_level(logging.WARNING, "context_core_sqlite"), ContextPersistence(db_path=original.path) as store:
        assert store.save_context(a_context()) == 2
    names = {row[0] for row in original.run("SELECT sql FROM sqlite_schema")}
    assert names.issuperset(kept)
    assert original.run("SELECT * FROM log") == [("running",)]
    warned = [record.getMessage() for record in caplog.records]
    assert ["unfit_index" in warned[0], "unfit_trigger" in warned[1], len(warned)] == [True, True, 2]


def older_database(path, version):
    """A database of an older schema version with one workflow, as far as a migration is concerned."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(_schema._CREATE_SCHEMA_TABLE)
        for step in _schema.migrations()[:version]:
            for statement in step.statements:
                connection.execute(statement)
            connection.execute("INSERT INTO context_core_schema VALUES (?, ?, '')", (step.number, step.name))
        connection.execute(
            "INSERT INTO workflow_context VALUES ('w', 1, 1, 2, 'f', 'w', 'p', 'running', ?, ?, ?, '[]', NULL, '{}')",
            ("2024-05-01T10:00:00.000000+00:00",) * 3,
        )


REBUILD_IN_PLACE = (
    "CREATE TABLE new_workflow_context (workflow_id TEXT NOT NULL PRIMARY KEY, status TEXT)",
    "INSERT INTO new_workflow_context (rowid, workflow_id, status) SELECT rowid, workflow_id, status FROM workflow_context",
    "DROP TABLE workflow_context",
    "ALTER TABLE new_workflow_context RENAME TO workflow_context",
)


@pytest.mark.promise("MI01")
@pytest.mark.parametrize("version", range(1, len(_schema.migrations())))
@pytest.mark.parametrize("action", ACTIONS)
def test_every_migration_keeps_the_rows_that_refer_to_ours(tmp_path, version, action):
    """From each older schema version, with foreign keys on before."""
    path = tmp_path / "engine.db"
    older_database(path, version)
    refer(path, action, "w", "dangling")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        _schema.migrate(connection, str(path), utc_now)
        assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)
    assert run(path, "SELECT workflow FROM reviews") == [("w",), ("dangling",)]


def migrate_further(path, monkeypatch, *statements):
    known = _schema.migrations()
    step = _schema.Migration(known[-1].number + 1, "9999_further", statements)
    monkeypatch.setattr(_schema, "migrations", lambda: (*known, step))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        _schema.migrate(connection, str(path), utc_now)


@pytest.mark.promise("MI03")
@pytest.mark.parametrize("action", ACTIONS)
def test_a_migration_that_rebuilds_a_table_keeps_what_is_the_users(database, monkeypatch, action):
    """The rows that refer to it, its row ids, and the triggers and indexes that are not ours."""
    refer(database, action, "w")
    mine = "CREATE TRIGGER my_trigger AFTER DELETE ON workflow_context BEGIN SELECT 1; END"
    run(database, mine, "CREATE INDEX my_index ON workflow_context(status)", "DELETE FROM reviews WHERE id = 9")
    rows = run(database, "SELECT rowid, workflow_id FROM workflow_context")
    migrate_further(database, monkeypatch, *REBUILD_IN_PLACE)
    assert run(database, "SELECT workflow FROM reviews") == [("w",)]
    assert run(database, "SELECT rowid, workflow_id FROM workflow_context") == rows
    names = {row[0] for row in run(database, "SELECT name FROM sqlite_schema")}
    assert {"my_trigger", "my_index"} <= names


@pytest.mark.promise("MI03")
def test_a_migration_that_would_break_a_reference_is_rolled_back(database, monkeypatch):
    """Only what was sound before counts."""
    refer(database, "CASCADE", "w", "dangling")
    with pytest.raises(StorageError, match="reviews"):
        migrate_further(database, monkeypatch, "DELETE FROM workflow_context WHERE workflow_id = 'w'")
    assert run(database, "SELECT count(*) FROM workflow_context") == [(2,)]
