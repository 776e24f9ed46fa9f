"""Databases of older schemas, the story's original single-table schema first of all."""

import contextlib
import itertools
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from context_core import ContextPersistence, CorruptDocumentError, StorageError, VersionConflictError, WorkflowContext
from context_core.model import MAX_TEXT, utc_now
from context_core_sqlite import _schema

OPENER = Path(__file__).with_name("opener.py")
CREATED_AT = datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
UPDATED_AT = datetime(2024, 5, 7, tzinfo=UTC)


def as_utc(fields):
    """The original fields as we read them."""
    transitions = [item | {"timestamp": f"{item['timestamp']}+00:00"} for item in fields["phase_history"]]
    times = {name: f"{fields[name]}+00:00" for name in ("created_at", "updated_at")}
    return WorkflowContext.from_dict(fields | times | {"phase_history": transitions})


def indexes_of(database):
    return [sql for (sql,) in database.run("SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")]


@pytest.mark.promise("MI01", "VE01")
def test_rows_become_versions_where_they_stood(original):
    """Each row is one version, at its own number, with equal content; numbering goes on from there."""
    fields = {version: original.add(f"w{version}", version=version) for version in (1, 5, 2**40)}
    with ContextPersistence(db_path=original.path) as store:
        for version, expected in fields.items():
            name = f"w{version}"
            loaded = store.load_context(name)
            assert (loaded, loaded.version) == (as_utc(expected), version)
            assert store.load_context(name, version=version) == loaded
            assert [header.version for header in store.history(name)] == [version]
            with pytest.raises(VersionConflictError):
                store.save_context(loaded, expected_version=version - 1)
            assert store.save_context(loaded, expected_version=version) == version + 1
            assert [header.version for header in store.history(name)] == [version, version + 1]


@pytest.mark.promise("MI01", "TI01")
def test_naive_times_are_read_as_utc(original):
    """In the context, in its headers and in searches; times with an offset are the instants they say."""
    original.add("naive")
    offset = {"created_at": "2024-05-06T09:08:09.123456+02:00", "updated_at": "2024-05-07T02:00:00+02:00"}
    original.add("offset", **offset)
    with ContextPersistence(db_path=original.path) as store:
        for name in ("naive", "offset"):
            loaded = store.load_context(name)
            (header,) = store.history(name)
            for moments in ((loaded.created_at, loaded.updated_at), (header.created_at, header.updated_at)):
                assert moments == (CREATED_AT, UPDATED_AT)
                assert [moment.tzinfo for moment in moments] == [UTC, UTC]
        found = store.search_contexts({"created_at": CREATED_AT.astimezone(timezone(timedelta(hours=-5)))})
        assert [context.workflow_id for context in found] == ["offset", "naive"]


@pytest.mark.promise("MI01", "VE08")
def test_adopted_versions_were_saved_when_they_were_updated(original):
    """As of a time before the last update there is no version; after it there is; and saves go on from there."""
    original.add("w", version=4)
    with ContextPersistence(db_path=original.path) as store:
        assert [header.saved_at for header in store.history("w")] == [UPDATED_AT]
        assert store.load_context("w", as_of=UPDATED_AT).version == 4
        store.save_context(store.load_context("w"))
        assert store.load_context("w", as_of=UPDATED_AT).version == 4
        assert store.load_context("w").version == 5


@pytest.mark.promise("MI01", "TI02")
def test_updates_from_the_future_do_not_hold_saves_back(original):
    """A naive local time may lie ahead of UTC; versions go on with the clock all the same."""
    original.add("w", updated_at="2999-01-01T00:00:00")
    before = datetime.now(UTC)
    with ContextPersistence(db_path=original.path) as store:
        store.save_context(store.load_context("w"))
        first, second = (header.saved_at for header in store.history("w"))
        assert before <= first <= second <= datetime.now(UTC)
        assert store.load_context("w", version=1).updated_at.year == 2999


