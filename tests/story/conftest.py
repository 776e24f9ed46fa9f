"""The story's tests run on both built-in drivers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from context_core import ContextPersistence, WorkflowContext
from context_core_conformance.samples import EPOCH, TickingClock


@pytest.fixture(params=["memory", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a store of its own for each test."""
    return "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/story.db"


@pytest.fixture
def clock() -> TickingClock:
    """A clock that a test sets by hand."""
    return TickingClock()


@pytest.fixture
def store(url: str, clock: TickingClock) -> Iterator[ContextPersistence[WorkflowContext]]:
    """An empty store."""
    with ContextPersistence(url, clock=clock) as store:
        yield store


@pytest.fixture
def complex_fields() -> dict[str, Any]:
    """Everything that a context's complex fields may hold."""
    return {
        "decisions": {"db": {"choice": "sqlite", "because": ["local", None, 1.5]}, "größe": True},
        "artifacts": ["src/a.py", {"path": "b.md", "lines": 12}],
        "errors": [{"message": "exit 1\n", "code": 1}],
        "metadata": {"run": {"id": 7, "tags": []}},
        "tags": ["urgent", "backend"],
        "created_at": EPOCH,
    }
