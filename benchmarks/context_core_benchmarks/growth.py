"""Measures whether saves and loads slow down in a growing store, compared with a store of 1,000 versions."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from context_core_benchmarks.contexts import alike
from context_core_benchmarks.harness import Line, interleave
from context_core_benchmarks.sides import Sides, open_sides

SMALL: Final = 1_000
STAGES: Final = (1_000, 10_000, 100_000, 1_000_000)
VERSIONS_EACH: Final = 20
SIZE_BYTES: Final = 1_024
_BATCH: Final = 1_000


def lines(folder: Path, rounds: int, stages: Sequence[int] = STAGES) -> Iterator[Line]:
    """Grow a store in stages; in each stage, time saves and loads of random workflows in it and in the small store.

    In these lines `floor` is the figure of context-core at 1,000 versions. The note gives the ratio of a hand-written
    store. The first stage compares two stores of the same size, so the difference of its ratios from 1 is noise.
    """
    with open_sides(folder / "small") as small, open_sides(folder / "large") as large:
        _grow(small, 0, SMALL)
        size = 0
        for stage in stages:
            _grow(large, size, stage)
            size = stage
            yield from _stage(small, large, stage, rounds)


def _grow(sides: Sides, before: int, after: int) -> None:
    """Add workflows of 20 versions each, by turns, as if they had run concurrently."""
    numbers = range(before // VERSIONS_EACH, after // VERSIONS_EACH)
    for turn in range(VERSIONS_EACH):
        for start in range(numbers.start, numbers.stop, _BATCH):
            batch = range(start, min(start + _BATCH, numbers.stop))
            sides.save_both([alike(number, SIZE_BYTES, turn) for number in batch])


def _stage(small: Sides, large: Sides, stage: int, rounds: int) -> Iterator[Line]:
    source = random.Random(stage)
    many = rounds + rounds // 10 + 1
    picks = [(source.randrange(SMALL // VERSIONS_EACH), source.randrange(stage // VERSIONS_EACH)) for _ in range(many)]
    contexts = [[alike(number, SIZE_BYTES, VERSIONS_EACH + turn) for number in pair] for turn, pair in enumerate(picks)]
    fields = [[context.to_dict() for context in pair] for pair in contexts]
    ids = [[context.workflow_id for context in pair] for pair in contexts]

    def line(verb: str, ours: Any, floor: Any) -> Line:
        in_small, in_large = 0, 1
        of_floor = interleave(
            verb, lambda n: floor(small, n, in_small), lambda n: floor(large, n, in_large), rounds=rounds, agree=False
        )
        of_ours = interleave(
            verb, lambda n: ours(small, n, in_small), lambda n: ours(large, n, in_large), rounds=rounds, agree=False
        )
        return attrs.evolve(
            of_ours, name=f"{verb} at {stage:,} versions", note=f"the floor's own ratio {of_floor.ratio:.2f}"
        )

    yield line(
        "save",
        lambda sides, n, which: sides.store.save_context(contexts[n][which]),
        lambda sides, n, which: sides.floor.save(fields[n][which]),
    )
    yield line(
        "load",
        lambda sides, n, which: sides.store.load_context(ids[n][which]),
        lambda sides, n, which: sides.floor.load(ids[n][which]),
    )
