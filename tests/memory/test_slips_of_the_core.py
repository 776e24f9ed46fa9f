"""The test double looks at what the core sends: requests that other engines would store otherwise, or not at all."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import attrs
import pytest

from context_core import BackendContractError, WorkflowContext
from context_core.model import MAX_TEXT
from context_core.records import (
    BatchRequest,
    LoadRequest,
    QueryRequest,
    RestoreRequest,
    RestoreTombstoneRequest,
    SaveRequest,
    VersionRequest,
)
from context_core.serialization import ContextSerializer
from context_core_memory import MemoryBackend

RECORD = ContextSerializer(WorkflowContext).to_record(WorkflowContext("order-7", 1, 2, "checkout", "deliver"))
NOW = datetime(2025, 1, 1, tzinfo=UTC)
LOCAL = NOW.astimezone(timezone(timedelta(hours=1)))
LARGEST = 2**63 - 1
SOME_NUMBERS: Any = (1,)
ONE_IS_NONE: Any = ("a", None)


@pytest.fixture
def backend():
    """The double."""
    opened = MemoryBackend()
    yield opened
    opened.close()


class Text(str):
    """What is no plain text to an engine's library."""

    __slots__ = ()


def slips():
    """A field, and a value that the core never sends."""
    value: Any
    for name in ("workflow_id", "feature", "workflow_name", "current_phase", "status"):
        for value in (None, 7, Text("x"), "a\0b", "x" * (MAX_TEXT + 1)):
            yield name, value
    yield from (("workflow_id", ""), ("status", "unknown"), ("status", ""))
    for name in ("epic_num", "story_num"):
        for value in (0, -1, True, 1.0, "1", LARGEST + 1):
            yield name, value
    yield "epic_num", None
    for name in ("created_at", "updated_at"):
        for value in (None, "2025-01-01", NOW.replace(tzinfo=None), LOCAL):
            yield name, value
    yield from (("tags", ["a"]), ("tags", (1,)), ("tags", ("a", None)), ("tags", None))
    yield from (("document", "{}"), ("document", None), ("document", bytearray(b"{}")))


@pytest.mark.parametrize(("name", "value"), list(slips()))
def test_a_record_that_breaks_the_contract_is_refused(backend, name, value):
    """In a save, in a batch, in a restore; nothing is written."""
    record = attrs.evolve(RECORD, **{name: value})
    restore = RestoreRequest(record=record, version=1, saved_at=NOW, workflow_created_at=NOW)
    with pytest.raises(BackendContractError, match=f"record.{name}"):
        backend.save(SaveRequest(record=record))
    for operations in ([SaveRequest(record=RECORD), SaveRequest(record=record)], [restore]):
        with pytest.raises(BackendContractError, match=f"record.{name}"):
            backend.batch(BatchRequest(operations=operations))
    assert backend.query(QueryRequest()).count == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("workflow_id", "x" * MAX_TEXT),
        ("feature", ""),
        ("epic_num", LARGEST),
        ("epic_num", 1),
        ("story_num", None),
        ("story_num", LARGEST),
        ("tags", ()),
        ("tags", ("a", "b")),
        ("document", b""),
    ],
)
def test_the_widest_that_is_allowed_is_stored(backend, name, value):
    """The checks are no narrower than the contract."""
    assert backend.save(SaveRequest(record=attrs.evolve(RECORD, **{name: value}))).version == 1


@pytest.mark.parametrize(("name", "value"), [("saved_at", LOCAL), ("workflow_created_at", NOW.replace(tzinfo=None))])
def test_the_times_of_a_restore_are_looked_at(backend, name, value):
    """They are stored as they are."""
    restore = RestoreRequest(record=RECORD, version=1, saved_at=NOW, workflow_created_at=NOW)
    with pytest.raises(BackendContractError, match=name):
        backend.batch(BatchRequest(operations=[attrs.evolve(restore, **{name: value})]))
    tombstone = RestoreTombstoneRequest(workflow_id="order-7", last_version=1, deleted_at=value)
    with pytest.raises(BackendContractError, match="deleted_at"):
        backend.batch(BatchRequest(operations=[tombstone]))


@pytest.mark.parametrize(
    ("request_", "what"),
    [
        (LoadRequest(("a",), version=1, as_of=NOW), "together"),
        (LoadRequest(SOME_NUMBERS), "workflow_ids"),
        (LoadRequest(ONE_IS_NONE), "workflow_ids"),
        (LoadRequest(("a",), as_of=LOCAL), "as_of"),
    ],
)
def test_a_load_that_breaks_the_contract_is_refused(backend, request_, what):
    """Two places at once, or ids that are none."""
    with pytest.raises(BackendContractError, match=what):
        backend.load(request_)


@pytest.mark.parametrize("page", [{"offset": -1}, {"limit": -1}, {"limit": 1, "offset": -1}])
def test_a_page_that_begins_before_the_first_is_refused(backend, page):
    """Python would count from the end."""
    with pytest.raises(BackendContractError, match="limit and offset"):
        backend.version(VersionRequest(of="w", **page))
    with pytest.raises(BackendContractError, match="limit and offset"):
        backend.query(QueryRequest(**page))
    assert backend.query(QueryRequest(limit=0, offset=0)).count == 0
