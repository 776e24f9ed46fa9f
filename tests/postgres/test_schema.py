"""Whose tables they are, who may touch them, and how they come to be."""

import contextlib

import psycopg
import pytest
from postgres_server import Server

from context_core import (
    BackendUnavailableError,
    ContextPersistence,
    ForeignDatabaseError,
    NewerDatabaseError,
    StorageError,
)
from context_core.records import LoadRequest
from context_core_conformance.samples import a_context
from context_core_postgres import _schema

INVENTORY = """
    SELECT relname::text, relkind::text, reltuples FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = %s ORDER BY 1"""
RIGHTS = """
    GRANT USAGE ON SCHEMA contexts TO engine;
    GRANT SELECT ON contexts.context_core_schema TO engine;
    GRANT SELECT, INSERT, UPDATE, DELETE ON contexts.workflow_context TO engine;
    GRANT SELECT, INSERT, DELETE, UPDATE (base_version, document) ON contexts.workflow_context_versions TO engine;
    GRANT SELECT, INSERT, UPDATE ON contexts.workflow_context_tombstones TO engine;
"""


def test_several_installations_share_a_database(postgres_server, schema, url):
    """Each in a schema of its own, which may have any name; neither sees the other."""
    other_name = f'{schema} % "Ö" our.'
    try:
        with ContextPersistence(url) as one, ContextPersistence(postgres_server.url(other_name)) as other:
            one.save_context(a_context("w", epic_num=1))
            other.save_context(a_context("w", epic_num=2))
            assert (one.load_context("w").epic_num, other.load_context("w").epic_num) == (1, 2)
            assert other.search_contexts({"decisions.x": None})[0].epic_num == 2
    finally:
        postgres_server.sql(f'DROP SCHEMA IF EXISTS "{other_name.replace(chr(34), chr(34) * 2)}" CASCADE')


def test_without_a_schema_the_search_path_leads(postgres_server, schema):
    """The tables are where tables without a schema's name are."""
    postgres_server.sql(f'CREATE SCHEMA "{schema}"')
    url = postgres_server.url(schema, options=f"-c search_path={schema}").replace(f"schema={schema}&", "")
    with ContextPersistence(url) as store:
        store.save_context(a_context("w"))
        assert store.load_context("w").version == 1
    assert postgres_server.sql(f'SELECT count(*) FROM "{schema}".workflow_context') == [(1,)]


@pytest.mark.parametrize(
    "statement",
    [
        'CREATE TABLE "{}".workflow_context (id integer)',
        'CREATE VIEW "{}".workflow_context_versions AS SELECT 1',
        'CREATE TABLE "{}".context_core_schema (version integer)',
        'CREATE TABLE "{0}".theirs (id integer); CREATE INDEX workflow_context_by_status ON "{0}".theirs (id)',
    ],
)
def test_tables_of_others_are_left_alone(postgres_server, schema, url, statement):
    """A schema with something of our names in it is refused, and not touched."""
    postgres_server.sql(f'CREATE SCHEMA "{schema}"; {statement.format(schema)}')
    before = postgres_server.sql(INVENTORY, schema)
    with pytest.raises(ForeignDatabaseError, match="use another schema"):
        ContextPersistence(url)
    assert postgres_server.sql(INVENTORY, schema) == before


def test_tables_of_others_with_other_names_are_no_hindrance(postgres_server, schema, url):
    """The schema may be an application's own."""
    postgres_server.sql(f'CREATE SCHEMA "{schema}"; CREATE TABLE "{schema}".orders (id integer)')
    with ContextPersistence(url) as store:
        assert store.save_context(a_context()) == 1


def test_newer_database_is_refused(postgres_server, schema, url):
    """By a driver that does not know its schema, for reading too; nothing is changed (MI04)."""
    ContextPersistence(url).close()
    table = f'"{schema}".context_core_schema'
    postgres_server.sql(f"INSERT INTO {table} VALUES (99, 'from the future', now())")
    before = postgres_server.sql(f"SELECT * FROM {table} ORDER BY 1"), postgres_server.sql(INVENTORY, schema)
    for address in (url, f"{url}&read_only=true"):
        with pytest.raises(NewerDatabaseError) as caught:
            ContextPersistence(address)
        assert (caught.value.found, caught.value.known) == (99, 1)
    assert before == (postgres_server.sql(f"SELECT * FROM {table} ORDER BY 1"), postgres_server.sql(INVENTORY, schema))


