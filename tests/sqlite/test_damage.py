"""What is done to the file from outside: it is named, hides nothing else, and is mended as far as it can be."""

import contextlib
import sqlite3
import zlib
from typing import Any

import pytest

from context_core import (
    Capability,
    ContextPersistence,
    CorruptDocumentError,
    DamagedHistoryError,
    Delete,
    Save,
    VersionConflictError,
    WorkflowContext,
)
from context_core.records import QueryRequest, Want

TEXT_COLUMNS = ("feature", "workflow_name", "current_phase", "status", "created_at", "updated_at", "saved_at", "tags")


def a_context(workflow_id: str = "order-7", **fields: Any) -> WorkflowContext:
    return WorkflowContext(
        workflow_id=workflow_id,
        epic_num=1,
        story_num=2,
        feature=fields.pop("feature", "f"),
        workflow_name="n",
        **fields,
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "engine.db"


@pytest.fixture
def store(path):
    """Three workflows; `order-7`, in the middle, has three versions."""
    with ContextPersistence(path) as opened:
        opened.save_contexts([a_context("a"), *(a_context(feature=f"f{n}") for n in (1, 2, 3)), a_context("z")])
        opened.save_context(a_context("gone"))
        opened.delete_context("gone")
        yield opened


def outside(path, *statements):
    """Run *statements* without the driver and its triggers."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
        for _, sql in triggers:
            connection.execute(sql)


def named(store):
    return sorted(
        {(damage.workflow_id, damage.version) for damage in store.verify().damages},
        key=lambda place: (place[0], place[1] or 0),
    )


# Rows that cannot be read


@pytest.mark.promise("CR06")
@pytest.mark.parametrize("column", TEXT_COLUMNS)
def test_a_byte_that_is_no_text_in_a_head_hides_no_other(path, store, column):
    """Lists, searches and verify go on; the row is named; the next save mends it."""
    outside(path, f"UPDATE workflow_context SET {column} = CAST(x'61ff62' AS TEXT) WHERE workflow_id = 'order-7'")
    assert named(store) == [("order-7", 3)]
    told: list[Any] = []
    assert {header.workflow_id for header in store.list_headers(on_damaged=told.append)} == {"a", "z"}
    assert [error.workflow_id for error in told] == ["order-7"]
    with pytest.raises(CorruptDocumentError, match="'order-7'"):
        store.list_headers(damaged="raise")
    assert {context.workflow_id for context in store.search_contexts()} == {"a", "order-7", "z"}
    assert {context.workflow_id for context in store.iter_contexts(page_size=1, damaged="skip")} == {"a", "z"}
    assert store.load_context("order-7").feature == "f3"
    assert store.save_context(a_context()) == 4
    store.repair()
    assert named(store) == ([] if column != "created_at" else [("order-7", 4)])


@pytest.mark.promise("CR06")
@pytest.mark.parametrize("column", [*TEXT_COLUMNS, "idempotency_key", "origin_workflow_id"])
def test_a_byte_that_is_no_text_in_a_version_hides_no_other(path, store, column):
    """The other versions are listed and loaded, the row is named."""
    outside(
        path,
        f"UPDATE workflow_context_versions SET {column} = CAST(x'61ff62' AS TEXT) "
        "WHERE workflow_id = 'order-7' AND version = 2",
    )
    assert named(store) == [("order-7", 2)]
    assert [header.version for header in store.history("order-7")] == [1, 3]
    assert [store.load_context("order-7", version=n).feature for n in (1, 2, 3)] == ["f1", "f2", "f3"]
    assert len(store.get_context_versions(1, 2)) == 5
    assert len(store.search_contexts()) == 3
    assert store.prune(keep_last=1).count == 2
    assert named(store) == []


@pytest.mark.promise("CR06")
@pytest.mark.parametrize("table", ["workflow_context", "workflow_context_versions", "workflow_context_tombstones"])
def test_an_id_that_is_no_text_hides_no_other(path, store, table):
    """It is named in a form that can be shown, and verify, lists and migrate go on."""
    chosen = "gone" if table.endswith("tombstones") else "z"
    outside(path, f"UPDATE {table} SET workflow_id = CAST(x'7aff' AS TEXT) WHERE workflow_id = '{chosen}'")
    assert any(damage.workflow_id == "z\\xff" for damage in store.verify().damages)
    assert {header.workflow_id for header in store.list_headers()} >= {"a", "order-7"}
    assert {context.workflow_id for context in store.search_contexts(damaged="skip")} >= {"a", "order-7"}
    store.prune(dry_run=True)
    store.migrate()
    store.repair()


@pytest.mark.promise("CR06")
@pytest.mark.parametrize("value", ["CAST(x'ff' AS TEXT)", "'yesterday'", "'2025-01-01'"])
def test_a_tombstone_whose_time_is_none_is_named(path, store, value):
    """And does not keep the others, or a save of the same id, from being."""
    outside(path, f"UPDATE workflow_context_tombstones SET deleted_at = {value}")
    assert named(store) == [("gone", None)]
    found = store._verbs.query(QueryRequest(want=Want.TOMBSTONES))
    assert (found.tombstones, [row.error.workflow_id for row in found.damaged]) == ((), ["gone"])
    assert store.save_context(a_context("gone")) == 2


@pytest.mark.promise("CR06")
def test_times_that_go_back_are_named(path, store):
    """A version that says it was saved before the one before it, or at no time."""
    outside(
        path, "UPDATE workflow_context_versions SET saved_at = '2001-01-01T00:00:00.000000+00:00' WHERE version = 2"
    )
    assert named(store) == [("order-7", 2)]


@pytest.mark.promise("CR06", "RE01")
def test_a_guard_that_was_left_behind_is_named_and_stops_no_prune(path, store):
    """Prune, delete and repair take it away."""
    outside(path, "INSERT INTO workflow_context_delete_guard VALUES ('order-7'), ('nobody')")
    assert named(store) == [("nobody", None), ("order-7", None)]
    assert store.prune().count == 2
    assert named(store) == [("nobody", None)]
    assert [step.workflow_id for step in store.repair().steps] == ["nobody"]
    assert named(store) == []


# Heads and histories that do not belong together

DAMAGES = {
    "no head": "DELETE FROM workflow_context WHERE workflow_id = 'order-7'",
    "no history": "DELETE FROM workflow_context_versions WHERE workflow_id = 'order-7'",
    "head behind": "UPDATE workflow_context SET version = 2 WHERE workflow_id = 'order-7'",
    "head ahead": "DELETE FROM workflow_context_versions WHERE workflow_id = 'order-7' AND version = 3",
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
    "save": lambda store: store.save_context(a_context()),
    "conditional save": lambda store: store.save_context(a_context(), expected_version=3),
    "create": lambda store: store.save_context(a_context(), expected_version=0),
    "update": lambda store: store.update_context(a_context()),
    "batch": lambda store: store.batch([Save(a_context("new")), Save(a_context())]),
    "rollback": lambda store: store.rollback("order-7", 1),
    "fork": lambda store: store.fork("order-7", "other"),
    "fork onto": lambda store: store.fork("a", "order-7"),
    "story": lambda store: store.get_context_versions(1, 2),
}

each_damage = pytest.mark.parametrize("damage", DAMAGES)


@pytest.mark.promise("CR07")
@pytest.mark.parametrize(
    ("damage", "verb"),
    # A story is told by its versions.
    [(damage, verb) for damage in DAMAGES for verb in VERBS if (damage, verb) != ("no history", "story")],
)
def test_every_verb_agrees_on_a_damaged_history(path, store, damage, verb):
    """One typed error, which names the workflow and repair; nothing loops, and nothing is written."""
    outside(path, DAMAGES[damage])
    with pytest.raises(DamagedHistoryError, match=r"'order-7'.*store\.repair\(\) mends it") as caught:
        VERBS[verb](store)
    assert caught.value.workflow_id == "order-7"
    assert not store.context_exists("new")
    assert len(store.load_contexts(["a", "order-7", "z"], damaged="skip")) == 2
    assert {context.workflow_id for context in store.search_contexts(damaged="skip")} == {"a", "z"}


@pytest.mark.promise("CR07")
@pytest.mark.parametrize("damage", [damage for damage in DAMAGES if damage != "no head"])
def test_lists_tell_of_a_damaged_history(path, store, damage):
    """They raise it or leave it out, as they are told."""
    outside(path, DAMAGES[damage])
    for verb in (store.search_contexts, store.search_page, lambda: list(store.iter_contexts(page_size=1))):
        with pytest.raises(DamagedHistoryError):
            verb()
    with pytest.raises(DamagedHistoryError):
        store.list_headers(damaged="raise")
    assert {header.workflow_id for header in store.list_headers()} == {"a", "z"}


@pytest.mark.promise("CR07", "DE01")
@each_damage
def test_a_delete_is_finished(path, store, damage):
    """Nothing is left of the workflow but a tombstone, and numbers go on."""
    outside(path, DAMAGES[damage])
    with pytest.raises(VersionConflictError):
        store.delete_context("order-7", expected_version=1)
    assert store.delete_context("order-7", expected_version=3) is True
    assert store.delete_context("order-7") is False
    assert named(store) == []
    assert store.history("order-7") == []
    assert store.batch([Save(a_context()), Delete("order-7")]) == [4, True]


@pytest.mark.promise("CR07")
@each_damage
def test_repair_does_what_its_dry_run_names(path, store, damage):
    """After it verify finds nothing, the workflow loads, and saves go on with the next number."""
    outside(path, DAMAGES[damage])
    before = store.verify()
    assert before.damages
    steps = store.repair(dry_run=True).steps
    assert [(step.workflow_id, step.version) for step in steps] == [("order-7", 3)]
    assert store.verify() == before
    assert store.repair().steps == steps
    assert store.repair().steps == ()
    assert named(store) == []
    assert store.load_context("order-7").feature == "f3"
    assert store.save_context(a_context()) == 4
    assert Capability.REPAIR in store.describe().capabilities


@pytest.mark.promise("CR07")
def test_repair_mends_a_head_that_says_something_else(path, store):
    """The version counts: it is guarded, a head is not."""
    outside(path, "UPDATE workflow_context SET status = 'failed', document = '{}' WHERE workflow_id = 'order-7'")
    assert named(store) == [("order-7", 3)]
    store.repair()
    assert named(store) == []
    assert store.load_context("order-7").status == "running"


@pytest.mark.promise("CR07")
def test_a_missing_base_is_named_and_the_newest_version_is_saved(path, store):
    """Each version that leans on it is named; the newest is packed anew from the current state."""
    outside(path, "DELETE FROM workflow_context_versions WHERE workflow_id = 'order-7' AND version = 1")
    leaning = [version for workflow_id, version in named(store) if workflow_id == "order-7"]
    assert leaning == [2, 3]
    with pytest.raises(CorruptDocumentError, match="version 1, which is missing"):
        store.load_context("order-7", version=2)
    assert store.load_context("order-7").feature == "f3"
    assert [step.version for step in store.repair().steps] == [3]
    assert named(store) == [("order-7", 2)]
    assert store.load_context("order-7", version=3).feature == "f3"
    assert len(store.search_contexts()) == 3


@pytest.mark.promise("CR06")
def test_a_damaged_keyframe_names_what_leans_on_it_and_blocks_nothing_else(path, store):
    """Lists, searches, histories and stories go on; the next save does too."""
    for number in range(4, 30):
        store.save_context(a_context(feature=f"f{number}"))
    outside(
        path,
        "UPDATE workflow_context_versions SET document = substr(document, 2) WHERE workflow_id = 'order-7' AND version = 1",
    )
    assert named(store) == [("order-7", version) for version in range(1, 30)]
    assert len(store.search_contexts()) == 3
    assert len(store.history("order-7")) == 29
    assert len(store.get_context_versions(1, 2, damaged="skip")) == 2
    assert store.load_context("order-7").feature == "f29"
    assert store.save_context(a_context()) == 30


@pytest.mark.promise("CR06")
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("status", "failed"),
        ("feature", "another"),
        ("workflow_name", "another"),
        ("current_phase", "another"),
        ("epic_num", 7),
        ("story_num", None),
        ("created_at", "2001-01-01T00:00:00.000000+00:00"),
        ("updated_at", "2001-01-01T00:00:00.000000+00:00"),
        ("tags", '["another"]'),
    ],
)
def test_a_column_of_an_old_version_that_differs_from_its_document_is_named(path, store, column, value):
    """Once, with the name of the column; the values are in no report."""
    outside(
        path,
        f"UPDATE workflow_context_versions SET {column} = {'NULL' if value is None else repr(value)} "
        "WHERE workflow_id = 'order-7' AND version = 2",
    )
    (damage,) = store.verify().damages
    assert (damage.workflow_id, damage.version) == ("order-7", 2)
    assert column in damage.problem
    assert "another" not in damage.problem


@pytest.mark.promise("CR06")
def test_every_damage_is_named_not_the_first_of_them(path, store):
    """Of several kinds in several rows each stands in the report."""
    outside(
        path,
        "UPDATE workflow_context_versions SET status = 'failed' WHERE workflow_id = 'order-7' AND version = 1",
        "UPDATE workflow_context_versions SET document = x'78' WHERE workflow_id = 'order-7' AND version = 2",
        "UPDATE workflow_context SET feature = CAST(x'ff' AS TEXT) WHERE workflow_id = 'a'",
        "UPDATE workflow_context_tombstones SET deleted_at = 'never'",
        "INSERT INTO workflow_context_delete_guard VALUES ('guarded')",
        "DELETE FROM workflow_context WHERE workflow_id = 'z'",
    )
    assert named(store) == [("a", 1), ("gone", None), ("guarded", None), ("order-7", 1), ("order-7", 2), ("z", None)]


@pytest.mark.promise("CR06")
def test_a_row_that_unpacks_to_gigabytes_is_named(path, store):
    """It is a damaged row as any other; nothing else is hidden."""
    bomb = zlib.compress(bytes(70 * 2**20), 9)
    outside(
        path,
        f"UPDATE workflow_context_versions SET document = x'{bomb.hex()}' WHERE workflow_id = 'order-7' AND version = 1",
    )
    assert ("order-7", 1) in named(store)
    with pytest.raises(CorruptDocumentError, match="unpacks to more than"):
        store.load_context("order-7", version=1)
    assert len(store.search_contexts()) == 3