@pytest.mark.promise("MI01", "QU01")
def test_adopted_rows_are_found_by_every_field(original):
    """By story, epic level, feature, status, tags, times and what their documents hold."""
    original.add("story")
    original.add("epic", story_num=None, feature="billing", status="failed", tags=[], created_at="2024-05-06T07:08:10")
    with ContextPersistence(db_path=original.path) as store:
        latest = [store.get_latest_context(3, 7), store.get_latest_context(3)]
        assert [context.workflow_id for context in latest if context is not None] == ["story", "epic"]
        assert [context.workflow_id for context in store.get_contexts_by_epic(3)] == ["epic", "story"]
        assert [context.workflow_id for context in store.get_failed_contexts()] == ["epic"]
        for filters in (
            {"feature": "checkout"},
            {"tags__contains": "api"},
            {"tags": ["urgent", "api"]},
            {"current_phase": "review", "status": "paused"},
            {"decisions.database.choice": "sqlite", "metadata.tries__gte": 3, "story_num__isnull": False},
            {"updated_at__gte": UPDATED_AT, "created_at__lt": CREATED_AT + timedelta(microseconds=1)},
        ):
            assert [context.workflow_id for context in store.search_contexts(filters)] == ["story"]


@pytest.mark.promise("MI01")
def test_documents_are_copied_byte_for_byte(original):
    """Indentation, escapes and order are kept; reading rewrites nothing."""
    original.add("w")
    written = original.run("SELECT context_data FROM workflow_context")
    with ContextPersistence(db_path=original.path) as store:
        store.load_context("w")
    assert original.run("SELECT document FROM workflow_context") == written
    assert original.run("SELECT document FROM workflow_context_versions") == written


@pytest.mark.promise("MI01")
@pytest.mark.parametrize("count", range(6))
def test_any_of_the_original_indexes_may_be_missing(original, make_original, count):
    """Whatever combination of them a database has, it is adopted."""
    for number, chosen in enumerate(itertools.combinations(indexes_of(original), count)):
        database = make_original(f"{number}.db", chosen)
        database.add("w", version=2)
        with ContextPersistence(db_path=database.path) as store:
            assert store.load_context("w").version == 2


@pytest.mark.promise("MI05")
def test_fresh_and_adopted_schemas_are_identical(original, tmp_path, schema_of):
    """Nothing of the original stays beside what a new database has, and nothing is missing."""
    original.add("w")
    for path in (original.path, tmp_path / "fresh.db"):
        ContextPersistence(db_path=path).close()
    assert schema_of(original.path) == schema_of(tmp_path / "fresh.db")
    assert len(schema_of(original.path)) > 10


@pytest.mark.promise("MI01")
def test_adoption_happens_once(original):
    """Opening again changes nothing, and each step is recorded once."""
    original.add("w", version=3)
    for _ in range(3):
        with ContextPersistence(db_path=original.path) as store:
            assert [header.version for header in store.history("w")] == [3]
    steps = original.run("SELECT version, count(*) FROM context_core_schema GROUP BY version")
    assert steps == [(step.number, 1) for step in _schema.migrations()]


UNREADABLE = {
    "NaN": '{"workflow_id": "bad", "metadata": {"x": NaN}}',
    "lone surrogate": '{"workflow_id": "bad", "feature": "\\ud800"}',
    "no JSON": "not json at all",
    "nothing": "",
    "a list": "[]",
    "null": "null",
    "a missing field": '{"workflow_id": "bad"}',
    "broken UTF-8": b'{"workflow_id": "\xff"}',
    "a NUL": b"\0",
    "deep nesting": "[" * 100_000,
}


@pytest.mark.promise("MI01", "CR06")
@pytest.mark.parametrize("document", UNREADABLE.values(), ids=list(UNREADABLE))
def test_unreadable_row_fails_its_own_load_alone(original, document):
    """The database opens, the others load, the row is listed, and can be saved over and deleted."""
    good = original.add("good")
    original.add("bad", version=6, document=document)
    with ContextPersistence(db_path=original.path) as store:
        assert store.load_context("good") == as_utc(good)
        with pytest.raises(CorruptDocumentError) as caught:
            store.load_context("bad")
        assert (caught.value.workflow_id, caught.value.version) == ("bad", 6)
        assert [header.version for header in store.history("bad")] == [6]
        assert store.save_context(WorkflowContext("bad", 1, 1, "f", "w")) == 7
        assert store.load_context("bad").feature == "f"
        with pytest.raises(CorruptDocumentError):
            store.load_context("bad", version=6)
        assert store.delete_context("bad") is True
        assert store.context_exists("bad") is False


