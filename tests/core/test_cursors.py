"""Cursors: opaque text for a place, good for one filter and order only."""

import base64
from datetime import UTC, datetime

import pytest

from context_core import InvalidQueryError, VersionHeader
from context_core.cursors import Page, Place, after, is_stable, read_cursor, write_cursor
from context_core.query import parse_filters, parse_order

MOMENT = datetime(2025, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
HEADER = VersionHeader(
    workflow_id="wörk\0 flow",
    version=3,
    epic_num=1,
    story_num=None,
    feature="f",
    workflow_name="n",
    current_phase="p",
    status="running",
    created_at=MOMENT,
    updated_at=MOMENT,
    saved_at=MOMENT,
)
FILTERS = parse_filters({"epic_num__in": [1, 2], "created_at__gte": MOMENT, "decisions.a": {"b": [1.0, True]}})

each_stable_order = pytest.mark.parametrize(
    "names",
    [None, "created_at", "-workflow_id", ["-created_at", "workflow_id"], ["created_at", "-workflow_id"]],
    ids=str,
)


@each_stable_order
def test_a_cursor_reads_as_the_place_it_was_written_for(names):
    """A row's values in the order's own terms, times and text exact."""
    order = parse_order(names)
    place = after(HEADER, order)
    assert read_cursor(write_cursor(place, FILTERS, order), FILTERS, order) == place


@pytest.mark.parametrize("offset", [0, 1, 10**9])
def test_an_offset_is_a_place_too(offset):
    """For orders that have no other."""
    order = parse_order("status")
    place = Place(offset=offset)
    assert read_cursor(write_cursor(place, (), order), (), order) == place


def test_a_place_holds_a_value_for_each_term_of_the_total_order():
    """The default order and those without an id are made total first."""
    assert after(HEADER, ()).after == (MOMENT, HEADER.workflow_id)
    assert after(HEADER, parse_order("created_at")).after == (MOMENT, HEADER.workflow_id)
    assert after(HEADER, parse_order(["-workflow_id", "created_at"])).after == (HEADER.workflow_id, MOMENT)
    assert after(HEADER, parse_order("workflow_id")).after == (HEADER.workflow_id,)


@each_stable_order
def test_an_order_by_what_never_changes_is_stable(names):
    """Also the empty one, which stands for newest first."""
    assert is_stable(parse_order(names))


@pytest.mark.parametrize("names", ["version", ["created_at", "status"], ["updated_at", "workflow_id"]])
def test_an_order_by_anything_else_is_not(names):
    """One such term is enough."""
    assert not is_stable(parse_order(names))


def test_equal_queries_give_equal_cursors():
    """A cursor depends on nothing but the place, the filter and the order."""
    first, second = (write_cursor(after(HEADER, ()), parse_filters({"epic_num": 1}), ()) for _ in range(2))
    assert first == second


def test_a_cursor_fits_into_a_url():
    """Without a character that needs escaping, but for the padding."""
    cursor = write_cursor(after(HEADER, ()), FILTERS, ())
    assert cursor.isascii()
    assert set(cursor) & set("+/&?# \n") == set()


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, None),
        ({"epic_num": 2}, None),
        ({"epic_num__gte": 1}, None),
        ({"version": 1}, None),
        ({"epic_num": 1, "version": 1}, None),
        ({"epic_num": 1}, "created_at"),
        ({"epic_num": 1}, ["created_at", "-workflow_id"]),
    ],
)
def test_a_cursor_of_another_query_is_refused(filters, names):
    """Whatever is different: field, operator, value, number of conditions, order."""
    cursor = write_cursor(after(HEADER, ()), parse_filters({"epic_num": 1}), ())
    with pytest.raises(InvalidQueryError, match="another filter or order"):
        read_cursor(cursor, parse_filters(filters), parse_order(names))


@pytest.mark.parametrize(
    "wrong",
    ["", "x", "====", "é", "\ud800", " ", "AAAA", None, 7, b"bytes", ["x"], "A" * 10_000],
    ids=lambda text: repr(text)[:20],
)
def test_what_is_no_cursor_is_refused(wrong):
    """Whatever it is."""
    with pytest.raises(InvalidQueryError, match="another filter or order"):
        read_cursor(wrong, (), ())


def test_a_changed_or_shortened_cursor_is_refused():
    """Every byte counts."""
    cursor = write_cursor(after(HEADER, ()), (), ())
    raw = base64.urlsafe_b64decode(cursor)
    for place in range(len(raw)):
        changed = raw[:place] + bytes([raw[place] ^ 0x20]) + raw[place + 1 :]
        for forged in (changed, raw[:place]):
            with pytest.raises(InvalidQueryError):
                read_cursor(base64.urlsafe_b64encode(forged).decode(), (), ())


def test_a_cursor_whose_values_do_not_fit_its_order_is_refused():
    """Signed as it may be: too few values, or what is no time."""
    for values in ((HEADER.workflow_id,), (HEADER.workflow_id, HEADER.workflow_id), (1, "a"), ("a", "b", "c")):
        cursor = write_cursor(Place(after=values), (), ())
        with pytest.raises(InvalidQueryError):
            read_cursor(cursor, (), ())


def test_a_page_is_a_value():
    """Equal where what it holds is."""
    assert Page(items=(1,), next_cursor=None, is_stable=True) == Page(items=(1,), next_cursor=None, is_stable=True)
