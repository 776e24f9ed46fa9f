"""Headers from rows: exact, or refused as damaged."""

from datetime import UTC, datetime

import attrs
import pytest

from context_core import CorruptDocumentError
from context_core.columns import VERSION_COLUMNS, header, tags_to_text
from context_core.records import Origin, VersionHeader

TIME = "2025-01-01T00:00:00.000000+00:00"
ROW = {
    **dict.fromkeys(VERSION_COLUMNS),
    "workflow_id": "w",
    "version": 3,
    "epic_num": 1,
    "feature": "checkout",
    "workflow_name": "deliver",
    "current_phase": "review",
    "status": "running",
    "created_at": TIME,
    "updated_at": TIME,
    "saved_at": TIME,
    "tags": '["a","ä"]',
}


def read(**columns):
    return header(tuple((ROW | columns).values()), datetime.fromisoformat)


def test_a_row_in_the_order_of_the_columns_is_a_header():
    """Every column has its place."""
    found = read(idempotency_key="k", origin_workflow_id="o", origin_version=2)
    assert {name: getattr(found, name) for name in ("workflow_id", "version", "epic_num", "story_num")} == {
        "workflow_id": "w",
        "version": 3,
        "epic_num": 1,
        "story_num": None,
    }
    assert found.tags == ("a", "ä")
    assert found.saved_at == datetime(2025, 1, 1, tzinfo=UTC)
    assert (found.idempotency_key, found.origin) == ("k", Origin(workflow_id="o", version=2))
    assert read().origin is None


def test_tags_come_back():
    """As one JSON array."""
    tags = ("a", 'quoted "b"', "ä", "")
    assert read(tags=tags_to_text(tags)).tags == tags


@pytest.mark.promise("CR06")
@pytest.mark.parametrize("tags", ["", "no JSON", '"text"', '{"a": 1}', "[1]", '["a", null]', None, 7])
def test_tags_that_are_no_list_of_texts_are_damaged(tags):
    """Else verify would call such a row sound."""
    with pytest.raises(CorruptDocumentError) as caught:
        read(tags=tags)
    assert (caught.value.workflow_id, caught.value.version) == ("w", 3)


@pytest.mark.promise("CR06")
@pytest.mark.parametrize("column", ["created_at", "updated_at", "saved_at"])
@pytest.mark.parametrize("value", [None, "yesterday", 7])
def test_a_time_that_is_none_is_damaged(column, value):
    """Whatever the reader of times says of it."""
    with pytest.raises(CorruptDocumentError):
        read(**{column: value})


@pytest.mark.parametrize("origin", [{}, {"idempotency_key": "k", "origin_workflow_id": "o", "origin_version": 2}])
def test_a_header_of_a_row_is_one_that_its_constructor_makes(origin):
    """It is built without the constructor, and lacks nothing."""
    found = read(**origin)
    built = VersionHeader(**{field.name: getattr(found, field.name) for field in attrs.fields(VersionHeader)})
    assert found == built
    assert vars(found) == vars(built)
    assert type(found.status) is type(built.status)


@pytest.mark.parametrize("column", ["created_at", "updated_at", "saved_at"])
def test_a_time_without_a_zone_is_refused(column):
    """A driver stores times in UTC, and marks them so."""
    with pytest.raises(CorruptDocumentError):
        read(**{column: "2025-01-01T00:00:00"})
