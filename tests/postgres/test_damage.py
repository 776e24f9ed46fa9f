"""What is done to the tables from outside: it is named, and hides nothing else."""

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from context_core import (
    ContextPersistence,
    CorruptDocumentError,
    DamagedHistoryError,
    ForeignDatabaseError,
    Save,
    VersionConflictError,
)
from context_core.records import QueryRequest, Want
from context_core_conformance.samples import a_context

TIMES = ["infinity", "-infinity", "0044-03-15 BC", "10000-01-01 00:00:00+00"]

each_time = pytest.mark.parametrize("value", TIMES)
each_column = pytest.mark.parametrize("column", ["created_at", "updated_at", "saved_at"])


@pytest.fixture
def store(url):
    """Three workflows; `order-7`, in the middle, has three versions."""
    with ContextPersistence(url) as opened:
        opened.save_contexts([a_context("a"), *(a_context("order-7", epic_num=n) for n in (1, 2, 3)), a_context("z")])
        opened.save_context(a_context("gone"))
        opened.delete_context("gone")
        yield opened


@pytest.fixture
def outside(postgres_server, schema):
    """Runs a statement on a table without the driver and its triggers."""

    def run(table, statement, *values):
        with psycopg.connect(f"host={postgres_server.folder} user=postgres") as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute(SQL(statement).format(Identifier(schema, table)), values)

    return run


def named(store):
    """What verify names."""
    return sorted({(damage.workflow_id, damage.version) for damage in store.verify().damages}, key=repr)


@pytest.mark.promise("CR06")
@each_time
@each_column
def test_head_whose_time_is_none_hides_no_other(store, outside, column, value):
    """Lists, searches and verify go on, and name it; the next save goes on too."""
    outside("workflow_context", f"UPDATE {{}} SET {column} = %s WHERE workflow_id = 'order-7'", value)
    assert named(store) == [("order-7", 3)]
    told: list[CorruptDocumentError] = []
    assert {header.workflow_id for header in store.list_headers(on_damaged=told.append)} == {"a", "z"}
    assert [error.workflow_id for error in told] == ["order-7"]
    with pytest.raises(CorruptDocumentError, match="'order-7'"):
        store.list_headers(damaged="raise")
    assert {header.workflow_id for header in store.list_headers(limit=2)} == {"a", "z"}
    assert len(store.search_contexts()) == 3
    assert len(store.search_contexts({"decisions.x": None}, damaged="skip")) >= 2
    assert store.load_context("order-7").epic_num == 3
    assert store.save_context(a_context("order-7")) == 4
    assert store.load_context("order-7").version == 4
    assert named(store) == ([] if column != "created_at" else [("order-7", 4)])


@pytest.mark.promise("CR06")
@each_time
@each_column
def test_version_whose_time_is_none_hides_no_other(store, outside, column, value):
    """The others are listed and loaded, and so is its own document; a prune takes it away."""
    outside(
        "workflow_context_versions",
        f"UPDATE {{}} SET {column} = %s WHERE workflow_id = 'order-7' AND version = 2",
        value,
    )
    assert named(store) == [("order-7", 2)]
    assert [header.version for header in store.history("order-7")] == [1, 3]
    assert [store.load_context("order-7", version=n).epic_num for n in (1, 2, 3)] == [1, 2, 3]
    assert store.save_context(a_context("order-7")) == 4
    assert store.prune(keep_last=1).count == 3
    assert named(store) == []


@pytest.mark.promise("CR06")
@each_time
def test_tombstone_whose_time_is_none_is_named(store, outside, value):
    """It keeps no other from being listed, and no save of its id from being made."""
    outside("workflow_context_tombstones", "UPDATE {} SET deleted_at = %s", value)
    assert named(store) == [("gone", None)]
    found = store._verbs.query(QueryRequest(want=Want.TOMBSTONES))
    assert (found.tombstones, [row.error.workflow_id for row in found.damaged]) == ((), ["gone"])
    assert store.save_context(a_context("gone")) == 2
    assert store.delete_context("gone") is True
    assert named(store) == []


