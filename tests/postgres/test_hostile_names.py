"""The name of a schema is an identifier, whatever it holds: nothing of it is ever run."""

import psycopg
import pytest
from postgres_server import store_url
from psycopg.sql import SQL, Identifier

from context_core import ConfigurationError, ContextPersistence
from context_core_conformance.samples import a_context
from context_core_postgres import PostgresBackend, _schema
from context_core_postgres._session import Qualifier

CANARY = "DROP TABLE public.canary"

HOSTILE = [
    f"a\n; {CANARY}; --",
    f'"; {CANARY}; --',
    f"'; {CANARY}; --",
    f"a\r{CANARY};",
    f"$$; {CANARY}; $$",
    f"$function$; {CANARY};",
    f"*/ {CANARY}; /*",
    "/* comment",
    "-- comment",
    "back\\slash",
    "100%",
    "%s %(x)s %%",
    "{0} {schema}",
    "our.",
    'quote"',
    "apostrophe'",
    "Upper CASE",
    "with.dot",
    "\t tab ",
    "ünïcode ☃ 蛇",
    "e\u0301 apart",
    "\u202eright to left",
    "\U0001f40d",
    "select",
    "x" * 63,
    "é" * 31,
    ":name ?",
]


@pytest.fixture
def canary(postgres_server):
    """A table that a name which is run would drop."""
    postgres_server.sql("CREATE TABLE IF NOT EXISTS public.canary ()")
    yield
    postgres_server.sql("DROP TABLE public.canary")  # fails where it is gone


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.usefixtures("canary")
def test_name_of_a_schema_is_never_run(postgres_server, name):
    """Every verb works in a schema of that name, and nothing of ours lies anywhere else."""
    before = relations(postgres_server)
    try:
        with ContextPersistence(store_url(postgres_server.url("x").partition("&schema=")[0], name)) as store:
            for number in (1, 2, 3):
                store.save_context(a_context("w", metadata={"number": number}))
            store.save_contexts([a_context("v"), a_context("w")])
            assert store.load_context("w", version=2).metadata == {"number": 2}
            assert len(store.history("w")) == 4
            assert len(store.search_contexts({"metadata.number": None})) == 2
            store.rollback("w", 1)
            assert store.verify().is_sound
            store.prune(keep_last=1)
            store.migrate()
            assert store.delete_context("v")
        with ContextPersistence(store_url(postgres_server.url("x").partition("&schema=")[0], name)) as store:
            assert store.load_context("w").version == 5
        made = set(relations(postgres_server)) - set(before)
        assert {schema for schema, _ in made} == {name}
    finally:
        with psycopg.connect(f"host={postgres_server.folder} user=postgres", autocommit=True) as connection:
            connection.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(name)))


def relations(server):
    """Every table, index and view of the database, with its schema."""
    return server.sql(
        "SELECT nspname, relname FROM pg_class JOIN pg_namespace AS place ON place.oid = relnamespace "
        "WHERE nspname NOT IN ('pg_toast', 'pg_catalog')"
    )


@pytest.mark.parametrize("name", ["", "nul\0", "x" * 64, "é" * 32, "☃" * 22, "lone \udcff"])
def test_name_that_the_server_would_change_is_refused(name):
    """It cuts a name of more than 63 bytes short without an error; two installations would then share a schema."""
    with pytest.raises(ConfigurationError, match="schema must be a name"):
        PostgresBackend(None, schema=name)  # type: ignore[arg-type]  # nothing is opened


def test_name_stands_only_where_an_identifier_is_read():
    """Not in the comments of a migration, its literals, or the bodies of its functions."""
    marked = "\n$function$ '; -- \""
    quoted = '"' + marked.replace('"', '""') + '".'
    for step in _schema.migrations():
        script = Qualifier(marked).script(step.script).decode()
        plain = script.replace(quoted, "our.")
        assert plain == step.script
        for line in script.replace(quoted, "<name>").splitlines():
            assert "<name>" not in line.partition("--")[2]
