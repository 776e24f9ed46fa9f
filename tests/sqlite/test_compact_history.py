"""Versions in the file are packed, and nobody who reads through the driver can tell."""

import contextlib
import random
import sqlite3

import pytest
from compact_histories import Reversing, a_context, fill, steps_of

from context_core import ContextPersistence, CorruptDocumentError
from context_core.history_codec import BLOCK, base_of
from context_core_sqlite._history import BASE_SAVED_AT

LENGTH = 2 * BLOCK + 9


@pytest.fixture
def path(tmp_path):
    return tmp_path / "engine.db"


def run(path, sql, *parameters):
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(sql, parameters).fetchall()


def bases(path):
    return dict(run(path, "SELECT version, base_version FROM workflow_context_versions ORDER BY version"))


def test_sql_finds_the_base_that_the_codec_means():
    """The statement that reads the head tells when the next version's base was saved."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE workflow_context_versions (workflow_id, version, saved_at)")
        numbers = range(1, 3 * BLOCK)
        connection.executemany("INSERT INTO workflow_context_versions VALUES ('w', ?, ?)", [(n, n) for n in numbers])
        for version in numbers:
            head = f"(SELECT 'w' AS workflow_id, {version - 1} AS version) AS head"
            assert connection.execute(f"SELECT {BASE_SAVED_AT} FROM {head}").fetchone() == (base_of(version),)


@pytest.mark.promise("VE02", "VE03")
def test_versions_lean_on_each_other_and_read_alone(path):
    """Each leans on the base that the codec names; any of them loads, by the writer and by who comes later."""
    with ContextPersistence(path) as store:
        fill(store, LENGTH)
        assert steps_of(store, range(1, LENGTH + 1)) == list(range(1, LENGTH + 1))
    assert bases(path) == {version: base_of(version) for version in range(1, LENGTH + 1)}
    with ContextPersistence(path) as store:
        shuffled = random.Random(0).sample(range(1, LENGTH + 1), LENGTH)
        assert steps_of(store, shuffled) == shuffled
        assert [context.metadata["step"] for context in store.get_context_versions(1, 2)] == list(range(1, LENGTH + 1))


def test_a_long_history_is_small(path):
    """The whole file, indexes and all, takes a small part of what its versions take as JSON."""
    with ContextPersistence(path) as store:
        plain = 0
        for step in range(1, 201):
            context = a_context(step)
            plain += len(context.to_json())
            store.save_context(context)
    assert path.stat().st_size < 0.35 * plain


@pytest.mark.promise("RE01", "VE02")
@pytest.mark.parametrize("keep_last", [1, 2, 3, 5, 8, 31, 32, 33, BLOCK, BLOCK + 1])
def test_pruning_packs_anew_what_leaned_on_the_pruned(path, keep_last):
    """What stays reads as before, leans on nothing that is gone, and the next saves go on."""
    with ContextPersistence(path) as store:
        fill(store, LENGTH)
        assert store.prune(keep_last=keep_last).count == LENGTH - keep_last
        kept = range(LENGTH - keep_last + 1, LENGTH + 1)
        assert steps_of(store, kept) == list(kept)
        assert set(bases(path).values()) <= set(kept)
        fill(store, BLOCK, start=LENGTH + 1)
        assert store.verify().is_sound
    with ContextPersistence(path) as store:
        after = range(kept[0], LENGTH + BLOCK + 1)
        assert steps_of(store, after) == list(after)


@pytest.mark.promise("VE05")
def test_a_workflow_that_came_again_leans_on_nothing_of_its_past(path):
    """After a delete numbers go on, and the first version packs alone."""
    with ContextPersistence(path) as store:
        fill(store, 7)
        store.delete_context("w")
        assert store.save_context(a_context(8)) == 8
        assert store.save_context(a_context(9)) == 9
        assert steps_of(store, (8, 9)) == [8, 9]
    assert set(bases(path).values()) <= {8, 9}


@pytest.mark.promise("CR06")
def test_damage_harms_only_what_leans_on_it(path):
    """verify names the damaged version and those that lean on it; all others read, and saves go on beside them."""
    with ContextPersistence(path) as store:
        fill(store, 12)
    run(path, "INSERT INTO workflow_context_delete_guard VALUES ('w')")
    run(path, "UPDATE workflow_context_versions SET document = x'68deadbeef' WHERE version = 9")
    run(path, "DELETE FROM workflow_context_delete_guard")
    harmed = {9, 10, 11, 12}
    with ContextPersistence(path) as store:
        sound = [version for version in range(1, 13) if version not in harmed]
        assert steps_of(store, sound) == sound
        for version in harmed:
            with pytest.raises(CorruptDocumentError) as caught:
                store.load_context("w", version=version)
            assert caught.value.version == version
        assert {damage.version for damage in store.verify().damages} == harmed
        assert store.load_context("w").metadata == {"step": 12}
        fill(store, 6, start=13)
        assert steps_of(store, range(13, 19)) == list(range(13, 19))
        assert {damage.version for damage in store.verify().damages} == harmed


@pytest.mark.promise("CR06")
def test_a_damaged_header_harms_no_other_version(path):
    """What leans on the version needs its document alone."""
    with ContextPersistence(path) as store:
        fill(store, 6)
        run(path, "DROP TRIGGER workflow_context_versions_no_update")
        run(path, "UPDATE workflow_context_versions SET tags = 'not JSON' WHERE version = 1")
        assert {damage.version for damage in store.verify().damages if damage.workflow_id} == {1}
        assert steps_of(store, range(1, 7)) == list(range(1, 7))


@pytest.mark.promise("CR06")
def test_a_head_that_is_not_its_newest_version_is_named(path):
    """The two hold one document, the one plain and the other packed."""
    with ContextPersistence(path) as store:
        fill(store, 3)
        run(path, "UPDATE workflow_context SET document = replace(document, 'step 3', 'step 4')")
        (damage,) = store.verify().damages
        assert (damage.workflow_id, damage.version) == ("w", 3)
        assert "current state" in damage.problem


@pytest.mark.promise("HO04")
def test_what_a_codec_made_is_stored_as_it_is(path):
    """Encrypted documents have nothing in common; plain ones behind them are packed again."""
    with ContextPersistence(path) as store:
        fill(store, 2)
    with ContextPersistence(path, document_codec=Reversing()) as store:
        fill(store, 2, start=3)
        assert steps_of(store, range(1, 5)) == [1, 2, 3, 4]
    assert bases(path) == {1: 1, 2: 1, 3: None, 4: None}
    with ContextPersistence(path) as store:
        fill(store, 2, start=5)
        assert steps_of(store, (1, 2, 5, 6)) == [1, 2, 5, 6]
        assert store.migrate() == store.describe().schema_version
    assert bases(path)[3] is None


@pytest.mark.promise("VE02")
def test_packing_anew_takes_the_guard(path):
    """At an SQL prompt neither a document nor its base is changed; every other column not even with the guard."""
    with ContextPersistence(path) as store:
        fill(store, 3)
    for column in ("document", "base_version"):
        with pytest.raises(sqlite3.IntegrityError, match="only the driver packs them"):
            run(path, f"UPDATE workflow_context_versions SET {column} = 1")
    run(path, "INSERT INTO workflow_context_delete_guard VALUES ('w')")
    columns = [row[1] for row in run(path, "PRAGMA table_info(workflow_context_versions)")]
    for column in set(columns) - {"document", "base_version"}:
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            run(path, f"UPDATE workflow_context_versions SET {column} = {column}")
