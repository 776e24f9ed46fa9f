"""Measures the size of a stored version: the growth of the closed file, per version and per byte of raw JSON."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from context_core import ContextPersistence, WorkflowContext
from context_core_benchmarks.contexts import changing, real_histories
from context_core_benchmarks.floor import Floor
from context_core_benchmarks.harness import Line
from context_core_benchmarks.sides import Store

WORKFLOWS: Final = 5
VERSIONS: Final = 200


def lines(folder: Path, versions: int = VERSIONS) -> Iterator[Line]:
    """Measure histories of two sizes, in which each version changes about one percent, and the real histories."""
    for size_kb in (4, 64):
        histories = [list(changing(f"size-{number}", size_kb * 1024, versions, number)) for number in range(WORKFLOWS)]
        by_turns = [context for turn in zip(*histories, strict=True) for context in turn]
        yield _line(f"bytes a version, {size_kb} KB", folder / f"{size_kb}-kb", by_turns)
    source, contexts = real_histories()
    yield _line(f"bytes a version, {source} histories", folder / source, contexts)


def _line(name: str, folder: Path, contexts: Sequence[WorkflowContext]) -> Line:
    """Save the contexts one by one, as an engine does, close the store, and measure the file."""
    folder.mkdir(parents=True)
    raw_bytes = sum(len(context.to_json().encode()) for context in contexts)
    growth = {"floor": _growth(folder / "floor.db", _save_floor, contexts)}
    growth["ours"] = _growth(folder / "ours.db", _save_ours, contexts)
    return Line(
        name=name,
        unit="x raw JSON",
        floor=growth["floor"] / raw_bytes,
        ours=growth["ours"] / raw_bytes,
        is_absolute=True,
        note=f"{growth['ours'] / len(contexts):,.0f} bytes of {raw_bytes / len(contexts):,.0f}",
    )


def _growth(
    path: Path, save: Callable[[Path, Sequence[WorkflowContext]], None], contexts: Sequence[WorkflowContext]
) -> int:
    save(path, [])
    empty = path.stat().st_size
    save(path, contexts)
    assert not path.with_name(f"{path.name}-wal").exists(), "the last to close folds the WAL into the file"
    return path.stat().st_size - empty


def _save_floor(path: Path, contexts: Sequence[WorkflowContext]) -> None:
    with closing(Floor(path)) as floor:
        for context in contexts:
            floor.save(context.to_dict())


def _save_ours(path: Path, contexts: Sequence[WorkflowContext]) -> None:
    store: Store
    with ContextPersistence(path) as store:
        for context in contexts:
            store.save_context(context)
