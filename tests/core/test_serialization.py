"""Contexts to records and back: schemas, upcasters, unknown fields."""

import copy
from datetime import UTC, timedelta
from typing import Any

import attrs
import orjson
import pytest

from context_core import (
    ConfigurationError,
    CorruptDocumentError,
    InvalidContextError,
    PhaseTransition,
    UnserializableValueError,
    UnsupportedSchemaError,
    Upcaster,
    WorkflowContext,
)
from context_core.idempotency import idempotency_key
from context_core.records import StoredDocument
from context_core.serialization import ContextSerializer
from context_core.upcasting import SCHEMA
from context_core_conformance.samples import EPOCH, a_context

LATER = EPOCH + timedelta(seconds=90)


@attrs.frozen(slots=False)
class Prioritized(WorkflowContext):
    priority: int = 0


@pytest.fixture
def serializer():
    return ContextSerializer(WorkflowContext)


def stored(document: Any, version: int = 3) -> StoredDocument:
    encoded = document if isinstance(document, bytes) else orjson.dumps(document)
    return StoredDocument(workflow_id="order-7", version=version, document=encoded)


def written(serializer, context) -> dict[str, Any]:
    fields = orjson.loads(serializer.to_record(context).document)
    assert type(fields) is dict
    return fields


class TestWriting:
    def test_a_record_holds_the_indexed_fields(self, serializer):
        """As the context says them."""
        record = serializer.to_record(a_context(tags=["b", "a"], status="failed", updated_at=LATER))
        assert (record.workflow_id, record.epic_num, record.story_num) == ("order-7", 1, 2)
        assert (record.feature, record.workflow_name, record.current_phase) == (
            "checkout",
            "implement_story",
            "initialization",
        )
        assert (record.status, record.created_at, record.updated_at, record.tags) == (
            "failed",
            EPOCH,
            LATER,
            ("b", "a"),
        )

    def test_a_document_begins_with_its_schema(self, serializer):
        """So that every reader knows what it reads; the fields follow in their order."""
        context = a_context()
        assert list(written(serializer, context).items()) == [("schema", SCHEMA), *context.to_dict().items()]

    def test_the_version_is_no_part_of_the_document(self, serializer):
        """Nor is the place for unknown fields."""
        assert written(serializer, a_context(version=9)).keys().isdisjoint({"version", "unknown_fields"})

    def test_writing_does_not_change_the_context(self, serializer):
        """Also where it fails (RT12)."""
        good = a_context(decisions={"a": [1]}, unknown_fields={"later": 1})
        bad = good.copy_with(decisions={"a": [(1,)]})
        for context in (good, bad):
            before = copy.deepcopy(context)
            try:
                serializer.to_record(context)
            except UnserializableValueError:
                assert context is bad
            assert context == before

    @pytest.mark.parametrize("context", [None, {}, "order-7", a_context().to_dict()])
    def test_what_is_no_context_is_refused(self, serializer, context):
        """The error says what it is."""
        with pytest.raises(InvalidContextError, match=f"not {type(context).__name__}") as caught:
            serializer.to_record(context)
        assert caught.value.field == "context"

    def test_a_bad_value_is_named_by_its_place_in_the_context(self, serializer):
        """By path and type."""
        with pytest.raises(UnserializableValueError) as caught:
            serializer.to_record(a_context(artifacts=[{"made": {1}}]))
        assert (caught.value.path, caught.value.type_name, caught.value.field) == (
            "$.artifacts[0].made",
            "set",
            "artifacts",
        )

    @pytest.mark.parametrize("tag", [None, 5, ["a"]])
    def test_a_tag_that_was_slipped_in_is_refused(self, serializer, tag):
        """A frozen object still holds a mutable list."""
        context = a_context(tags=["a"])
        context.tags.append(tag)
        with pytest.raises(InvalidContextError) as caught:
            serializer.to_record(context)
        assert caught.value.field == "tags"

    @pytest.mark.parametrize("item", [None, 5, {"phase": "a"}])
    def test_a_transition_that_was_slipped_in_is_refused(self, serializer, item):
        """As a tag."""
        context = a_context()
        context.phase_history.append(item)
        with pytest.raises(InvalidContextError) as caught:
            serializer.to_record(context)
        assert caught.value.field == "phase_history"

    @pytest.mark.parametrize("name", ["status", "workflow_id", "schema"])
    def test_unknown_fields_hide_no_known_one(self, serializer, name):
        """The document would say other things than the row."""
        with pytest.raises(InvalidContextError, match=name) as caught:
            serializer.to_record(a_context(unknown_fields={name: "x"}))
        assert caught.value.field == "unknown_fields"

    def test_unknown_fields_of_a_transition_hide_no_known_one(self, serializer):
        """As those of the context."""
        transition = PhaseTransition(phase="a", timestamp=EPOCH, unknown_fields={"phase": "b"})
        with pytest.raises(InvalidContextError, match="phase"):
            serializer.to_record(a_context(phase_history=[transition]))

    @pytest.mark.parametrize("name", ["version", "unknown_fields", "saved_at"])
    def test_unknown_fields_may_have_any_other_name(self, serializer, name):
        """A newer writer's fields are kept whatever they are called (RT14)."""
        context = a_context(unknown_fields={name: [1]})
        loaded = serializer.to_context(stored(serializer.to_record(context).document))
        assert loaded == context
        assert written(serializer, loaded)[name] == [1]


