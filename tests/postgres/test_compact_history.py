"""Versions in the tables are packed, and nobody who reads through the driver can tell."""

import random
import threading
from contextlib import suppress

import psycopg
import pytest
from compact_histories import Reversing, a_context, fill, steps_of

from context_core import ContextPersistence, CorruptDocumentError, Delete, Save
from context_core.history_codec import BLOCK, base_of
from context_core.maintenance import PrunedRange
from context_core.plugins import open_backend
from context_core.records import VersionRequest, Want
from context_core.url import BackendURL
from context_core_postgres import _history, _repacking
from context_core_postgres._session import Qualifier, Session

LENGTH = BLOCK + 9


@pytest.fixture
def conninfo(postgres_database):
    """Where the tests' server is, for psycopg."""
    return postgres_database.conninfo


@pytest.fixture
def sql(conninfo, schema):
    """Runs a statement, in which `{}` is the table of versions, without the triggers that guard it."""

    def run(statement, *parameters):
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute("SET session_replication_role = replica")
            cursor = connection.execute(statement.format(f'"{schema}".workflow_context_versions').encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    return run


@pytest.fixture
def bases(sql):
    """Tells what each version leans on."""
    return lambda: dict(sql("SELECT version, base_version FROM {} WHERE workflow_id = 'w' ORDER BY version"))


@pytest.mark.promise("VE02", "VE03")
def test_versions_lean_on_each_other_and_read_alone(url, store, bases):
    """Each leans on the base that the codec names; any of them loads, by the writer and by who comes later."""
    fill(store, LENGTH)
    assert bases() == {version: base_of(version) for version in range(1, LENGTH + 1)}
    with ContextPersistence(url) as other:
        shuffled = random.Random(0).sample(range(1, LENGTH + 1), LENGTH)
        assert steps_of(other, shuffled) == shuffled
        everything = [context.metadata["step"] for context in other.get_context_versions(1, 2)]
        assert everything == list(range(1, LENGTH + 1))
        at = [header.saved_at for header in other.history("w")]
        assert [other.load_context("w", as_of=moment).metadata["step"] for moment in at] == everything


@pytest.mark.promise("VE02")
def test_each_save_of_a_new_process_finds_its_base(url, bases):
    """What to lean on is read back by who has nothing at hand, whether it expects a version or only that there is one."""
    with ContextPersistence(url) as store:
        fill(store, 1)
    for step in range(2, BLOCK + 3):
        with ContextPersistence(url) as store:
            if step % 2:
                store.save_context(a_context(step), expected_version=step - 1)
            else:
                store.update_context(a_context(step))
    assert bases() == {version: base_of(version) for version in range(1, BLOCK + 3)}


@pytest.mark.promise("VE02")
def test_batches_lean_on_what_is_there_and_on_themselves(url, bases):
    """In batches of every length, by one store that knows what it wrote and by others that do not."""
    with ContextPersistence(url) as store:
        saved = 0
        for length in (1, 2, 7, 3, 40, 1, 30):
            batch = [a_context(saved + number) for number in range(1, length + 1)]
            if length % 2:
                assert store.save_contexts(batch)[-1] == saved + length
            else:
                with ContextPersistence(url) as other:
                    assert other.save_contexts(batch)[-1] == saved + length
            saved += length
        assert bases() == {version: base_of(version) for version in range(1, saved + 1)}
        assert steps_of(store, range(1, saved + 1)) == list(range(1, saved + 1))


@pytest.mark.promise("RE01", "VE02")
@pytest.mark.parametrize("keep_last", [1, 2, 3, 5, 8, 31, 32, 33, BLOCK, BLOCK + 1])
def test_pruning_packs_anew_what_leaned_on_the_pruned(url, store, bases, keep_last):
    """What stays reads as before, leans on nothing that is gone, and the next saves go on."""
    store.save_contexts([a_context(step) for step in range(1, LENGTH + 1)])
    assert store.prune(keep_last=keep_last).count == LENGTH - keep_last
    kept = range(LENGTH - keep_last + 1, LENGTH + 1)
    assert steps_of(store, kept) == list(kept)
    assert set(bases().values()) <= set(kept)
    fill(store, 12, start=LENGTH + 1)
    assert store.verify().is_sound
    with ContextPersistence(url) as other:
        after = range(kept[0], LENGTH + 13)
        assert steps_of(other, after) == list(after)


@pytest.mark.promise("RE01")
def test_a_prune_that_names_the_head_leaves_it(schema, conninfo, store):
    """The database may have been put back as it was before, between the naming and the removing."""
    fill(store, 3)
    with psycopg.connect(conninfo, autocommit=True) as raw:
        _repacking.forget(Session(raw, Qualifier(schema)), [PrunedRange(workflow_id="w", first=1, last=9)])
    assert [header.version for header in store.history("w")] == [3]
    assert store.verify().is_sound


@pytest.fixture
def raced(postgres_server, schema, conninfo, store):
    """The store, whose save of version 5 leaned on 1 while a prune that holds the lock took 1 to 3 away."""
    fill(store, 4)
    saving = threading.Thread(target=fill, args=(store, 1, 5))
    with psycopg.connect(conninfo, autocommit=True) as raw:
        session = Session(raw, Qualifier(schema))
        raw.execute("BEGIN")
        session.execute("SELECT FROM our.workflow_context FOR UPDATE")
        saving.start()
        postgres_server.wait_for_lock(schema)
        _repacking.forget(session, [PrunedRange(workflow_id="w", first=1, last=3)])
    saving.join()
    return store


@pytest.mark.promise("RE02", "VE02")
def test_a_save_that_waited_for_a_prune_leans_on_nothing_that_is_gone(raced, bases):
    """Its statement began before the prune was committed, and sees version 1 to its end."""
    assert bases() == {4: 4, 5: None}
    fill(raced, 4, start=6)
    assert bases() == {4: 4, 5: None, 6: 5, 7: 5, 8: 7, 9: 9}
    assert steps_of(raced, range(4, 10)) == list(range(4, 10))
    assert raced.verify().is_sound


@pytest.mark.promise("RE02", "CO02")
def test_a_page_whose_bases_are_pruned_meanwhile_is_read_again(url, store, monkeypatch):
    """A prune takes away what a page leans on, between the two statements that read the one and the other."""
    fill(store, 20)
    decoded = _history.decoded

    def decoded_after_a_prune(session, rows):
        store.prune(keep_last=9)
        return decoded(session, rows)

    monkeypatch.setattr(_history, "decoded", decoded_after_a_prune)
    backend = open_backend(BackendURL.parse(url))
    page = backend.version(VersionRequest(of="w", want=Want.DOCUMENTS, limit=3, offset=1))
    assert [document.version for document in page.documents] == [13, 14, 15]
    backend.close()


@pytest.mark.promise("MI01", "VE02")
def test_migrate_packs_what_is_stored_as_it_is(url, raced, bases, monkeypatch):
    """A bounded number at a time; what is packed already, or went through a codec, stays."""
    monkeypatch.setattr(_repacking, "REPACKED_AT_ONCE", 2)
    with ContextPersistence(url, document_codec=Reversing()) as opaque:
        fill(opaque, 3, start=6)
    assert raced.migrate() == raced.describe().schema_version
    assert bases() == {4: 4, 5: 5, 6: None, 7: None, 8: None}
    assert steps_of(raced, (4, 5)) == [4, 5]
    with ContextPersistence(url, document_codec=Reversing()) as opaque:
        assert steps_of(opaque, range(4, 9)) == list(range(4, 9))


@pytest.mark.promise("MI01", "VE02")
def test_migrate_packs_a_history_as_saves_would_have(sql, store, bases):
    """All of it was stored as it is: by an older writer, say."""
    fill(store, 70)
    plain = {version: store.load_context("w", version=version).to_json() for version in bases()}
    for version, document in plain.items():
        sql("UPDATE {} SET document = %s, base_version = NULL WHERE version = %s", document.encode(), version)
    assert steps_of(store, (1, 33, 70)) == [1, 33, 70]
    store.migrate()
    assert bases() == {version: base_of(version) for version in range(1, 71)}
    assert {version: store.load_context("w", version=version).to_json() for version in bases()} == plain


@pytest.mark.promise("VE05")
def test_a_workflow_that_came_again_leans_on_nothing_of_its_past(store, bases):
    """After a delete numbers go on, and the first version packs alone; in one batch too."""
    fill(store, 7)
    store.delete_context("w")
    fill(store, 2, start=8)
    assert set(bases().values()) <= {8, 9}
    store.batch([Save(a_context(10)), Delete("w"), Save(a_context(11)), Save(a_context(12))])
    assert bases() == {11: 11, 12: 11}
    fill(store, 9, start=13)
    assert steps_of(store, range(11, 22)) == list(range(11, 22))


@pytest.mark.promise("CR06")
def test_a_store_that_was_restored_beneath_a_writer_stays_readable(sql, store, bases):
    """What the writer has at hand is not what is there: the version is stored as it is."""
    fill(store, 4)
    sql("UPDATE {} SET saved_at = saved_at - interval '1 second' WHERE version = 1")
    fill(store, 1, start=5)
    assert bases()[5] is None
    fill(store, 4, start=6)
    assert [bases()[version] for version in range(6, 10)] == [5, 5, 7, 1]
    assert steps_of(store, range(1, 10)) == list(range(1, 10))


@pytest.mark.promise("CR06")
def test_damage_harms_only_what_leans_on_it(sql, url, store):
    """verify names the damaged version and those that lean on it; all others read, and saves go on beside them."""
    fill(store, 12)
    sql("UPDATE {} SET document = '\\x68deadbeef' WHERE version = 9")
    harmed = {9, 10, 11, 12}
    with ContextPersistence(url) as other:
        sound = [version for version in range(1, 13) if version not in harmed]
        assert steps_of(other, sound) == sound
        for version in harmed:
            with pytest.raises(CorruptDocumentError) as caught:
                other.load_context("w", version=version)
            assert caught.value.version == version
        assert {damage.version for damage in other.verify().damages} == harmed
        assert other.load_context("w").metadata == {"step": 12}
        other.update_context(a_context(13))
        fill(other, 5, start=14)
        assert steps_of(other, range(13, 19)) == list(range(13, 19))
        assert {damage.version for damage in other.verify().damages} == harmed


@pytest.mark.promise("CR06")
def test_a_damaged_header_harms_no_other_version(sql, store):
    """What leans on the version needs its document alone."""
    fill(store, 6)
    sql("UPDATE {} SET tags = 'not JSON' WHERE version = 1")
    assert {damage.version for damage in store.verify().damages} == {1}
    assert steps_of(store, range(1, 7)) == list(range(1, 7))


@pytest.mark.promise("CR06")
def test_a_head_that_is_not_its_newest_version_is_named(postgres_server, schema, store):
    """The two hold one document, the one plain and the other packed."""
    fill(store, 3)
    postgres_server.sql(f"""UPDATE "{schema}".workflow_context SET document = replace(document, 'step 3', 'step 4')""")
    (damage,) = store.verify().damages
    assert (damage.workflow_id, damage.version) == ("w", 3)
    assert "current state" in damage.problem


@pytest.mark.promise("HO04")
def test_what_a_codec_made_is_stored_as_it_is(url, store, bases):
    """Encrypted documents have nothing in common; plain ones behind them are packed again."""
    fill(store, 2)
    with ContextPersistence(url, document_codec=Reversing()) as opaque:
        fill(opaque, 2, start=3)
        assert steps_of(opaque, range(1, 5)) == [1, 2, 3, 4]
    assert bases() == {1: 1, 2: 1, 3: None, 4: None}
    fill(store, 2, start=5)
    assert steps_of(store, (1, 2, 5, 6)) == [1, 2, 5, 6]


@pytest.mark.promise("VE02")
def test_packing_anew_takes_the_guard(postgres_server, conninfo, schema, store):
    """Nothing is changed at an SQL prompt; with the guard how a document is packed, and no other column."""
    fill(store, 3)
    versions = f'"{schema}".workflow_context_versions'
    others = {"text": "'other'", "bigint": "99", "bytea": "'other'", "timestamp with time zone": "'epoch'"}
    columns = postgres_server.sql(
        """SELECT column_name::text, data_type::text FROM information_schema.columns
        WHERE table_schema = %s AND table_name = 'workflow_context_versions'""",
        schema,
    )
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for guard, changeable in (("off", set()), ("on", {"base_version", "document"})):
            connection.execute("SELECT set_config('context_core.changing', %s, false)", (guard,))
            changed = set()
            for column, kind in columns:
                change = f"UPDATE {versions} SET {column} = {others[kind]} WHERE version = 2".encode()
                with suppress(psycopg.errors.IntegrityConstraintViolation), connection.transaction(force_rollback=True):
                    connection.execute(change)
                    changed.add(column)
            assert changed == changeable