@pytest.mark.promise("CR06")
def test_damaged_keyframe_hides_no_other_version(store, outside):
    """What leans on it is named; lists, searches, stories and saves go on."""
    for number in range(4, 20):
        store.save_context(a_context("order-7", epic_num=number))
    outside(
        "workflow_context_versions",
        "UPDATE {} SET document = substr(document, 2) WHERE workflow_id = 'order-7' AND version = 1",
    )
    assert ("order-7", 1) in named(store)
    assert {workflow_id for workflow_id, _ in named(store)} == {"order-7"}
    assert len(store.history("order-7")) == 19
    assert len(store.search_contexts()) == 3
    assert store.load_context("order-7").epic_num == 19
    assert store.save_context(a_context("order-7")) == 20
    assert len(store.get_context_versions(1, 2, damaged="skip")) >= 2


DAMAGES = {
    "no head": ("workflow_context", "DELETE FROM {} WHERE workflow_id = 'order-7'"),
    "no history": ("workflow_context_versions", "DELETE FROM {} WHERE workflow_id = 'order-7'"),
    "head behind": ("workflow_context", "UPDATE {} SET version = 2 WHERE workflow_id = 'order-7'"),
    "head ahead": ("workflow_context_versions", "DELETE FROM {} WHERE workflow_id = 'order-7' AND version = 3"),
}
VERBS = {
    "load": lambda store: store.load_context("order-7"),
    "load version": lambda store: store.load_context("order-7", version=2),
    "as of": lambda store: store.load_context("order-7", as_of=store.load_context("z").created_at),
    "load many": lambda store: store.load_contexts(["a", "order-7"]),
    "by version": lambda store: store.get_context_by_version("order-7", 1),
    "exists": lambda store: store.context_exists("order-7"),
    "history": lambda store: store.history("order-7"),
    "diff": lambda store: store.diff("order-7", 1, 2),
    "save": lambda store: store.save_context(a_context("order-7")),
    "conditional save": lambda store: store.save_context(a_context("order-7"), expected_version=3),
    "create": lambda store: store.save_context(a_context("order-7"), expected_version=0),
    "update": lambda store: store.update_context(a_context("order-7")),
    "batch": lambda store: store.batch([Save(a_context("new")), Save(a_context("order-7"))]),
    "rollback": lambda store: store.rollback("order-7", 1),
    "fork": lambda store: store.fork("order-7", "other"),
    "fork onto": lambda store: store.fork("a", "order-7"),
    "story": lambda store: store.get_context_versions(1, 2),
}

each_damage = pytest.mark.parametrize("damage", DAMAGES)


@pytest.mark.promise("CR07")
@pytest.mark.parametrize(
    ("damage", "verb"),
    [(damage, verb) for damage in DAMAGES for verb in VERBS if (damage, verb) != ("no history", "story")],
)
def test_every_verb_agrees_on_a_damaged_history(store, outside, damage, verb):
    """One typed error, which names the workflow and repair; nothing loops, and nothing is written."""
    outside(*DAMAGES[damage])
    with pytest.raises(DamagedHistoryError, match=r"'order-7'.*store\.repair\(\) mends it"):
        VERBS[verb](store)
    assert not store.context_exists("new")
    assert {context.workflow_id for context in store.search_contexts(damaged="skip")} == {"a", "z"}


@pytest.mark.promise("CR07")
@pytest.mark.parametrize("expected", [None, 0])
def test_save_does_not_begin_beside_what_is_left_of_a_pruned_history(store, outside, url, expected):
    """Its versions do not start at 1, so that the number 1 is free; the head is gone."""
    store.prune(keep_last=1)
    store.close()
    outside("workflow_context", "DELETE FROM {} WHERE workflow_id = 'order-7'")
    with ContextPersistence(url) as fresh, pytest.raises(DamagedHistoryError):
        fresh.save_context(a_context("order-7"), expected_version=expected)


@pytest.mark.promise("CR07", "DE01")
@each_damage
def test_delete_is_finished(store, outside, damage):
    """Nothing is left of the workflow but a tombstone, and numbers go on."""
    outside(*DAMAGES[damage])
    with pytest.raises(VersionConflictError):
        store.delete_context("order-7", expected_version=1)
    assert store.delete_context("order-7", expected_version=3) is True
    assert store.delete_context("order-7") is False
    assert named(store) == []
    assert store.save_context(a_context("order-7")) == 4


