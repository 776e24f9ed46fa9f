"""Laws of the roundtrip group about context types, and about fields that the reader does not know."""

import json
from typing import Any

import attrs
import pytest

from context_core import WorkflowContext
from context_core.records import BatchRequest, SaveRequest
from context_core_conformance.promises import promise
from context_core_conformance.samples import EPOCH, a_context
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import loaded, record_of


@attrs.frozen
class Budget:
    """A nested value of an engine's own."""

    hours: float
    owner: str | None = None


@attrs.frozen(slots=False)
class EngineContext(WorkflowContext):
    """A context as an engine might extend it: optional, union, nested, alias, private."""

    note: str | None = None
    size: int | str = 0
    budget: Budget | None = None
    budgets: list[Budget] = attrs.field(factory=list)
    by_phase: dict[str, Budget] = attrs.field(factory=dict)
    estimate: float = attrs.field(default=0.0, alias="days")
    _origin: str = "cli"


@attrs.frozen(slots=False)
class OtherContext(WorkflowContext):
    """Another engine's context, which shares one field of the first."""

    note: str | None = None
    colour: str = "red"


OWN_FIELDS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "optional": {"note": "remember"},
    "union of int": {"size": 1},
    "union of text": {"size": "1"},
    "nested": {"budget": Budget(1.5, "eve")},
    "list of nested": {"budgets": [Budget(1.0), Budget(2.5, "bob")]},
    "dict of nested": {"by_phase": {"plan": Budget(0.1 + 0.2)}},
    "alias": {"days": 3.5},
    "private": {"origin": "web"},
    "base fields": {"metadata": {"deep": [1, 1.0, True]}, "tags": ["a", "b"], "story_num": None},
}


def an_engine_context(**fields: Any) -> EngineContext:
    """A small context of the engine's type."""
    plain: dict[str, Any] = {"workflow_id": "order-7", "epic_num": 1, "story_num": 2, "feature": "f"}
    return EngineContext(**(plain | {"workflow_name": "w", "created_at": EPOCH} | fields))


class TypeRoundtripLaws:
    """Laws about subclasses of WorkflowContext and unknown fields."""

    @promise("RT10")
    @pytest.mark.parametrize("case", OWN_FIELDS)
    def test_a_subclass_compares_equal_after_load(self, subject: Subject, case: str) -> None:
        """Each further field comes back as what it was, in a context of the same type."""
        store = subject.open(context_type=EngineContext)
        context = an_engine_context(**OWN_FIELDS[case])
        store.save_context(context)
        back = store.load_context("order-7")
        assert type(back) is EngineContext
        assert back == context
        assert repr(back.to_dict()) == repr(context.to_dict())

    @promise("RT10", "RT14")
    def test_a_store_of_the_base_type_loads_and_keeps_a_subclass(self, subject: Subject) -> None:
        """Fields of the subclass survive a load and a save by a store that does not know them."""
        engine, plain = subject.open(context_type=EngineContext), subject.open()
        context = an_engine_context(note="remember", budget=Budget(1.5), size="1", days=2.0)
        engine.save_context(context)
        seen = plain.load_context("order-7")
        assert type(seen) is WorkflowContext
        assert seen.workflow_id == "order-7"
        plain.save_context(seen.copy_with(status="paused", updated_at=context.updated_at))
        assert engine.load_context("order-7") == context.copy_with(status="paused", updated_at=context.updated_at)

    @promise("RT10", "RT14")
    def test_two_types_share_a_row_without_loss(self, subject: Subject) -> None:
        """Each of two types keeps what only the other knows, and both see what they share."""
        engine, other = subject.open(context_type=EngineContext), subject.open(context_type=OtherContext)
        engine.save_context(an_engine_context(note="first", budget=Budget(1.0)))
        seen = other.load_context("order-7")
        assert (seen.note, seen.colour) == ("first", "red")
        other.save_context(seen.copy_with(note="second", colour="blue"))
        engine.save_context(engine.load_context("order-7").copy_with(size=9))
        assert other.load_context("order-7").colour == "blue"
        back = engine.load_context("order-7")
        assert (back.note, back.budget, back.size) == ("second", Budget(1.0), 9)

    @promise("RT10")
    def test_rows_of_the_base_type_load_into_a_subclass(self, subject: Subject) -> None:
        """What an old row does not hold has its default."""
        subject.open().save_context(a_context(metadata={"a": 1}))
        back = subject.open(context_type=EngineContext).load_context("order-7")
        assert type(back) is EngineContext
        assert (back.metadata, back.note, back.size, back.budgets) == ({"a": 1}, None, 0, [])

    @promise("RT14")
    def test_fields_of_a_newer_writer_are_kept(self, subject: Subject) -> None:
        """A document with further fields keeps them through load, change and save, rollback included."""
        backend, store = subject.backend(), subject.open()
        further = {"priority": 3, "deep": {"z": [1, 1.0, True, None], "a": "\0"}, "empty": None}
        _save_document(backend, further)
        store.save_context(store.load_context("order-7").copy_with(status="paused"))
        store.rollback("order-7", 1)
        for version in (1, 2, 3):
            (stored,) = loaded(backend, "order-7", version=version)
            fields = json.loads(stored.document)
            assert repr({name: fields[name] for name in further}) == repr(further)

    @promise("RT14")
    def test_further_fields_of_a_phase_are_kept(self, subject: Subject) -> None:
        """What a newer writer notes of a phase is kept through load and save."""
        backend, store = subject.backend(), subject.open()
        phase = {"phase": "plan", "timestamp": EPOCH.isoformat(), "duration": 1.5, "agent": "eve"}
        _save_document(backend, {"phase_history": [phase]})
        store.save_context(store.load_context("order-7").copy_with(status="paused"))
        (stored,) = loaded(backend, "order-7")
        assert json.loads(stored.document)["phase_history"] == [phase]

    @promise("RT01", "RT02", "RT03", "RT04", "RT07")
    def test_documents_come_back_byte_for_byte(self, subject: Subject) -> None:
        """A driver gives back the very bytes: it does not parse a document and write it anew."""
        backend = subject.backend()
        own = [
            b'"a":1.0',
            b'"a": 1e2',
            b'"a":-0.0',
            b'"\\u0061":"\\u00e9\\u0000"',
            '"é":"e\u0301"'.encode(),
            b'"z":1,"a":2',
        ]
        documents = [b"{" + fields + b',"schema":1}\n' for fields in own]
        documents += [b"\x00\xff\xfe no text, as a codec might write", b"\xef\xbb\xbf{}", b"", b"\0"]
        for document in documents:
            backend.save(SaveRequest(record=attrs.evolve(record_of(a_context("alone")), document=document)))
        together = [
            SaveRequest(record=attrs.evolve(record_of(a_context("together")), document=document))
            for document in documents
        ]
        backend.batch(BatchRequest(operations=together))
        for workflow_id in ("alone", "together"):
            back = [loaded(backend, workflow_id, version=number + 1)[0].document for number in range(len(documents))]
            assert back == documents
            assert loaded(backend, workflow_id)[0].document == documents[-1]


def _save_document(backend: Any, fields: dict[str, Any]) -> None:
    record = record_of(a_context())
    document = json.dumps(json.loads(record.document) | fields).encode()
    backend.save(SaveRequest(record=attrs.evolve(record, document=document)))
