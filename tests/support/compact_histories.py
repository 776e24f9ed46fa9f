"""A workflow with a long history, of which each version changes a little: what drivers pack."""

import random
from collections.abc import Iterable

from context_core import ContextPersistence, WorkflowContext


def a_context(step: int, workflow_id: str = "w") -> WorkflowContext:
    """Some kilobytes, of which each step changes a little."""
    words = random.Random(7)
    decisions = {f"d{number}": " ".join(f"word{words.randrange(999)}" for _ in range(20)) for number in range(20)}
    return WorkflowContext(
        workflow_id, 1, 2, "checkout", "deliver", decisions=decisions | {f"d{step % 20}": f"changed in step {step}"}
    ).copy_with(metadata={"step": step})


def fill(store: ContextPersistence, count: int, start: int = 1) -> None:
    """Save the next *count* steps, which become the versions of the same numbers."""
    for step in range(start, start + count):
        assert store.save_context(a_context(step)) == step


def steps_of(store: ContextPersistence, versions: Iterable[int]) -> list[int]:
    """Load versions one by one, and tell which steps they are."""
    return [store.load_context("w", version=version).metadata["step"] for version in versions]


class Reversing:
    """A document codec that makes documents opaque."""

    def encode(self, workflow_id: str, save_id: bytes, document: bytes) -> bytes:
        """Turn it round."""
        return document[::-1]

    def decode(self, workflow_id: str, save_id: bytes, document: bytes) -> bytes:
        """Turn it back."""
        return document[::-1]