@pytest.mark.promise("CR07")
@each_damage
def test_repair_does_what_its_dry_run_names(store, outside, damage):
    """After it verify finds nothing, the workflow loads, and saves go on with the next number."""
    outside(*DAMAGES[damage])
    before = store.verify()
    assert before.damages
    steps = store.repair(dry_run=True).steps
    assert [(step.workflow_id, step.version) for step in steps] == [("order-7", 3)]
    assert store.verify() == before
    assert store.repair().steps == steps
    assert store.repair().steps == ()
    assert named(store) == []
    assert store.load_context("order-7").epic_num == 3
    assert store.save_context(a_context("order-7")) == 4


@pytest.mark.promise("CR07")
@pytest.mark.parametrize(
    "statement",
    [
        "DROP INDEX {}.workflow_context_by_feature",
        "DROP INDEX {}.workflow_context_versions_by_key",
        "ALTER TABLE {}.workflow_context DROP CONSTRAINT workflow_context_pkey",
        "ALTER TABLE {}.workflow_context_versions DROP CONSTRAINT workflow_context_versions_pkey",
        "ALTER TABLE {}.workflow_context_tombstones DROP CONSTRAINT workflow_context_tombstones_pkey",
        "DROP TRIGGER workflow_context_versions_no_change ON {}.workflow_context_versions",
        "ALTER TABLE {}.workflow_context_versions DISABLE TRIGGER workflow_context_versions_no_change",
    ],
)
def test_dropped_index_or_trigger_is_named_and_restored(  # noqa: PLR0917  # all but one are fixtures
    postgres_server, schema, store, url, caplog, statement
):
    """The store opens, with a warning; verify names it, and repair makes it anew."""
    postgres_server.sql(statement.format(f'"{schema}"'))
    (damage,) = store.verify().damages
    name = next(word for word in damage.problem.split() if word.startswith("workflow_context"))
    assert name in statement
    with ContextPersistence(url) as other:
        assert name in caplog.text
        assert other.load_context("a") is not None
    (step,) = store.repair(dry_run=True).steps
    assert name in step.action
    assert len(store.verify().damages) == 1
    assert store.repair().steps == (step,)
    assert store.repair().steps == ()
    assert named(store) == []
    with pytest.raises(psycopg.errors.IntegrityError):
        postgres_server.sql(f'DELETE FROM "{schema}".workflow_context_versions')


@pytest.mark.promise("CR07")
def test_unique_index_that_the_rows_break_is_told_at_once(postgres_server, schema, store, outside, url):
    """`repair` says that it cannot be restored, without trying until `busy_timeout`, and restores the rest."""
    postgres_server.sql(
        f'DROP INDEX "{schema}".workflow_context_versions_by_key, "{schema}".workflow_context_by_feature'
    )
    outside("workflow_context_versions", "UPDATE {} SET idempotency_key = 'same'")
    with ContextPersistence(f"{url}&busy_timeout=600") as patient:
        actions = sorted(step.action for step in patient.repair().steps)
    assert len(actions) == 2
    assert actions[0].startswith("cannot restore workflow_context_versions_by_key: rows are not unique")
    assert actions[1] == "restore workflow_context_by_feature"
    assert "workflow_context_versions_by_key is missing" in str(store.verify())


@pytest.mark.promise("CR07")
def test_trigger_of_others_is_named_and_left(postgres_server, schema, store):
    """`verify` names it with its table; `repair` does not touch it."""
    postgres_server.sql(
        f'CREATE TRIGGER theirs BEFORE UPDATE ON "{schema}".workflow_context '
        "FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"
    )
    (damage,) = store.verify().damages
    assert damage.problem == "the trigger theirs on workflow_context is not of context-core"
    assert store.repair().steps == ()
    assert store.verify().damages == (damage,)


@pytest.mark.parametrize("table", ["workflow_context", "workflow_context_versions", "workflow_context_tombstones"])
def test_view_in_place_of_a_table_is_refused(postgres_server, schema, store, url, table):
    """At open, before anything is read through it."""
    store.close()
    postgres_server.sql(f'ALTER TABLE "{schema}".{table} RENAME TO hidden')
    postgres_server.sql(f'CREATE VIEW "{schema}".{table} AS SELECT * FROM "{schema}".hidden')
    with pytest.raises(ForeignDatabaseError, match=table):
        ContextPersistence(url)
