"""Times two implementations of the same work, which run by turns in one process.

Absolute times change with the other load on the machine, by more than the differences of interest. The ratio of two
medians that are measured by turns does not. pytest-benchmark times one function after the other. A change of the load
between them then looks like a difference, so it cannot measure a ratio. The speed tests use it.
"""

import gc
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs

from context_core import VersionHeader, WorkflowContext

Step = Callable[[int], Any]
"""The work of one round; its argument is the number of the round."""

_BLOCKS: Final = 10
"""A run is divided into so many parts, and each part has its own ratio, which shows how steady the run is."""

RESTLESS: Final = 1.6
"""On an idle machine lines stay below 1.5, including lines with varying work; on a busy machine they exceed 3."""


@attrs.frozen(kw_only=True)
class Line:
    """One measured line: the figure of the floor, and that of context-core.

    Attributes:
        unit: "us" for times; otherwise the text of the unit.
        worst_ms: The slow tail of context-core: the 95th percentile, or the slowest call if that matters.
        ratios: The ratios in consecutive parts of the run; their spread is the noise of the run.
        is_absolute: Whether the goal limits the figure of context-core itself, not its ratio to the floor.
        failed: The number of failed calls of context-core; it must be 0.
        unrest: The median of the floor divided by its best time. Other load adds the same waits to both sides, so the
            ratio comes closer to 1. A line with a high value cannot be judged.
        note: Other observations.
    """

    name: str
    unit: str = "us"
    floor: float
    ours: float
    worst_ms: float | None = None
    ratios: tuple[float, ...] = ()
    is_absolute: bool = False
    failed: int = 0
    unrest: float = 1.0
    note: str = ""

    @property
    def ratio(self) -> float:
        """The figure of context-core divided by that of the floor: a cost for times, a gain for throughputs."""
        return self.ours / self.floor

    @property
    def judged(self) -> float:
        """The figure that a goal limits."""
        return self.ours if self.is_absolute else self.ratio

    @property
    def is_restless(self) -> bool:
        """Whether the machine was too busy to judge the ratio."""
        return self.unrest > RESTLESS


def interleave(  # noqa: PLR0913  # two ways and how to run them, all but the ways by name
    name: str,
    floor: Step,
    ours: Step,
    *,
    rounds: int,
    prepare: Callable[[int], None] | None = None,
    agree: bool = True,
) -> Line:
    """Run both by turns, *rounds* times after a warm-up of a tenth, and compare their medians.

    Args:
        name: The name of the line.
        floor: The implementation of the floor.
        ours: The implementation with context-core.
        rounds: How often each one is timed; every round has a different number.
        prepare: Called before each round; not timed.
        agree: Whether the warm-up rounds check that both return the same result.

    Raises:
        ValueError: The results differ.
    """
    ways = {"floor": floor, "ours": ours}

    def compare(results: Mapping[str, Any]) -> None:
        expected, given = plain(results["floor"]), plain(results["ours"])
        if agree and expected != given:
            raise ValueError(f"{name}: the floor returned {expected!r:.200}, and context-core {given!r:.200}")

    times_us = in_turn(ways, rounds=rounds, prepare=prepare, check=compare)
    return line_of(name, times_us["floor"], times_us["ours"])


def in_turn(
    ways: Mapping[str, Step],
    *,
    rounds: int,
    prepare: Callable[[int], None] | None = None,
    check: Callable[[Mapping[str, Any]], None] | None = None,
) -> dict[str, list[float]]:
    """Run all *ways* by turns, *rounds* times after a warm-up of a tenth; return their times in microseconds.

    Each round uses a new random order, so that no way always finds the caches in the state that another one left.
    *check* is called with the results of each warm-up round.
    """
    names = list(ways)
    order = random.Random(rounds)
    warm_up = max(rounds // 10, 1)
    for number in range(warm_up):
        if prepare is not None:
            prepare(number)
        results = {name: ways[name](number) for name in names}
        if check is not None:
            check(results)
    # The garbage collector stays on, but must not walk the objects that the benchmark itself keeps.
    gc.collect()
    gc.freeze()
    times_us: dict[str, list[float]] = {name: [] for name in names}
    for number in range(warm_up, warm_up + rounds):
        if prepare is not None:
            prepare(number)
        order.shuffle(names)
        for name in names:
            way = ways[name]
            started = time.perf_counter_ns()
            way(number)
            times_us[name].append((time.perf_counter_ns() - started) / 1_000)
    gc.unfreeze()
    return times_us


def line_of(name: str, floor_us: Sequence[float], ours_us: Sequence[float]) -> Line:
    """Make a line from two series of times that were measured by turns."""
    return Line(
        name=name,
        floor=statistics.median(floor_us),
        ours=statistics.median(ours_us),
        worst_ms=percentile(ours_us, 95) / 1_000,
        unrest=statistics.median(floor_us) / percentile(floor_us, 10),
        ratios=tuple(
            statistics.median(ours) / statistics.median(floor)
            for floor, ours in zip(_in_blocks(floor_us), _in_blocks(ours_us), strict=True)
        ),
    )


def percentile(times: Sequence[float], percent: int) -> float:
    """Return the time that so many percent of the times do not exceed."""
    return sorted(times)[min(len(times) * percent // 100, len(times) - 1)]


def _in_blocks(times: Sequence[float]) -> list[Sequence[float]]:
    size = max(len(times) // _BLOCKS, 1)
    return [times[start : start + size] for start in range(0, len(times) - size + 1, size)]


def plain(result: Any) -> Any:
    """Convert the results of both sides to one form: dicts for contexts, pairs of id and version for headers."""
    if isinstance(result, WorkflowContext):
        return result.to_dict()
    if isinstance(result, VersionHeader):
        return (result.workflow_id, result.version)
    if isinstance(result, tuple) and len(result) > 1:
        return result[:2]
    return [plain(item) for item in result] if isinstance(result, list) else result
