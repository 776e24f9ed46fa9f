"""Laws of the roundtrip group: what is saved comes back exactly, or is refused."""

import copy
import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

import attrs
import pytest
from hypothesis import given

from context_core import (
    ContextCoreError,
    ContextNotFoundError,
    InvalidContextError,
    LimitExceededError,
    PhaseTransition,
    Status,
    VersionConflictError,
    WorkflowContext,
)
from context_core.records import ContextRecord, DeleteRequest, SaveRequest
from context_core_conformance.laws.roundtrip_ids import IdRoundtripLaws
from context_core_conformance.laws.roundtrip_types import TypeRoundtripLaws
from context_core_conformance.laws.roundtrip_values import ValueRoundtripLaws
from context_core_conformance.promises import promise
from context_core_conformance.samples import EPOCH, a_context
from context_core_conformance.stateful.generated_values import GENERATED, aware_times
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Store, apply, everything, headers_of, loaded, record_of

TIMES: Final = [
    datetime(2025, 1, 1, tzinfo=UTC),
    datetime(2025, 1, 1, 12, 0, 0, 1, tzinfo=UTC),
    datetime(2025, 1, 1, 12, 0, 0, 999_999, tzinfo=UTC),
    datetime(2025, 1, 1, 12, 0, 0, 100_000, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(2038, 1, 19, 3, 14, 8, 7, tzinfo=UTC),
    datetime(2025, 1, 1, 0, 30, 0, 5, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    datetime(2025, 12, 31, 23, 30, 0, 5, tzinfo=timezone(timedelta(hours=-11, minutes=-30))),
    datetime(2025, 6, 1, 12, tzinfo=timezone(timedelta(seconds=3601))),
    datetime(2025, 6, 1, 12, tzinfo=timezone(timedelta(microseconds=-1))),
]


def a_full_context() -> WorkflowContext:
    """A context with something to mutate in every field that can hold it."""
    return a_context(
        phase_history=[PhaseTransition(phase="plan", timestamp=EPOCH, duration=1.5)],
        decisions={"a": [1, {"b": 2}]},
        artifacts=[{"path": "x"}, ["y"]],
        errors=[["e"]],
        metadata={"m": {"n": [1]}},
        tags=["one", "two"],
    )


def spoil(context: WorkflowContext) -> None:
    """Change everything in *context* that can be changed."""
    context.phase_history.clear()
    context.decisions["a"][1]["b"] = "spoilt"
    context.decisions["a"].append("spoilt")
    context.artifacts[0]["path"] = "spoilt"
    context.artifacts.append("spoilt")
    context.errors[0].clear()
    context.metadata["m"]["n"].append("spoilt")
    del context.metadata["m"]
    context.tags.append("spoilt")


class RoundtripLaws(ValueRoundtripLaws, TypeRoundtripLaws, IdRoundtripLaws):
    """Laws about whole contexts: times, sharing, size; those about values, types and ids come with them."""

    @promise("RT01")
    @pytest.mark.parametrize("status", [*Status, *(status.value for status in Status)])
    def test_status_is_the_member(self, store: Store, status: str) -> None:
        """However it was given, a status comes back as the member of `Status`, in contexts and in headers."""
        version = store.save_context(a_context("w", status=status))
        found = [
            store.load_context("w"),
            store.load_context("w", version=version),
            *store.search_contexts({"status": status}),
            *store.get_context_versions(a_context().epic_num, a_context().story_num),
            *store.history("w"),
            *store.list_headers(),
        ]
        assert len(found) == 6
        assert [each.status for each in found if each.status is not Status(status)] == []

    @promise("RT09")
    @pytest.mark.parametrize("moment", TIMES, ids=str)
    def test_times_compare_equal_and_come_back_in_utc(self, subject: Subject, moment: datetime) -> None:
        """Every time keeps its microsecond, whatever its offset, in the document and in the columns."""
        store = subject.open()
        phases = [PhaseTransition(phase="plan", timestamp=moment)]
        store.save_context(a_context(created_at=moment, updated_at=moment, phase_history=phases))
        context = store.load_context("order-7")
        (header,) = headers_of(subject.backend(), "order-7")
        times = [context.created_at, context.updated_at, context.phase_history[0].timestamp]
        times += [header.created_at, header.updated_at]
        assert times == [moment] * 5
        assert [time.utcoffset() for time in times] == [timedelta(0)] * 5

    @promise("RT09")
    @GENERATED
    @given(created_at=aware_times, updated_at=aware_times)
    def test_generated_times_come_back(self, store: Store, created_at: datetime, updated_at: datetime) -> None:
        """Any aware time compares equal after load, and finds its workflow."""
        context = a_context(uuid.uuid4().hex, created_at=created_at, updated_at=updated_at)
        store.save_context(context)
        assert store.load_context(context.workflow_id) == context
        (header,) = store.history(context.workflow_id)
        assert (header.created_at, header.updated_at) == (created_at, updated_at)
        assert context in store.search_contexts({"created_at": created_at, "updated_at": updated_at})

    @promise("RT09")
    @pytest.mark.parametrize("field", ["created_at", "updated_at"])
    def test_naive_times_are_refused(self, field: str) -> None:
        """A time without a zone is refused."""
        naive = EPOCH.replace(tzinfo=None)
        with pytest.raises(InvalidContextError) as caught:
            a_context(**dict[str, Any]({field: naive}))
        assert caught.value.field == field
        with pytest.raises(InvalidContextError):
            PhaseTransition(phase="plan", timestamp=naive)
        with pytest.raises(InvalidContextError):
            a_context().transition_phase("build", at=naive)

    @promise("RT11")
    def test_changing_the_object_after_save_changes_no_store(self, store: Store) -> None:
        """The store keeps what was saved, not the object."""
        context = a_full_context()
        store.save_context(context)
        store.save_contexts([context])
        spoil(context)
        assert [store.load_context("order-7", version=version) for version in (1, 2)] == [a_full_context()] * 2

    @promise("RT11")
    def test_changing_a_loaded_value_changes_no_store(self, store: Store) -> None:
        """Each way to load gives objects of its own."""
        store.save_context(a_full_context())
        for load in (
            lambda: [store.load_context("order-7")],
            lambda: [store.load_context("order-7", version=1)],
            lambda: store.load_contexts(["order-7"]),
            lambda: store.get_context_versions(1, 2),
            lambda: store.search_contexts({"workflow_id": "order-7"}),
            lambda: [store.get_latest_context(1, 2)],
        ):
            (context,) = load()
            assert context == a_full_context()
            spoil(context)
            assert load() == [a_full_context()]

    @promise("RT11", "BA08")
    def test_an_id_asked_twice_gives_two_objects(self, store: Store) -> None:
        """Duplicates share nothing."""
        store.save_context(a_full_context())
        first, second = store.load_contexts(["order-7", "order-7"])
        spoil(first)
        assert second == a_full_context()

    @promise("RT12")
    def test_save_leaves_its_argument_as_it_was(self, store: Store) -> None:
        """The version is returned, not written into the object."""
        context = a_full_context()
        before = copy.deepcopy(context)
        store.save_context(context)
        store.save_contexts([context, context])
        store.update_context(context)
        assert (repr(context), context.unknown_fields) == (repr(before), {})
        assert context.version == 0

    @promise("RT12")
    @pytest.mark.parametrize("failure", [VersionConflictError, ContextNotFoundError, InvalidContextError])
    def test_save_that_fails_leaves_its_argument_as_it_was(self, store: Store, failure: type[ContextCoreError]) -> None:
        """A refused object can be mended and saved again."""
        context = a_full_context()
        if failure is InvalidContextError:
            context.metadata["bad"] = (1, 2)
        before = copy.deepcopy(context)
        save = store.update_context if failure is ContextNotFoundError else store.save_context
        with pytest.raises(failure):
            save(context, expected_version=5)
        with pytest.raises((VersionConflictError, InvalidContextError)):
            store.save_contexts([context, a_context(metadata={"bad": {1}})])
        assert repr(context) == repr(before)

    @promise("RT15")
    def test_an_empty_context_comes_back(self, subject: Subject) -> None:
        """Empty text is not None, and empty containers are kept."""
        store = subject.open()
        context = a_context(feature="", workflow_name="", current_phase="", story_num=None)
        store.save_context(context)
        back = store.load_context("order-7")
        assert back == context
        assert (back.feature, back.workflow_name, back.current_phase) == ("", "", "")
        assert (back.phase_history, back.decisions, back.artifacts, back.errors, back.metadata, back.tags) == (
            *([], {}, [], [], {}, []),
        )
        (header,) = headers_of(subject.backend(), "order-7")
        assert (header.feature, header.tags, header.idempotency_key, header.origin) == ("", (), None, None)

    @promise("RT15")
    def test_a_megabyte_comes_back(self, store: Store) -> None:
        """Every driver takes a document of 1 MB at least."""
        assert store.describe().limits.document_bytes >= 1_000_000
        context = a_context(artifacts=["é\0" * 1000 for _ in range(100)], metadata={"blob": "x" * 500_000})
        assert store.save_context(context) == 1
        assert store.save_contexts([context]) == [2]
        assert store.load_context("order-7", version=1) == context
        assert store.load_context("order-7") == context

    @promise("RT15", "ER08")
    def test_a_document_at_the_limit_comes_back(self, subject: Subject) -> None:
        """The declared limit is meant to the byte."""
        backend = subject.backend()
        record = _of_size(backend.describe().limits.document_bytes)
        assert backend.save(SaveRequest(record=record)).version == 1
        (stored,) = loaded(backend, "big")
        assert stored.document == record.document

    @promise("RT15", "BA01", "ER08")
    def test_a_document_over_the_limit_is_refused(self, subject: Subject) -> None:
        """One byte more is refused before any write, by save and by a batch around it."""
        backend = subject.backend()
        limit = backend.describe().limits.document_bytes
        backend.save(SaveRequest(record=record_of(a_context("other"))))
        before = everything(backend, ["big"])
        too_big = SaveRequest(record=_of_size(limit + 1))
        for refused in (
            lambda: backend.save(too_big),
            lambda: apply(backend, SaveRequest(record=record_of(a_context("big"))), too_big),
            lambda: apply(backend, DeleteRequest(workflow_id="other"), too_big),
        ):
            with pytest.raises(LimitExceededError) as caught:
                refused()
            assert (caught.value.actual, caught.value.limit) == (limit + 1, limit)
            assert everything(backend, ["big"]) == before


def _of_size(size_bytes: int) -> ContextRecord:
    record = record_of(a_context("big", metadata={"blob": "|"}))
    head, _, tail = record.document.partition(b"|")
    return attrs.evolve(record, document=head + b"x" * (size_bytes - len(head) - len(tail)) + tail)
