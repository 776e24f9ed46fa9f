"""The two stores of a run, side by side in one folder: the floor, and ours."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeAlias

import attrs

from context_core import ContextPersistence, WorkflowContext
from context_core_benchmarks.floor import Floor

Store: TypeAlias = ContextPersistence[WorkflowContext]


@attrs.frozen
class Sides:
    """Both stores, open; the same contexts go into both."""

    floor: Floor
    store: Store

    def save_both(self, contexts: Sequence[WorkflowContext]) -> None:
        """Store *contexts* in one transaction on each side."""
        self.floor.save_many(context.to_dict() for context in contexts)
        self.store.save_contexts(contexts)


@contextmanager
def open_sides(folder: Path) -> Iterator[Sides]:
    """Open both stores in *folder*, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    store: Store
    with closing(Floor(folder / "floor.db")) as floor, ContextPersistence(folder / "ours.db") as store:
        yield Sides(floor, store)