@pytest.mark.promise("MI01")
def test_unreadable_field_inside_a_document_fails_its_load_alone(original):
    """A document with a status, a time or a number that no context may have is corrupt, not loaded wrongly."""
    wrong: tuple[dict[str, Any], ...] = (
        {"epic_num": 0},
        {"created_at": "yesterday"},
        {"tags": "api"},
        {"phase_history": [1]},
        {"decisions": []},
    )
    for number, changes in enumerate(wrong):
        original.add(f"bad{number}", columns={"created_at": "2024-05-06T07:08:09"}, **changes)
    with ContextPersistence(db_path=original.path) as store:
        for number in range(len(wrong)):
            with pytest.raises(CorruptDocumentError):
                store.load_context(f"bad{number}")


ODD_COLUMNS = {
    "epic as text": {"epic_num": "three"},
    "epic as fraction": {"epic_num": 1.5},
    "epic negative": {"epic_num": -1},
    "story as text": {"story_num": "seven"},
    "feature as blob": {"feature": b"\xff\0"},
    "phase of 1,000 characters": {"current_phase": "x" * 1_000},
    "time as number": {"created_at": 1_715_000_000},
    "time as nonsense": {"created_at": "yesterday", "updated_at": ""},
    "time before the year 1": {"created_at": "0001-01-01T00:00:00+10:00"},
    "version 0": {"version": 0},
    "version negative": {"version": -5},
    "version as text": {"version": "latest"},
}


@pytest.mark.promise("MI01")
@pytest.mark.parametrize("columns", ODD_COLUMNS.values(), ids=list(ODD_COLUMNS))
def test_odd_column_never_fails_the_open(original, columns):
    """SQLite's columns may hold anything; the document is what counts, and the workflow goes on from its version."""
    expected = original.add("odd", columns=columns)
    original.add("good")
    with ContextPersistence(db_path=original.path) as store:
        assert store.load_context("odd") == as_utc(expected)
        assert store.load_context("good").version == 1
        (header,) = store.history("odd")
        assert header.version >= 1
        assert store.save_context(WorkflowContext("odd", 1, 1, "f", "w")) == header.version + 1
        assert sorted(context.workflow_id for context in store.search_contexts()) == ["good", "odd"]


@pytest.mark.promise("MI01")
def test_ids_that_no_text_can_hold_stay_apart(original):
    """Ids of broken UTF-8 or of other kinds never fail the open, and hide none of the others."""
    good = original.add("good")
    odd_ids = (b"a\xff", b"a\xfe", b"a", "a")
    for number, odd_id in enumerate(odd_ids):
        original.add(f"odd{number}")
        as_text = f"CAST(x'{odd_id.hex()}' AS TEXT)" if isinstance(odd_id, bytes) and number < 2 else None
        value = as_text or (f"x'{odd_id.hex()}'" if isinstance(odd_id, bytes) else f"'{odd_id}'")
        original.run(f"UPDATE workflow_context SET workflow_id = {value} WHERE workflow_id = 'odd{number}'")
    with ContextPersistence(db_path=original.path) as store:
        assert store.load_context("good") == as_utc(good)
        assert original.run("SELECT count(*) FROM workflow_context") == [(5,)]


@pytest.mark.promise("MI01")
def test_an_id_of_the_longest_that_may_be_is_kept(original):
    """One that is longer could not be asked for: it is cut, and tells its row."""
    original.add("x" * MAX_TEXT)
    original.add("y" * (MAX_TEXT + 1))
    with ContextPersistence(db_path=original.path) as store:
        (kept, cut) = sorted(header.workflow_id for header in store.list_headers())
        assert kept == "x" * MAX_TEXT
        assert cut == "y" * (MAX_TEXT - 50) + " (row 2)"


