"""Times of an engine's own fields, in zones whose clocks repeat or skip an hour."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import pytest

from context_core import ContextPersistence, UnserializableValueError, WorkflowContext
from context_core_conformance.samples import EPOCH

NEW_YORK = ZoneInfo("America/New_York")
BERLIN = ZoneInfo("Europe/Berlin")
DUBLIN = ZoneInfo("Europe/Dublin")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")  # half an hour
MONROVIA = ZoneInfo("Africa/Monrovia")  # 44 min 30 s until 1972

MOMENTS = [
    datetime(2025, 11, 2, 1, 30, tzinfo=NEW_YORK),
    datetime(2025, 11, 2, 1, 30, tzinfo=NEW_YORK, fold=1),
    datetime(2025, 3, 9, 2, 30, tzinfo=NEW_YORK),
    datetime(2025, 3, 9, 2, 30, tzinfo=NEW_YORK, fold=1),
    datetime(2025, 10, 26, 2, 30, tzinfo=BERLIN, fold=1),
    datetime(2025, 10, 26, 1, 30, tzinfo=DUBLIN, fold=1),
    datetime(2025, 4, 6, 1, 45, tzinfo=LORD_HOWE, fold=1),
    datetime(1972, 1, 6, 23, 59, 59, 999_999, tzinfo=MONROVIA),
    datetime(2025, 7, 1, 12, tzinfo=NEW_YORK),
    datetime(1, 1, 1, tzinfo=ZoneInfo("Asia/Tokyo")),
    datetime.max.replace(tzinfo=NEW_YORK),
    datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
]


@attrs.frozen
class Slot:
    at: datetime
    note: str = ""


@attrs.frozen(slots=False)
class Planned(WorkflowContext):
    """An engine's context with times wherever a field may hold them."""

    when: datetime | None = None
    slots: list[Slot] = attrs.field(factory=list)
    by_name: dict[str, datetime] = attrs.field(factory=dict)
    span: tuple[datetime, datetime] | None = None
    days: frozenset[datetime] = frozenset()


PLACES: dict[str, Any] = {
    "when": lambda moment: {"when": moment},
    "slots": lambda moment: {"slots": [Slot(EPOCH), Slot(moment)]},
    "by_name": lambda moment: {"by_name": {"a": moment, "b": EPOCH}},
    "span": lambda moment: {"span": (moment, moment)},
    "days": lambda moment: {"days": frozenset({moment, EPOCH})},
}


def instant(moment):
    """Since the year 1, in UTC, also where UTC has no year for it."""
    return (moment.replace(tzinfo=None) - datetime.min) - moment.utcoffset()  # noqa: DTZ901


def planned(**fields):
    return Planned("order-7", 1, 2, "shop", "order", created_at=EPOCH, updated_at=EPOCH, **fields)


@pytest.fixture
def store():
    with ContextPersistence("memory://", context_type=Planned) as store:
        yield store


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: f"{moment} {moment.fold}")
def test_a_time_of_any_hour_keeps_its_instant_and_its_offset(store, moment):
    """Also one that its zone has twice or not at all: it comes back at the fixed offset that it meant."""
    store.save_context(planned(when=moment))
    loaded = store.load_context("order-7").when
    assert instant(loaded) == instant(moment)
    assert loaded.utcoffset() == moment.utcoffset()
    assert loaded.replace(tzinfo=None) == moment.replace(tzinfo=None)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("fold", [0, 1])
def test_a_repeated_hour_is_kept_wherever_a_field_may_hold_it(store, place, fold):
    """In nested values, lists, dicts, tuples and sets."""
    moment = MOMENTS[fold]
    store.save_context(planned(**PLACES[place](moment)))
    text = store.load_context("order-7").to_json()
    assert f"2025-11-02T01:30:00.000000-0{4 + fold}:00" in text
    assert store.save_context(store.load_context("order-7")) == 2
    assert store.load_context("order-7").to_json() == text


def test_what_would_come_back_as_another_instant_is_refused(store):
    """A field that JSON cannot tell is no time is not taken for one."""
    with pytest.raises(UnserializableValueError) as caught:
        store.save_context(planned(span=[MOMENTS[0], MOMENTS[1]]))
    assert caught.value.path == "$.span"


def test_the_two_times_of_a_repeated_hour_are_never_taken_for_one(store):
    """Python says that they are equal: nothing that is remembered by its value may stand in for the other."""
    texts = []
    for moment in (MOMENTS[0], MOMENTS[1], MOMENTS[0]):
        store.save_context(planned(when=moment))
        texts.append(store.load_context("order-7").when.isoformat())
    assert texts == ["2025-11-02T01:30:00-04:00", "2025-11-02T01:30:00-05:00", "2025-11-02T01:30:00-04:00"]


@pytest.mark.parametrize("offset_first", [False, True])
def test_one_instant_at_two_offsets_keeps_both(tmp_path: Any, offset_first):
    """An engine's time at another offset, and a column's in UTC: neither is written in the words of the other."""
    moment = datetime(2031 + offset_first, 2, 3, 4, 5, 6, 7, tzinfo=UTC)  # that nothing else has rendered
    local = moment.astimezone(timezone(timedelta(hours=-5)))
    path = tmp_path / "zones.db"
    with ContextPersistence(path, context_type=Planned) as store:
        if offset_first:
            store.save_context(planned(when=local))
        later = attrs.evolve(planned(when=local), workflow_id="b", created_at=moment, updated_at=moment)
        store.save_context(later)
        assert str(store.load_context("b").when).endswith("-05:00")
        assert [found.workflow_id for found in store.search_contexts({"created_at": moment})] == ["b"]
    with closing(sqlite3.connect(path)) as connection:
        texts = connection.execute("SELECT created_at, updated_at FROM workflow_context WHERE workflow_id = 'b'")
        assert texts.fetchall() == [(moment.isoformat(), moment.isoformat())]


@pytest.mark.parametrize("moment", MOMENTS[:8], ids=str)
def test_a_context_in_such_an_hour_is_of_its_instant(store, moment):
    """The base fields are UTC, whatever zone they were given in."""
    store.save_context(Planned("order-7", 1, 2, "shop", "order", created_at=moment))
    loaded = store.load_context("order-7")
    assert loaded.created_at == loaded.updated_at == moment.astimezone(UTC)
    assert [header.created_at for header in store.list_headers({"created_at": moment})] == [moment.astimezone(UTC)]
