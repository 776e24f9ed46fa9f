"""Times without a zone in an adopted database, read in the zone where they were written."""

import json
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from context_core import ConfigurationError, ContextPersistence, ReadOnlyError
from context_core.plugins import open_backend
from context_core.url import BackendURL
from context_core_conformance.racing import in_threads
from context_core_sqlite import SqliteBackend

BERLIN = "Europe/Berlin"
TRANSITION = {"phase": "initialization", "timestamp": "2024-05-06T08:00:00.5", "duration": 1.0}
SUMMER = datetime(2024, 5, 6, 5, 8, 9, 123456, tzinfo=UTC)
"""What the naive 7:08:09 of the originals' `created_at` is in Berlin."""


def url(path, **options):
    query = "&".join(f"{name}={value}" for name, value in options.items())
    return f"sqlite:///{path}?{query}"


@pytest.fixture
def adopted(original):
    """A file with one row of May and one of January, and one that has its zone."""
    history = {"phase_history": [TRANSITION]}
    original.add("may", created_at="2024-05-06T07:08:09.123456", updated_at="2024-05-06T09:00:00", **history)
    original.add("january", created_at="2024-01-06 07:08:09", updated_at="2024-01-06T09:00:00")
    original.add("zoned", created_at="2024-05-06T07:08:09+00:00", updated_at="2024-05-06T09:00:00+02:00")
    return original.path


def shown(store):
    """Every time that a store tells, of columns, documents and phases."""
    return {
        header.workflow_id: (
            header.created_at,
            header.updated_at,
            header.saved_at,
            store.load_context(header.workflow_id).created_at,
            store.load_context(header.workflow_id).updated_at,
            [left.timestamp for left in store.load_context(header.workflow_id).phase_history],
        )
        for header in store.list_headers()
    }


@pytest.mark.promise("MI01", "TI02")
def test_naive_times_are_read_in_the_zone_that_was_given(adopted):
    """Columns and documents alike, in summer and in winter; times with an offset stay what they are."""
    with ContextPersistence(url(adopted, naive_times=BERLIN)) as store:
        times = shown(store)
        nine = datetime(2024, 5, 6, 7, tzinfo=UTC)
        eight = datetime(2024, 5, 6, 6, 0, 0, 500_000, tzinfo=UTC)
        assert times["may"] == (SUMMER, nine, nine, SUMMER, nine, [eight])
        assert times["january"][0] == times["january"][3] == datetime(2024, 1, 6, 6, 8, 9, tzinfo=UTC)
        assert times["zoned"][0] == times["zoned"][3] == datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
        assert times["zoned"][1] == times["zoned"][4] == nine
        assert [found.workflow_id for found in store.search_contexts({"created_at": SUMMER})] == ["may"]
        assert store.verify().is_sound
        assert store.describe().naive_times == BERLIN


@pytest.mark.promise("MI01")
def test_an_old_workflow_does_not_come_before_one_made_after_it(adopted):
    """Local times taken as UTC put what was made at noon in Berlin before what is made an hour later."""
    an_hour_later = SUMMER + timedelta(hours=1)
    with ContextPersistence(url(adopted, naive_times=BERLIN), clock=lambda: an_hour_later) as store:
        store.fork("january", "new")
        assert [header.workflow_id for header in store.list_headers({"created_at__gte": SUMMER})] == [
            "zoned",
            "new",
            "may",
        ]


@pytest.mark.promise("MI01", "ER06")
def test_the_zone_stays_with_the_database(adopted):
    """Later opens agree, with the option, without it, and to read only; snapshots and backups too."""
    with ContextPersistence(url(adopted, naive_times=BERLIN)) as store:
        expected = shown(store)
        store.backup(adopted.with_name("copy.db"))
    for again in (url(adopted), url(adopted, naive_times=BERLIN), url(adopted, read_only="true"), adopted):
        with ContextPersistence(again) as store:
            assert shown(store) == expected
    for again in (SqliteBackend(adopted), SqliteBackend(adopted, naive_times=BERLIN)):
        with ContextPersistence(again) as store:
            assert shown(store) == expected
    with ContextPersistence(adopted.with_name("copy.db")) as store:
        assert shown(store) == expected


