"""Checks the five speed limits of the story. `python -m tox -e speed` runs them.

This is a benchmark, not a test: it fails on a machine that is a hundred times slower than a usual one. It must run
without parallel workers, because pytest-benchmark disables itself under them.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from context_core import ContextPersistence, WorkflowContext

pytestmark = pytest.mark.benchmark(max_time=0.5, min_rounds=20, warmup=False)

Measure: TypeAlias = Callable[[float, Callable[[], Any]], Any]
Store: TypeAlias = ContextPersistence[WorkflowContext]


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store on each built-in driver, with the default durability."""
    url = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/speed.db"
    with ContextPersistence(url) as store:
        yield store


@pytest.fixture
def measure(benchmark: BenchmarkFixture) -> Measure:
    """Repeat an action, return its last result, and fail if its median exceeds the limit in milliseconds."""

    def measure(limit_ms: float, action: Callable[[], Any]) -> Any:
        result = benchmark(action)
        if benchmark.stats is None:
            pytest.fail(
                "pytest-benchmark is disabled: run this file without parallel workers and without --benchmark-disable"
            )
        median_ms = benchmark.stats.stats.median * 1_000
        benchmark.extra_info |= {"limit_ms": limit_ms, "median_ms": median_ms}
        assert median_ms < limit_ms, f"the median is {median_ms:.3g} ms, the story's limit is {limit_ms:g} ms"
        return result

    return measure


def a_context(number: int = 7, feature: str = "checkout") -> WorkflowContext:
    """A context of about 2 KB."""
    return WorkflowContext(
        workflow_id=f"order-{number}",
        epic_num=1,
        story_num=2,
        feature=feature,
        workflow_name="implement_story",
        decisions={f"decision-{place}": {"choice": "sqlite", "because": ["local", place]} for place in range(10)},
        artifacts=[f"src/module_{place}.py" for place in range(10)],
        metadata={"run": {"id": number}},
        tags=["urgent"],
    )


def test_speed_of_a_save(store: Store, measure: Measure) -> None:
    """The story's limit is 50 ms."""
    context = a_context()
    assert measure(50, lambda: store.save_context(context)) >= 1


def test_speed_of_a_load(store: Store, measure: Measure) -> None:
    """The story's limit is 50 ms."""
    store.save_context(a_context())
    assert measure(50, lambda: store.load_context("order-7")).version == 1


def test_speed_of_an_indexed_query(store: Store, measure: Measure) -> None:
    """Ten of five hundred workflows; the story's limit is 50 ms."""
    store.save_contexts(a_context(number, f"feature-{number % 50}") for number in range(500))
    assert len(measure(50, lambda: store.get_contexts_by_feature("feature-7"))) == 10


def test_speed_of_a_batch_of_ten(store: Store, measure: Measure) -> None:
    """The story's limit is 100 ms."""
    contexts = [a_context(number) for number in range(10)]
    assert len(measure(100, lambda: store.save_contexts(contexts))) == 10


def test_speed_of_serialization(measure: Measure) -> None:
    """A context to JSON and back; the story's limit is 10 ms."""
    context = a_context()
    assert measure(10, lambda: WorkflowContext.from_json(context.to_json())) == context
