"""Documents that an engine's own code wrote with Python's json: read exactly, or named as damaged."""

import json
from typing import Any

import attrs
import pytest

from context_core import ContextPersistence, CorruptDocumentError, WorkflowContext
from context_core.records import SaveRequest
from context_core.serialization import ContextSerializer
from context_core_memory import MemoryBackend

WRITTEN: dict[str, tuple[Any, Any]] = {
    "NaN": (float("nan"), "NaN"),
    "infinity": (float("inf"), "Infinity"),
    "minus infinity": (float("-inf"), "-Infinity"),
    "2**64": (2**64, "18446744073709551616"),
    "-2**63 - 1": (-(2**63) - 1, "-9223372036854775809"),
    "a hundred digits": (10**100, "1" + "0" * 100),
    "2**64 - 1": (2**64 - 1, 2**64 - 1),
    "-2**63": (-(2**63), -(2**63)),
    "lone surrogate": ("a\ud800b", "a\\ud800b"),
    "pair": ("\U0001f600", "\U0001f600"),
    "long float": (0.12345678901234567, 0.12345678901234567),
}


def a_store(fields):
    """A store that holds one document as Python's json writes it."""
    backend = MemoryBackend()
    context = WorkflowContext(workflow_id="w", epic_num=1, story_num=2, feature="f", workflow_name="n")
    record = ContextSerializer(WorkflowContext).to_record(context)
    document = json.dumps({**json.loads(context.to_json()), **fields}).encode()
    backend.save(SaveRequest(record=attrs.evolve(record, document=document)))
    return ContextPersistence(backend)


@pytest.mark.promise("CR06", "RT01", "RT02", "RT05")
@pytest.mark.parametrize("name", WRITTEN)
def test_what_json_does_not_have_is_read_as_the_nearest_exact_value(name):
    """As text where there is no number; nothing is rounded, and the context can be saved again."""
    written, read = WRITTEN[name]
    store = a_store({"metadata": {"value": written, "list": [{"deep": written}]}})
    context = store.load_context("w")
    assert context.metadata == {"value": read, "list": [{"deep": read}]}
    assert type(context.metadata["value"]) is type(read)
    assert store.verify().is_sound
    assert len(store.search_contexts({"metadata.value": read})) == 1
    store.save_context(context)
    assert store.load_context("w").metadata == context.metadata


@pytest.mark.promise("CR06", "RT01")
def test_a_field_with_a_type_stays_damaged():
    """A NaN is no duration and 2**64 no epic: the row is named."""
    store = a_store({"epic_num": 2**64})
    with pytest.raises(CorruptDocumentError):
        store.load_context("w")
    assert [(damage.workflow_id, damage.version) for damage in store.verify().damages] == [("w", 1)]


@pytest.mark.promise("CR06", "RT01")
@pytest.mark.parametrize("name", ["NaN", "2**64", "lone surrogate"])
def test_a_document_of_this_library_never_holds_such_a_value(name):
    """Where one does, with the number of our schema, someone else wrote into it: it is named."""
    store = a_store({"schema": 1, "metadata": {"value": WRITTEN[name][0]}})
    assert [(damage.workflow_id, damage.version) for damage in store.verify().damages] == [("w", 1)]


@pytest.mark.promise("CR06")
def test_a_document_that_is_nested_without_end_is_damaged():
    """And no RecursionError."""
    backend = MemoryBackend()
    context = WorkflowContext(workflow_id="w", epic_num=1, story_num=2, feature="f", workflow_name="n")
    record = ContextSerializer(WorkflowContext).to_record(context)
    backend.save(SaveRequest(record=attrs.evolve(record, document=b'{"a":' + b"[" * 100_000)))
    with ContextPersistence(backend) as store, pytest.raises(CorruptDocumentError):
        store.load_context("w")


@pytest.mark.promise("MO01", "RT01")
@pytest.mark.parametrize("name", WRITTEN)
def test_such_a_document_travels_as_it_is_read(tmp_path, name):
    """An export rounds nothing, and its import reads as the original does."""
    store = a_store({"metadata": {"value": WRITTEN[name][0]}})
    store.export(tmp_path / "export")
    with ContextPersistence("memory://") as target:
        target.import_(tmp_path / "export")
        assert target.load_context("w").metadata == store.load_context("w").metadata == {"value": WRITTEN[name][1]}