@pytest.mark.promise("MI01", "ER03")
@pytest.mark.parametrize(("first", "later"), [(BERLIN, "Asia/Tokyo"), (BERLIN, "UTC"), (None, BERLIN), ("UTC", BERLIN)])
@pytest.mark.parametrize("options", [{}, {"read_only": "true"}])
def test_another_zone_later_is_refused_by_both_names(adopted, first, later, options):
    """Nothing is changed: what was decided goes on."""
    with ContextPersistence(url(adopted, **({"naive_times": first} if first else {}))) as store:
        expected = shown(store)
    with pytest.raises(ConfigurationError) as caught:
        ContextPersistence(url(adopted, naive_times=later, **options))
    assert (first or "UTC") in str(caught.value)
    assert later in str(caught.value)
    with ContextPersistence(adopted) as store:
        assert shown(store) == expected


@pytest.mark.parametrize("text", ["utc", "UTC", "Utc"])
def test_utc_is_the_default_by_name(adopted, text):
    """And may be given at any time where nothing else was decided."""
    with ContextPersistence(adopted) as store:
        expected = shown(store)
    with ContextPersistence(url(adopted, naive_times=text)) as store:
        assert shown(store) == expected
        assert store.describe().naive_times == "UTC"


@pytest.mark.promise("ER04")
@pytest.mark.parametrize(
    "name", ["Europe/Nowhere", "", "../../etc/passwd", "/etc/passwd", "Europe", "a\0b", "+02:00", "\ud800", "x" * 5000]
)
def test_an_unknown_zone_is_refused_before_any_io(tmp_path, original, name):
    """No file is made, and an original one stays what it is."""
    original.add("w")
    before = original.path.read_bytes()
    for path in (tmp_path / "new.db", original.path):
        for opening in (
            lambda path=path: SqliteBackend(path, naive_times=name),
            lambda path=path: open_backend(BackendURL(scheme="sqlite", path=str(path), options={"naive_times": name})),
        ):
            with pytest.raises(ConfigurationError, match="naive_times") as caught:
                opening()
            assert len(str(caught.value)) < 500
    assert not (tmp_path / "new.db").exists()
    assert original.path.read_bytes() == before
    with pytest.raises(ConfigurationError, match="naive_times"):
        SqliteBackend(original.path, naive_times=7)  # type: ignore[arg-type]  # that is the slip


@pytest.fixture
def zone_of_machine(monkeypatch):
    """Moves this process to a zone; its own comes back."""
    with monkeypatch.context() as patch:

        def move(zone):
            patch.setenv("TZ", zone)
            time.tzset()

        yield move
    time.tzset()


@pytest.mark.parametrize("given", ["Asia/Tokyo", ":Asia/Tokyo", "/usr/share/zoneinfo/Asia/Tokyo"])
def test_local_is_the_zone_of_the_machine_that_adopts(adopted, zone_of_machine, given):
    """By its name, so that the database reads the same on every other machine."""
    zone_of_machine(given)
    with ContextPersistence(url(adopted, naive_times="local")) as store:
        assert store.describe().naive_times == "Asia/Tokyo"
        expected = shown(store)
        assert expected["may"][0] == SUMMER - timedelta(hours=7)
    zone_of_machine("America/New_York")
    with ContextPersistence(adopted) as store:
        assert shown(store) == expected
    with pytest.raises(ConfigurationError, match="Asia/Tokyo.*America/New_York"):
        ContextPersistence(url(adopted, naive_times="local"))


