"""The five speed lines of the story, measured. A slow machine fails no test: the limits are only reported."""

from typing import Any

import pytest

from context_core import WorkflowContext
from context_core_conformance.samples import a_context

pytestmark = pytest.mark.benchmark(max_time=0.2, min_rounds=5, warmup=False)

FIELDS: dict[str, Any] = {
    "decisions": {f"decision-{number}": {"choice": "sqlite", "because": ["local", number]} for number in range(10)},
    "artifacts": [f"src/module_{number}.py" for number in range(10)],
    "metadata": {"run": {"id": 7}},
    "tags": ["urgent"],
}


@pytest.fixture
def measure(benchmark):
    """Runs an action for a while, and reports its mean beside the story's limit in milliseconds."""

    def measure(limit_ms, action):
        result = benchmark(action)
        benchmark.extra_info["limit_ms"] = limit_ms
        if benchmark.stats is not None:  # absent where benchmarks are disabled
            benchmark.extra_info["is_within"] = benchmark.stats.stats.mean * 1000 < limit_ms
        return result

    return measure


def test_speed_of_a_save(store, measure):
    """The story's limit is 50 ms."""
    context = a_context(**FIELDS)
    assert measure(50, lambda: store.save_context(context)) >= 1


def test_speed_of_a_load(store, measure):
    """The story's limit is 50 ms."""
    store.save_context(a_context(**FIELDS))
    assert measure(50, lambda: store.load_context("order-7")).version == 1


def test_speed_of_an_indexed_query(store, measure):
    """The story's limit is 50 ms."""
    store.save_contexts(
        a_context(f"order-{number}", feature=f"feature-{number % 50}", **FIELDS) for number in range(500)
    )
    assert len(measure(50, lambda: store.get_contexts_by_feature("feature-7"))) == 10


def test_speed_of_a_batch_of_ten(store, measure):
    """The story's limit is 100 ms."""
    contexts = [a_context(f"order-{number}", **FIELDS) for number in range(10)]
    assert len(measure(100, lambda: store.save_contexts(contexts))) == 10


def test_speed_of_serialization(measure):
    """There and back; the story's limit is 10 ms."""
    context = a_context(**FIELDS)
    assert measure(10, lambda: WorkflowContext.from_json(context.to_json())) == context