class TestReading:
    def test_a_document_comes_back(self, serializer):
        """Equal, with the version it was stored under."""
        context = a_context(decisions={"é": [1, None]}).transition_phase("b", at=LATER)
        loaded = serializer.to_context(stored(serializer.to_record(context).document, version=7))
        assert (loaded, loaded.version) == (context, 7)

    @pytest.mark.parametrize(
        "document",
        [
            b"", b"{", b"\xff", b"null", b"[]", b"5", b'"text"', {}, {"schema": 1}, {"schema": 0},
            {"schema": 0, "phase_history": 5}, {"schema": 0, "created_at": "soon"},
            {"schema": 1, **a_context().to_dict(), "status": "done"},
            {"schema": 1, **a_context().to_dict(), "phase_history": [None]},
            {"schema": 1, **a_context().to_dict(), "created_at": "2025-01-02T03:04:05"},
        ],
    )  # fmt: skip
    def test_what_cannot_be_read_is_corrupt(self, serializer, document):
        """The error names workflow and version, keeps the cause, and repeats nothing of the document."""
        with pytest.raises(CorruptDocumentError) as caught:
            serializer.to_context(stored(document))
        assert (caught.value.workflow_id, caught.value.version) == ("order-7", 3)
        assert caught.value.__cause__ is not None
        assert "done" not in str(caught.value)

    def test_a_field_that_does_not_fit_is_named(self, serializer):
        """So that someone can look at it."""
        document = {"schema": 1, **a_context().to_dict(), "epic_num": "secret"}
        with pytest.raises(CorruptDocumentError, match="its field epic_num does not fit") as caught:
            serializer.to_context(stored(document))
        assert "secret" not in str(caught.value)

    @pytest.mark.parametrize("schema", [SCHEMA + 1, 99, -1, True, 1.0, "1", None, [1]])
    def test_an_unknown_schema_is_refused(self, serializer, schema):
        """Newer, older than any, or none at all: the error carries it."""
        with pytest.raises(UnsupportedSchemaError) as caught:
            serializer.to_context(stored({**a_context().to_dict(), "schema": schema}))
        assert (caught.value.schema, caught.value.known) == (schema, SCHEMA)

    def test_a_newer_writers_fields_are_kept(self, serializer):
        """Through load and save, at the end of the document (RT14)."""
        document = {"schema": 1, **a_context().to_dict(), "later": {"a": [1]}}
        context = serializer.to_context(stored(document))
        assert context.unknown_fields == {"later": {"a": [1]}}
        assert written(serializer, context) == document


