"""Laws of searching by `saved_at`, the one time of a workflow that the store sets itself."""

import operator
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

import pytest

from context_core.records import QueryRequest, Want
from context_core_conformance.promises import promise
from context_core_conformance.samples import EPOCH, TickingClock, a_context
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Store

SAVED: Final = {
    "a": EPOCH,
    "b": EPOCH + timedelta(microseconds=1),
    "c": EPOCH + timedelta(days=1),
    "d": EPOCH,
    "e": EPOCH.replace(microsecond=0),
}
"""When each workflow was saved last."""

COMPARISONS: Final[dict[str, Callable[[datetime, datetime], bool]]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
}


class QuerySavedAtLaws:
    @pytest.fixture
    def saved_in_turn(self, subject: Subject) -> Store:
        """A store of workflows whose `saved_at` says another order than every other time of theirs."""
        clock = TickingClock(EPOCH - timedelta(days=9))
        store = subject.open(clock=clock)
        store.save_contexts(a_context(name) for name in SAVED)
        for number, (name, clock.now) in enumerate(SAVED.items()):
            moment = EPOCH - timedelta(days=number)
            store.save_context(a_context(name, created_at=moment, updated_at=moment, status="paused"))
        return store

    @promise("QU01", "QU08")
    @pytest.mark.parametrize("name", COMPARISONS)
    def test_saved_at_is_compared_to_the_microsecond(self, saved_in_turn: Store, name: str) -> None:
        """Each comparison finds what Python's own finds, for a time at any offset."""
        for asked in (*SAVED.values(), EPOCH + timedelta(days=9)):
            expected = sorted(each for each, moment in SAVED.items() if COMPARISONS[name](moment, asked))
            for zone in (UTC, timezone(timedelta(hours=-9, minutes=-30))):
                filters = {f"saved_at__{name}": asked.astimezone(zone)}
                assert sorted(found.workflow_id for found in saved_in_turn.search_contexts(filters)) == expected
                assert saved_in_turn.count_contexts(filters) == len(expected)

    @promise("QU01", "QU02")
    def test_saved_at_is_one_of_several_and_never_absent(self, saved_in_turn: Store) -> None:
        """Every workflow has one: `in` finds those of the times given, `isnull` finds none."""

        def found(**filters: Any) -> list[str]:
            return sorted(header.workflow_id for header in saved_in_turn.list_headers(filters))

        assert found(saved_at__in=[EPOCH, SAVED["c"]]) == ["a", "c", "d"]
        assert found(saved_at__in=[]) == found(saved_at__isnull=True) == found(saved_at=None) == []
        assert found(saved_at__isnull=False) == found(saved_at__ne=None) == list(SAVED)

    @promise("QU01", "QU03")
    def test_saved_at_joins_other_conditions(self, saved_in_turn: Store) -> None:
        """Beside a condition of a column, and of a list that only the evaluator decides."""
        saved_in_turn.save_context(a_context("f", tags=["x"]))
        filters = {"saved_at__gte": SAVED["b"], "status": "paused"}
        assert [found.workflow_id for found in saved_in_turn.search_contexts(filters, order_by="workflow_id")] == [
            "b",
            "c",
        ]
        filters = {"saved_at__gte": SAVED["b"], "tags__contains": "x"}
        assert [found.workflow_id for found in saved_in_turn.search_contexts(filters)] == (
            ["f"] if saved_in_turn.history("f")[-1].saved_at >= SAVED["b"] else []
        )

    @promise("QU10")
    def test_saved_at_sorts_both_ways(self, saved_in_turn: Store) -> None:
        """Workflows of one time by id, ascending, whatever the direction; pages and headers go the same way."""
        for order, expected in (("saved_at", ["e", "a", "d", "b", "c"]), ("-saved_at", ["c", "b", "a", "d", "e"])):
            assert [found.workflow_id for found in saved_in_turn.search_contexts(order_by=order)] == expected
            assert [
                found.workflow_id for found in saved_in_turn.list_headers(limit=3, offset=1, order_by=order)
            ] == expected[1:4]
            assert [found.workflow_id for found in saved_in_turn.iter_contexts(order_by=order, page_size=2)] == expected
            assert not saved_in_turn.search_page(order_by=order).is_stable

    @promise("QU12", "VE09")
    def test_a_sweep_by_saved_at_spares_what_was_just_rolled_back(self, subject: Subject) -> None:
        """A rollback brings an old `updated_at` back; when the workflow was saved is not what its writer says."""
        clock = TickingClock()
        store = subject.open(clock=clock)
        store.save_contexts([a_context(), a_context("old")])
        now = clock.advance(3600)
        store.save_context(a_context(updated_at=now))
        store.rollback("order-7", 1)
        long_ago = {"saved_at__lt": now}
        assert [found.workflow_id for found in store.search_contexts(long_ago)] == ["old"]
        (header,) = subject.backend().query(QueryRequest(want=Want.HEADERS, limit=1)).headers
        assert (header.workflow_id, header.saved_at, header.updated_at) == ("order-7", now, EPOCH)