def test_failing_step_leaves_nothing(postgres_server, schema, url, monkeypatch):
    """A step is one transaction, and runs again (MI03)."""
    (step,) = _schema.migrations()
    broken = _schema.Migration(step.number, step.name, f"{step.script};\nSELECT 1 / 0")
    with monkeypatch.context() as patch:
        patch.setattr(_schema, "migrations", lambda: (broken,))
        patch.setattr("context_core_postgres._errors.OTHERS_WERE_FASTER", frozenset())
        patch.setattr("context_core_postgres._connection.OTHERS_WERE_FASTER", frozenset())
        with pytest.raises(StorageError):
            ContextPersistence(url)
    assert postgres_server.sql(INVENTORY, schema) == []
    with ContextPersistence(url) as store:
        assert store.save_context(a_context()) == 1


def test_reading_makes_no_tables(postgres_server, schema, url):
    """Where there are none, read_only says what to do."""
    with pytest.raises(BackendUnavailableError, match="missing: open it once for writing"):
        ContextPersistence(f"{url}&read_only=true")
    assert postgres_server.sql("SELECT count(*) FROM pg_namespace WHERE nspname = %s", schema) == [(0,)]


@pytest.fixture(scope="module")
def shared():
    """A server with a role that owns the tables, and one that only runs the engine."""
    with Server.create() as server:
        server.sql("CREATE ROLE owner LOGIN; CREATE ROLE engine LOGIN; CREATE SCHEMA contexts AUTHORIZATION owner")
        server.sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC; REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC")
        ContextPersistence(server.url(user="owner")).close()
        server.sql(RIGHTS)
        yield server


def test_engine_needs_no_right_to_change_tables(shared):
    """Once the owner has migrated, the least rights of the docs run every verb; a version cannot be changed by them."""
    with ContextPersistence(shared.url(user="engine")) as store:
        for _ in range(3):
            store.save_context(a_context("w"), idempotency_key=None)
        store.save_context(a_context("new"), expected_version=0, idempotency_key="k")
        store.save_contexts([a_context("w"), a_context("x")])
        assert store.load_context("w", version=2).version == 2
        assert len(store.search_contexts({"decisions.x": None})) == 3
        assert store.delete_context("x") is True
        assert store.save_context(a_context("x")) == 2
        assert store.prune(keep_last=2).count == 2
        assert store.prune(keep_last=1).count == 1
        store.migrate()
        assert store.verify().is_sound
        with contextlib.closing(store._backend.snapshot()) as snapshot:
            assert len(snapshot.load(LoadRequest(workflow_ids=["w", "x"]))) == 2
    change = "SET ROLE engine; UPDATE contexts.workflow_context_versions SET version = 7"
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        shared.sql(change)


def test_missing_right_is_named(shared):
    """To migrate, and to write; what to do is said."""
    shared.sql("CREATE ROLE stranger LOGIN")
    with pytest.raises(StorageError, match="may not do that: open the store once with a role"):
        ContextPersistence(shared.url("somewhere", user="stranger"))
    shared.sql("GRANT USAGE ON SCHEMA contexts TO stranger")
    shared.sql("GRANT SELECT ON ALL TABLES IN SCHEMA contexts TO stranger")
    with ContextPersistence(shared.url(user="stranger")) as store:
        assert isinstance(store.search_contexts(), list)
        with pytest.raises(StorageError, match="no right"):
            store.save_context(a_context())


def test_database_that_cannot_hold_every_text_is_refused(postgres_server):
    """Another encoding than UTF8 is found out at once, not at the first emoji."""
    postgres_server.sql("CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    try:
        with pytest.raises(StorageError, match="LATIN1"):
            ContextPersistence(postgres_server.url(database="latin"))
    finally:
        postgres_server.sql("DROP DATABASE latin WITH (FORCE)")


def test_dropped_tables_are_missed(postgres_server, schema, url):
    """A store whose tables went says so, and what to do."""
    with ContextPersistence(url) as store:
        store.save_context(a_context())
        postgres_server.sql(f'DROP SCHEMA "{schema}" CASCADE')
        with pytest.raises(StorageError, match="open a new store"):
            store.save_context(a_context())
        with pytest.raises(StorageError, match="open a new store"):
            store.load_context("order-7")
