"""The two stores of a run, in one folder: the floor and context-core."""

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
    """Both open stores, which store the same contexts."""

    floor: Floor
    store: Store

    def save_both(self, contexts: Sequence[WorkflowContext]) -> None:
        """Store *contexts* in one transaction on each side."""
        self.floor.save_many(context.to_dict() for context in contexts)
        self.store.save_contexts(contexts)


@contextmanager
def open_sides(folder: Path) -> Iterator[Sides]:
    """Open both stores in *folder*, which is created if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    store: Store
    with closing(Floor(folder / "floor.db")) as floor, ContextPersistence(folder / "ours.db") as store:
        yield Sides(floor, store)
