"""Tables, indexes and triggers that somebody dropped, changed or put in place of ours."""

import logging
import sqlite3
from contextlib import closing

import pytest

from context_core import ContextPersistence, ForeignDatabaseError, WorkflowContext
from context_core_sqlite import _objects, _schema

OURS = _schema.expected(_schema.newest())
TABLES = sorted(OURS.tables)
OBJECTS = sorted(key for key, item in OURS.objects.items() if item.kind != "table")
OLDER = [
    (version, key)
    for version in range(1, _schema.newest())
    for key, item in _schema.expected(version).objects.items()
    if item.kind != "table"
]


def a_context(workflow_id="w"):
    return WorkflowContext(workflow_id, 1, 2, "checkout", "deliver")


def run(path, *statements):
    with closing(sqlite3.connect(path)) as connection, connection:
        return [connection.execute(statement).fetchall() for statement in statements][-1]


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "engine.db"
    with ContextPersistence(db_path=path) as store:
        for number in range(3):
            store.save_context(a_context(), idempotency_key=f"k{number}")
    return path


def drop(path, name):
    kind = OURS.objects[name].kind
    run(path, f"DROP {kind.upper()} {name}")


def in_place(kind, table):
    copy = f"CREATE TABLE aside AS SELECT * FROM {table}", f"DROP TABLE {table}"
    columns = ", ".join(sorted(OURS.tables[table].columns))
    return {
        "view": (*copy, f"CREATE VIEW {table} AS SELECT * FROM aside"),
        "virtual table": (*copy, f"CREATE VIRTUAL TABLE {table} USING fts5({columns.replace('version', 'version_')})"),
        "WITHOUT ROWID": (*copy, f"CREATE TABLE {table} ({columns}, k PRIMARY KEY) WITHOUT ROWID"),
        "without the column": (*copy, f"CREATE TABLE {table} (x TEXT PRIMARY KEY)"),
        "is not unique": (*copy, f"CREATE TABLE {table} ({columns})"),
    }[kind]


@pytest.mark.parametrize("option", ["", "?read_only=true"])
@pytest.mark.parametrize("table", [table for table in TABLES if table != "context_core_schema"])
@pytest.mark.parametrize("kind", ["view", "virtual table", "WITHOUT ROWID", "without the column", "is not unique"])
def test_something_else_in_place_of_a_table_is_refused(database, kind, table, option):
    """A store on it would read or write what it cannot; nothing is changed."""
    run(database, *in_place(kind, table))
    before = database.read_bytes()
    with pytest.raises(ForeignDatabaseError, match=f"{table} is a .*{kind}"):
        ContextPersistence(f"sqlite:///{database}{option}")
    assert database.read_bytes() == before


@pytest.mark.parametrize("kind", ["view", "virtual table", "WITHOUT ROWID"])
def test_something_else_in_place_of_the_table_of_steps_is_refused(database, kind):
    """The schema version is not read from what somebody else made."""
    run(database, *in_place(kind, "context_core_schema"))
    with pytest.raises(ForeignDatabaseError):
        ContextPersistence(db_path=database)


def test_a_column_that_the_user_added_is_accepted(database):
    """It is in nobody's way."""
    run(database, "ALTER TABLE workflow_context ADD COLUMN my_note TEXT")
    with ContextPersistence(db_path=database) as store:
        assert store.save_context(a_context()) == 4


@pytest.mark.promise("CR07")
@pytest.mark.parametrize("name", OBJECTS)
@pytest.mark.parametrize("fate", ["is missing", "was changed"])
def test_a_dropped_or_changed_object_is_told_named_and_restored(database, caplog, name, fate):
    """The store opens with a warning, `verify` names the object, and `repair` makes it anew."""
    schema = run(database, "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name")
    drop(database, name)
    item = OURS.objects[name]
    if fate == "was changed" and item.kind == "trigger":
        run(database, f"CREATE TRIGGER {name} BEFORE DELETE ON {item.table} WHEN 0 BEGIN SELECT 1; END")
    elif fate == "was changed":
        run(database, f"CREATE INDEX {name} ON {item.table} (version)")
    with caplog.at_level(logging.WARNING, "context_core_sqlite"), ContextPersistence(db_path=database) as store:
        assert [f"{name} on {item.table} {fate}" in record.getMessage() for record in caplog.records] == [True]
        assert store.save_context(a_context()) == 4
        assert [f"{name} on {item.table} {fate}" in damage.problem for damage in store.verify().damages] == [True]
        assert [step.action for step in store.repair(dry_run=True).steps] == [f"restore the {item.kind} {name}"]
        assert not store.verify().is_sound
        assert [step.action for step in store.repair().steps] == [f"restore the {item.kind} {name}"]
        assert store.verify().is_sound
        assert store.repair().steps == ()
    assert run(database, "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name") == schema