@pytest.mark.promise("MI02")
@pytest.mark.parametrize("kind", ["original", "new"])
def test_ten_processes_that_open_at_once_all_succeed(original, tmp_path, kind):
    """None fails, it is migrated once, and each of their saves is there."""
    path = original.path if kind == "original" else tmp_path / "new.db"
    if kind == "original":
        for number in range(50):
            original.add(f"w{number}", version=number + 1)
    processes = [
        subprocess.Popen(
            [sys.executable, OPENER, "open_at_signal", path, "raced"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(10)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=120) for process in processes]
    assert [stderr for _, stderr in answers if stderr] == []
    assert sorted(int(stdout) for stdout, _ in answers) == list(range(1, 11))
    with ContextPersistence(db_path=path) as store:
        assert [header.version for header in store.history("raced")] == list(range(1, 11))
        if kind == "original":
            assert [store.load_context(f"w{number}").version for number in range(50)] == list(range(1, 51))


@pytest.mark.promise("MI02")
def test_a_look_at_a_database_that_is_being_migrated_sees_one_state(original):
    """Another process adopts the database between the statements that look at it."""
    original.add("w", version=3)

    def migrate_meanwhile(statement):
        if "table_info" in statement:
            with contextlib.suppress(sqlite3.OperationalError), closing(connect()) as other:
                _schema.migrate(other, "", utc_now)

    def connect():
        return sqlite3.connect(original.path, timeout=0, isolation_level=None)

    with closing(connect()) as connection:
        connection.set_trace_callback(migrate_meanwhile)
        assert _schema.inspect(connection, "") == (_schema.State.ORIGINAL, 0)


@pytest.mark.promise("CR03", "CR01")
def test_adoption_that_is_killed_is_completed_by_the_next_open(original, tmp_path, schema_of):
    """Killed before any of its statements, it leaves the original or the new tables, and never loses a row."""
    fields = [original.add(f"w{number}", version=number + 1) for number in range(3)]
    folder = tmp_path / "killed"
    folder.mkdir()
    command = [sys.executable, OPENER, "kill", original.path, folder]
    killed, code = subprocess.run(command, capture_output=True, text=True, check=True, timeout=240).stdout.split()
    assert (int(killed) > 20, code) == (True, "0")
    adopted = schema_of(folder / f"killed-{int(killed) + 1:03}.db")
    for database in sorted(folder.glob("*.db"))[: int(killed)]:
        with ContextPersistence(db_path=database) as store:
            for number, expected in enumerate(fields):
                loaded = store.load_context(f"w{number}")
                assert (database.name, loaded, loaded.version) == (database.name, as_utc(expected), number + 1)
        assert (database.name, schema_of(database)) == (database.name, adopted)


@pytest.fixture
def further_step(monkeypatch):
    """Adds a step to those that the driver knows."""
    known = _schema.migrations()

    def add(*statements):
        step = _schema.Migration(known[-1].number + 1, "9999_further", statements)
        monkeypatch.setattr(_schema, "migrations", lambda: (*known, step))

    return add


@pytest.mark.promise("MI03")
def test_failing_step_leaves_the_version_as_it_was(tmp_path, schema_of, further_step):
    """Nothing of it stays, the error is typed, and once it is mended it runs again."""
    path = tmp_path / "engine.db"
    with ContextPersistence(db_path=path) as store:
        store.save_context(WorkflowContext("w", 1, 1, "f", "w"))
        version = store.describe().schema_version
    before = schema_of(path)
    further_step("CREATE TABLE further (x)", "INSERT INTO nowhere VALUES (1)")
    with pytest.raises(StorageError) as caught:
        ContextPersistence(db_path=path)
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
    assert schema_of(path) == before
    further_step("CREATE TABLE further (x)")
    with ContextPersistence(db_path=path) as store:
        assert version is not None
        assert store.describe().schema_version == version + 1
        assert store.load_context("w").version == 1
    assert [row[1] for row in schema_of(path) if row not in before] == ["further"]


@pytest.mark.promise("MI03", "MI01")
def test_failing_step_leaves_an_original_database_usable_by_the_original_code(original, monkeypatch, schema_of):
    """An adoption that fails in its own step leaves the single table with its rows and indexes."""
    original.add("w", version=3)
    before, rows = schema_of(original.path), original.run("SELECT * FROM workflow_context")
    (first, *others) = _schema.migrations()
    broken = _schema.Migration(first.number, first.name, (*first.statements, "INSERT INTO nowhere VALUES (1)"))
    with monkeypatch.context() as patch:
        patch.setattr(_schema, "migrations", lambda: (broken, *others))
        with pytest.raises(StorageError):
            ContextPersistence(db_path=original.path)
    assert (schema_of(original.path), original.run("SELECT * FROM workflow_context")) == (before, rows)
    with ContextPersistence(db_path=original.path) as store:
        assert store.load_context("w").version == 3