class TestUpcasting:
    def test_a_document_without_a_schema_has_naive_times(self, serializer):
        """Those of the story's first table; they are read as UTC, aware ones as they are."""
        fields = a_context(phase_history=[PhaseTransition(phase="a", timestamp=LATER)]).to_dict()
        fields["created_at"] = "2025-01-02T03:04:05.678901"
        fields["updated_at"] = "2025-01-02T04:04:05.678901+01:00"
        fields["phase_history"][0]["timestamp"] = "2025-01-02 03:05:35.678901"
        context = serializer.to_context(stored(fields))
        assert (context.created_at, context.updated_at) == (EPOCH, EPOCH)
        assert context.phase_history[0].timestamp == LATER
        assert context.created_at.tzinfo is context.updated_at.tzinfo is UTC

    def test_a_document_without_a_schema_may_lack_what_has_a_default(self, serializer):
        """But for its times, which cannot be guessed."""
        names = ("workflow_id", "epic_num", "story_num", "feature", "workflow_name", "created_at", "updated_at")
        fields = {name: value for name, value in a_context().to_dict().items() if name in names}
        assert serializer.to_context(stored(fields)) == a_context()
        with pytest.raises(CorruptDocumentError, match="created_at"):
            serializer.to_context(stored({name: fields[name] for name in names[:5]}))

    def test_a_bad_transition_without_a_schema_is_corrupt(self, serializer):
        """The step passes over what it cannot read; the reader does not."""
        fields = {**a_context().to_dict(), "phase_history": ["text"]}
        with pytest.raises(CorruptDocumentError):
            serializer.to_context(stored(fields))

    def test_an_engines_own_step_runs_too(self):
        """It gets the fields without the schema number."""
        seen = []

        def upgrade(fields: dict[str, Any]) -> dict[str, Any]:
            seen.append("schema" in fields)
            return {**fields, "feature": "upgraded"}

        serializer = ContextSerializer(WorkflowContext, [Upcaster(0, upgrade)])
        assert serializer.to_context(stored(a_context().to_dict())).feature == "upgraded"
        assert seen == [False]

    def test_steps_form_a_chain(self, monkeypatch):
        """Each reads the form before the next."""
        monkeypatch.setattr("context_core.upcasting.SCHEMA", 3)
        monkeypatch.setattr("context_core.serialization.SCHEMA", 3)
        order = []

        def step(number):
            def upgrade(fields):
                order.append(number)
                return fields

            return Upcaster(number, upgrade)

        serializer = ContextSerializer(WorkflowContext, [step(2), step(0), step(1)])
        serializer.to_context(stored(a_context().to_dict()))
        assert order == [0, 1, 2]

    @pytest.mark.parametrize("schema", [-1, SCHEMA, SCHEMA + 1])
    def test_a_step_from_a_schema_that_never_was_is_refused(self, schema):
        """It would never be asked."""
        with pytest.raises(ConfigurationError, match="an upcaster starts from schema"):
            ContextSerializer(WorkflowContext, [Upcaster(schema, dict)])

    def test_a_step_that_fails_makes_the_document_corrupt(self):
        """The cause is the step's own error."""

        def upgrade(_):
            raise KeyError("missing")

        serializer = ContextSerializer(WorkflowContext, [Upcaster(0, upgrade)])
        with pytest.raises(CorruptDocumentError) as caught:
            serializer.to_context(stored(a_context().to_dict()))
        assert isinstance(caught.value.__cause__, KeyError)

    def test_steps_are_not_asked_for_current_documents(self):
        """They cost nothing."""
        serializer = ContextSerializer(WorkflowContext, [Upcaster(0, lambda _: pytest.fail("asked"))])
        context = a_context()
        assert serializer.to_context(stored(serializer.to_record(context).document)) == context


class TestKeys:
    def test_a_key_carries_a_hash_of_the_content(self, serializer):
        """The same content gives the same, other content another."""
        first, same, other = (serializer.to_record(a_context(feature=feature)) for feature in ("x", "x", "y"))
        assert idempotency_key("k", first) == idempotency_key("k", same)
        assert idempotency_key("k", first).content_hash != idempotency_key("k", other).content_hash


class TestContextTypes:
    @pytest.mark.parametrize("kind", [dict, PhaseTransition, a_context(), "WorkflowContext", None])
    def test_only_a_context_will_do(self, kind):
        """WorkflowContext or a subclass."""
        with pytest.raises(ConfigurationError, match="context_type must be WorkflowContext"):
            ContextSerializer(kind)

    def test_further_fields_need_defaults(self):
        """Rows of other types do not hold them; the error names the field."""

        @attrs.frozen(slots=False, kw_only=True)
        class Needy(WorkflowContext):
            need: int

        with pytest.raises(ConfigurationError, match=r"Needy\.need needs a default"):
            ContextSerializer(Needy)

    def test_no_field_may_be_called_schema(self):
        """The document has one of its own."""

        @attrs.frozen(slots=False)
        class Schemed(WorkflowContext):
            schema: int = 1

        with pytest.raises(ConfigurationError, match=r"Schemed\.schema"):
            ContextSerializer(Schemed)

    def test_another_types_fields_are_kept(self, serializer):
        """A store of plain contexts loads rows of a subclass and gives them back whole."""
        document = serializer.to_record(Prioritized(**vars(a_context()), priority=3)).document
        plain = serializer.to_context(stored(document))
        assert (type(plain), plain.unknown_fields) == (WorkflowContext, {"priority": 3})
        again = ContextSerializer(Prioritized).to_context(stored(serializer.to_record(plain).document))
        assert (again.priority, again.unknown_fields) == (3, {})

    def test_a_plain_row_gets_the_default(self, serializer):
        """A store of a subclass loads rows of the plain type."""
        document = serializer.to_record(a_context()).document
        assert ContextSerializer(Prioritized).to_context(stored(document)) == Prioritized(**vars(a_context()))
