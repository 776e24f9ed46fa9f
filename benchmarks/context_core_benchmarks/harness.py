"""Times two ways of doing the same work in turn, within one process.

Absolute times drift with the machine and its neighbours, by more than what is to be seen here; the ratio of two medians
taken side by side does not. pytest-benchmark times one function after the other, so that a drift between the two looks
like a difference: it serves the test suite, and is no use for a ratio.
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
"""One round's work, given the number of the round."""

_BLOCKS: Final = 10
"""A run is cut into so many parts, each with a ratio of its own, to see how steady it is."""

RESTLESS: Final = 1.6
"""On an idle machine lines stay below 1.5, those of varying work included; one that is shared goes to 3 and beyond."""


@attrs.frozen(kw_only=True)
class Line:
    """One measured line: the floor's figure and ours.

    Attributes:
        unit: "us" for times; anything else is named as it is shown.
        worst_ms: Our slow tail: the 95th percentile, or the worst of all where that is what counts.
        ratios: Ours to the floor's in consecutive parts of the run; their spread is the noise within it.
        is_absolute: The goal is about our figure itself, not about its ratio to the floor's.
        failed: How many of our calls failed; any is too many.
        unrest: How much slower the floor mostly was than at its best. Neighbours add the same waits to both sides, and
            so bring a ratio towards 1: a restless line cannot be judged, least of all in our favour.
        note: What else was seen.
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
        """Ours to the floor's: a cost for times and sizes, a gain for throughputs."""
        return self.ours / self.floor

    @property
    def judged(self) -> float:
        """The figure that a goal bounds."""
        return self.ours if self.is_absolute else self.ratio

    @property
    def is_restless(self) -> bool:
        """Whether the machine was too busy for the ratio to mean anything."""
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
    """Run both in turn, *rounds* times after a tenth of warm-up, and compare their medians.

    Args:
        name: What the line is called.
        floor: The floor's way.
        ours: Our way.
        rounds: How often each is timed; no two rounds have the same number.
        prepare: What each round needs before it, untimed.
        agree: Whether both must give the same result, which the rounds of the warm-up check.

    Raises:
        ValueError: They do not do the same work.
    """
    ways = {"floor": floor, "ours": ours}

    def compare(results: Mapping[str, Any]) -> None:
        expected, given = plain(results["floor"]), plain(results["ours"])
        if agree and expected != given:
            raise ValueError(f"{name}: the floor gave {expected!r:.200}, and ours {given!r:.200}")

    times_us = in_turn(ways, rounds=rounds, prepare=prepare, check=compare)
    return line_of(name, times_us["floor"], times_us["ours"])


def in_turn(
    ways: Mapping[str, Step],
    *,
    rounds: int,
    prepare: Callable[[int], None] | None = None,
    check: Callable[[Mapping[str, Any]], None] | None = None,
) -> dict[str, list[float]]:
    """Run all *ways* in turn, *rounds* times after a tenth of warm-up; return their times in microseconds.

    Their order is drawn anew for each round, so that none always finds the caches as a certain other left them. *check* gets what they returned in each round of the warm-up.
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
    # What the benchmark itself keeps is not to be walked by the garbage collector, which stays on.
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
    """Make a line of two series of times, taken in turn."""
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
    """The time that so many percent do not exceed."""
    return sorted(times)[min(len(times) * percent // 100, len(times) - 1)]


def _in_blocks(times: Sequence[float]) -> list[Sequence[float]]:
    size = max(len(times) // _BLOCKS, 1)
    return [times[start : start + size] for start in range(0, len(times) - size + 1, size)]


def plain(result: Any) -> Any:
    """Bring both sides' results to one form: dicts for contexts, pairs of id and version for headers."""
    if isinstance(result, WorkflowContext):
        return result.to_dict()
    if isinstance(result, VersionHeader):
        return (result.workflow_id, result.version)
    if isinstance(result, tuple) and len(result) > 1:
        return result[:2]
    return [plain(item) for item in result] if isinstance(result, list) else result