@pytest.mark.promise("CR07")
@pytest.mark.parametrize("table", [table for table in TABLES if table != "context_core_schema"])
def test_a_dropped_table_is_told_named_and_made_anew(database, caplog, table):
    """What it held is gone, or comes from the other tables; the indexes and triggers on it come back too."""
    run(database, f"DROP TABLE {table}")
    with caplog.at_level(logging.WARNING, "context_core_sqlite"), ContextPersistence(db_path=database) as store:
        assert f"the table {table} is missing" in caplog.records[0].getMessage()
        assert f"the table {table} is missing" in [damage.problem for damage in store.verify().damages]
        dry = [step.action for step in store.repair(dry_run=True).steps]
        assert dry[0] == f"restore the table {table}"
        store.repair()
        assert store.verify().is_sound
        assert store.save_context(a_context("new")) == 1
        assert store.context_exists("w")


@pytest.mark.promise("CR07")
def test_a_unique_index_that_the_rows_break_is_named(database):
    """`repair` says that it cannot be restored, and restores the rest."""
    for name in ("workflow_context_versions_by_key", "workflow_context_by_status"):
        drop(database, name)
    run(
        database,
        "DROP TRIGGER workflow_context_versions_no_update",
        "UPDATE workflow_context_versions SET idempotency_key = 'same'",
    )
    with ContextPersistence(db_path=database) as store:
        actions = [step.action for step in store.repair().steps]
        assert [action for action in actions if "cannot restore the index workflow_context_versions_by_key" in action]
        assert "restore the index workflow_context_by_status" in actions
        assert [damage.problem for damage in store.verify().damages] == [
            "the index workflow_context_versions_by_key on workflow_context_versions is missing"
        ]


@pytest.mark.promise("CR07")
def test_an_object_of_another_kind_keeps_its_name(database):
    """A table of the user that took the name of a dropped index is not dropped for it."""
    drop(database, "workflow_context_by_status")
    run(database, "CREATE TABLE workflow_context_by_status (x)", "INSERT INTO workflow_context_by_status VALUES (1)")
    with ContextPersistence(db_path=database) as store:
        (step,) = store.repair().steps
        assert "something else has its name" in step.action
    assert run(database, "SELECT * FROM workflow_context_by_status") == [(1,)]


@pytest.mark.promise("CR07")
@pytest.mark.parametrize("table", TABLES)
def test_a_trigger_of_someone_else_is_named_and_left(database, caplog, table):
    """`verify` names it, without a warning at each open; `repair` leaves it to its owner."""
    run(database, "CREATE TABLE log (x)", f"CREATE TRIGGER mine AFTER INSERT ON {table} BEGIN SELECT 1; END")
    with caplog.at_level(logging.WARNING, "context_core_sqlite"), ContextPersistence(db_path=database) as store:
        assert not caplog.records
        assert [damage.problem for damage in store.verify().damages] == [
            f"the trigger mine on {table} is not of context-core"
        ]
        assert store.repair().steps == ()
    assert run(database, "SELECT count(*) FROM sqlite_schema WHERE name = 'mine'") == [(1,)]


@pytest.mark.promise("MI01")
@pytest.mark.parametrize(("version", "name"), OLDER)
def test_an_older_database_that_lacks_an_object_is_migrated(tmp_path, version, name):
    """A step that replaces a trigger does not need it to be there."""
    path = tmp_path / "engine.db"
    statements = [s for step in _schema.migrations()[:version] for s in step.statements]
    kind = _schema.expected(version).objects[name].kind
    run(
        path,
        _schema._CREATE_SCHEMA_TABLE,
        *statements,
        *[f"INSERT INTO context_core_schema VALUES ({number + 1}, '', '')" for number in range(version)],
        f"DROP {kind} {name}",
    )
    with ContextPersistence(db_path=path) as store:
        assert store.save_context(a_context()) == 1


def test_spacing_and_comments_make_no_difference():
    """Only what a statement says counts."""
    assert _objects._normalized("CREATE INDEX a -- why\n  ON b (c,\n d);") == _objects._normalized(
        "CREATE INDEX a ON b(c, d);"
    )