def test_a_local_zone_without_a_name_is_refused(adopted, zone_of_machine):
    """Rules such as XYZ+23:59 are no name that another machine could read by."""
    zone_of_machine("XYZ+23:59")
    with pytest.raises(ConfigurationError, match="naive_times"):
        ContextPersistence(url(adopted, naive_times="local"))
    with closing(sqlite3.connect(adopted)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master WHERE name LIKE 'context_core%'").fetchall() == []


@pytest.mark.promise("TI02")
def test_the_zone_of_a_later_process_changes_nothing(adopted, zone_of_machine):
    """Only the zone that is stored counts."""
    with ContextPersistence(url(adopted, naive_times=BERLIN)) as store:
        expected = shown(store)
    for zone in ("Pacific/Kiritimati", "America/St_Johns"):
        zone_of_machine(zone)
        with ContextPersistence(adopted) as store:
            assert shown(store) == expected


def test_hours_that_the_zone_repeats_or_skips_are_read_the_first_way(original):
    """Of 2:30 twice it is the first; at 2:30 that never was, the offset from before holds."""
    original.add("twice", created_at="2024-10-27T02:30:00", updated_at="2024-10-27T02:30:00")
    original.add("never", created_at="2024-03-31T02:30:00", updated_at="2024-03-31T02:30:00")
    with ContextPersistence(url(original.path, naive_times=BERLIN)) as store:
        times = shown(store)
        assert {each[0] for each in (times["twice"],)} == {datetime(2024, 10, 27, 0, 30, tzinfo=UTC)}
        assert times["twice"][3] == times["twice"][0]
        assert times["never"][3] == times["never"][0] == datetime(2024, 3, 31, 1, 30, tzinfo=UTC)


def test_times_at_the_ends_of_all_years_hide_no_row(original):
    """What has no year in UTC counts as unknown in its column, and its document is named."""
    original.add("w")
    original.add("first", created_at="0001-01-01T00:00:00")
    with ContextPersistence(url(original.path, naive_times="Asia/Tokyo")) as store:
        assert {header.workflow_id for header in store.list_headers()} == {"w", "first"}
        assert [damage.workflow_id for damage in store.verify().damages] == ["first"]
        assert store.load_context("w").workflow_id == "w"


@pytest.mark.promise("MO01", "MO03")
def test_an_export_takes_the_zone_along(adopted, tmp_path):
    """Stores that read naive times as UTC, of any kind, show the same instants; and the same again changes nothing."""
    target = tmp_path / "export.jsonl"
    with ContextPersistence(url(adopted, naive_times=BERLIN)) as store:
        expected = shown(store)
        count = store.export(target).count
        assert store.import_(target).written == 0
    for other in ("memory://", url(tmp_path / "other.db"), url(tmp_path / "third.db", naive_times="Asia/Tokyo")):
        with ContextPersistence(other) as store:
            store.import_(target)
            assert shown(store) == expected
            assert store.import_(target).present == getattr(count, "count", count)


@pytest.mark.promise("MI05")
def test_a_zone_adds_nothing_to_the_schema(adopted, tmp_path, schema_of):
    """It is a row of the table of steps, before the first of them."""
    with ContextPersistence(url(adopted, naive_times=BERLIN)) as store:
        steps = store.describe().schema_version
    with ContextPersistence(tmp_path / "fresh.db"):
        pass
    assert schema_of(adopted) == schema_of(tmp_path / "fresh.db")
    with closing(sqlite3.connect(adopted)) as connection:
        rows = connection.execute("SELECT version, name FROM context_core_schema ORDER BY version").fetchall()
    assert rows[0] == (0, f"naive_times={BERLIN}")
    assert [version for version, _ in rows] == list(range(int(steps or 0) + 1))


def test_of_many_that_adopt_at_once_all_agree_or_are_told(adopted):
    """One zone is decided; who asked for the other one is refused by both names."""

    def adopt(number):
        try:
            with ContextPersistence(url(adopted, naive_times=(BERLIN, "Asia/Tokyo")[number % 2])) as store:
                return store.describe().naive_times
        except ConfigurationError as error:
            return str(error)

    answers = set(in_threads(8, adopt))
    with ContextPersistence(adopted) as store:
        zone = store.describe().naive_times
    assert zone in answers
    assert all(BERLIN in answer and "Asia/Tokyo" in answer for answer in answers - {zone})


def test_documents_of_schema_0_are_left_byte_for_byte(adopted):
    """Reading rewrites nothing: the zone is added to what is loaded."""
    with ContextPersistence(url(adopted, naive_times=BERLIN)) as store:
        store.load_context("may")
    with closing(sqlite3.connect(adopted)) as connection:
        (text,) = connection.execute("SELECT document FROM workflow_context WHERE workflow_id = 'may'").fetchone()
    assert json.loads(text)["created_at"] == "2024-05-06T07:08:09.123456"


def test_a_driver_that_adopts_nothing_refuses_the_option():
    """It would say nothing there."""
    with pytest.raises(ConfigurationError, match="naive_times"):
        ContextPersistence(f"memory://?naive_times={BERLIN}")


def test_a_read_only_store_of_an_original_database_is_refused_as_ever(adopted):
    """The option adopts nothing by itself."""
    with pytest.raises(ReadOnlyError):
        ContextPersistence(url(adopted, naive_times=BERLIN, read_only="true"))
