"""Laws of searching, on generated data: every driver answers as the reference evaluator does."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from context_core import Capability, WorkflowContext
from context_core.records import BatchRequest, DeleteRequest
from context_core_conformance.promises import promise
from context_core_conformance.samples import a_context
from context_core_conformance.stateful import query_strategies as generated
from context_core_conformance.stateful.reference_query import Clause, Head, heads, select
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Store


class QueryGeneratedLaws:
    @promise("QU01", "QU10")
    def test_generated_searches_equal_the_reference(self, subject: Subject) -> None:
        """Any conditions on indexed fields, in any order, on any page, find what the reference finds."""
        _compare_searches(subject, lambda _: generated.indexed_clauses())

    @promise("QU01", "QU03", "QU04")
    def test_generated_paths_equal_the_reference(self, subject: Subject) -> None:
        """Any conditions that look into free-form fields, beside others, find what the reference finds."""
        subject.requires(Capability.JSON_PATHS)
        _compare_searches(
            subject,
            lambda stored: (
                generated.path_clauses(stored) | generated.path_clauses(stored) | generated.indexed_clauses()
            ),
        )

    @promise("QU01")
    @pytest.mark.parametrize("field", generated.INDEXED)
    def test_every_operator_of_a_field_equals_the_reference(self, store: Store, field: str) -> None:
        """Each operator that a field takes, with each value, finds what the reference finds."""
        known = _heads_of(store, _one_context_a_value(field))
        for operator in generated.OPERATORS[field]:
            for value in _operands(field, operator):
                clause = Clause(field, operator, value)
                found = [context.workflow_id for context in store.search_contexts({clause.filter_key: clause.value})]
                assert (clause, found) == (clause, select(known, [clause]))

    @promise("QU01", "QU02", "QU03", "QU05")
    @pytest.mark.parametrize("operator", generated.OPERATORS["decisions"])
    def test_every_json_value_equals_the_reference(self, subject: Subject, operator: str) -> None:
        """Each JSON value, asked about with each, finds what the reference finds."""
        subject.requires(Capability.JSON_PATHS)
        store = subject.open()
        values = list(enumerate(generated.VALUES))
        known = _heads_of(store, [a_context(f"w{number:02}", decisions={"v": value}) for number, value in values])
        for value in _json_operands(operator):
            clause = Clause("decisions", operator, value, ("v",))
            found = [context.workflow_id for context in store.search_contexts({clause.filter_key: clause.value})]
            assert (clause, found) == (clause, select(known, [clause]))

    @promise("QU10")
    @pytest.mark.parametrize("field", generated.SORTABLE)
    def test_every_sortable_field_sorts_both_ways(self, store: Store, field: str) -> None:
        """Ascending and descending, with ties broken by workflow_id ascending."""
        known = _heads_of(store, _one_context_a_value(field, copies=2))
        for term in (field, f"-{field}"):
            found = [context.workflow_id for context in store.search_contexts(order_by=term)]
            assert (term, found) == (term, select(known, order=[term]))


def _compare_searches(
    subject: Subject, clauses_for: Callable[[Sequence[WorkflowContext]], st.SearchStrategy[Clause]]
) -> None:
    store, backend, runs = subject.open(), subject.backend(), itertools.count()

    @settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(
        contexts=st.lists(generated.contexts(), max_size=8) | st.lists(generated.contexts(), min_size=6, max_size=8),
        data=st.data(),
    )
    def check(contexts: list[WorkflowContext], data: st.DataObject) -> None:
        queries = data.draw(st.lists(generated.queries(clauses_for(contexts)), min_size=1, max_size=4))
        run = f"{next(runs):06}:"  # numbering goes on after a delete, so each example has ids of its own
        renamed = [attrs.evolve(context, workflow_id=run + context.workflow_id) for context in contexts]
        known = _heads_of(store, renamed)
        try:
            for query in queries:
                asked = attrs.evolve(query, clauses=tuple(_in_run(run, clause) for clause in query.clauses))
                found = [context.workflow_id for context in store.search_contexts(**asked.arguments)]
                assert found == select(known, asked.clauses, asked.order, asked.limit, asked.offset)
        finally:
            deletes = [DeleteRequest(workflow_id=head.context.workflow_id) for head in known]
            backend.batch(BatchRequest(operations=deletes))

    check()


def _heads_of(store: Store, contexts: Sequence[WorkflowContext]) -> list[Head]:
    return heads(contexts, store.save_contexts(contexts))


def _in_run(run: str, clause: Clause) -> Clause:
    """The clause about the ids of one run, where it is about ids."""
    if clause.field != "workflow_id" or clause.operator == "isnull":
        return clause
    if clause.operator == "in":
        return attrs.evolve(clause, value=[None if item is None else run + item for item in clause.value])
    return attrs.evolve(clause, value=None if clause.value is None else run + clause.value)


def _one_context_a_value(field: str, *, copies: int = 1) -> list[WorkflowContext]:
    pool = generated.POOLS[field]
    if field == "workflow_id":
        return [a_context(value) for value in pool]
    if field == "version":
        return [a_context(f"w{number}-{copy}") for number in pool for copy in range(copies) for _ in range(number)]
    if field == "tags":
        tag_lists: list[list[str]] = [[], *([tag] for tag in pool), ["a", "ab"], ["ab", "a"], ["a", "a"]]
        return [a_context(f"w{number:02}", tags=tags) for number, tags in enumerate(tag_lists)]
    return [
        a_context(f"w{number:02}-{copy}", **{field: value})
        for copy in range(copies)
        for number, value in enumerate(pool)
    ]


def _operands(field: str, operator: str) -> list[Any]:
    asked = list(generated.asked(field))
    if operator == "isnull":
        return [True, False]
    if operator == "in":
        return [[], [None], asked[:2], [*asked, None]]
    if field == "tags" and operator != "contains":
        return [[], *([tag] for tag in asked), ["a", "ab"], ["ab", "a"], ["a", "a"], ["ab"] * 3]
    return [None, *asked] if operator in ("eq", "ne", "contains") else asked


def _json_operands(operator: str) -> list[Any]:
    values = list(generated.VALUES)
    if operator == "isnull":
        return [True, False]
    if operator == "in":
        return [[], *([value] for value in values), *([value, None, "a"] for value in values)]
    if operator == "prefix":
        return [value for value in values if isinstance(value, str)]
    return values if operator in ("eq", "ne", "contains") else [value for value in values if value is not None]
