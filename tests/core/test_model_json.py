"""`from_json` reads each document that a store reads."""

from datetime import timedelta

import orjson
import pytest

from context_core import InvalidContextError, Upcaster, WorkflowContext
from context_core.serialization import ContextSerializer
from context_core_conformance.samples import EPOCH, a_context


class TestReadingWhatAStoreReads:
    """`from_json` reads each document that a store reads."""

    def test_naive_times_are_those_of_schema_0(self):
        """The story's program wrote no schema number and naive times: they are read as UTC, in the history too."""
        context = a_context().transition_phase("review", at=EPOCH + timedelta(seconds=9))
        old = context.to_json().replace("+00:00", "")
        assert old != context.to_json()
        assert WorkflowContext.from_json(old) == context

    def test_a_stored_document_is_read(self):
        """Its schema number is no unknown field."""
        context = a_context()
        stored = ContextSerializer(WorkflowContext).to_record(context).document
        assert WorkflowContext.from_json(stored) == context
        assert WorkflowContext.from_json(stored).unknown_fields == {}

    def test_the_upcasters_of_the_engine_are_taken(self):
        """Those that the store is opened with."""
        renaming = Upcaster(0, lambda fields: {**fields, "feature": fields.pop("feature_name")})
        old = a_context(feature="checkout").to_json().replace('"feature"', '"feature_name"')
        assert WorkflowContext.from_json(old, upcasters=[renaming]).feature == "checkout"
        with pytest.raises(InvalidContextError) as caught:
            WorkflowContext.from_json("{}", upcasters=[renaming])
        assert caught.value.field == "$"

    @pytest.mark.parametrize("schema", [2, -1, 1.0, "1", None, [2] * 100_000])
    def test_an_unknown_schema_is_refused(self, schema):
        """As the store refuses it."""
        with pytest.raises(InvalidContextError, match="upgrade context-core") as caught:
            WorkflowContext.from_json(orjson.dumps({**a_context().to_dict(), "schema": schema}))
        assert caught.value.field == "schema"
