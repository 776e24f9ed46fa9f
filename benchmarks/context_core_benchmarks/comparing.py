"""Checks the results of a run against the goals."""

from collections.abc import Iterator
from typing import Final

from context_core_benchmarks.goals import GOALS
from context_core_benchmarks.results import Results

TOLERANCE: Final = 0.1
"""The share by which a ratio may miss its goal, because differences of this size are noise.

Measured: two runs of the same code on an idle machine gave ratios up to 5 percent apart, and an idle and a busy machine
up to 7 percent, without the unsteady lines. Only the lines of processes differed more, by 17 percent in ten turns, so
they now take twenty turns.
"""


def misses(results: Results, tolerance: float = TOLERANCE) -> Iterator[str]:
    """Name each line that misses its goal by more than noise, each line that cannot be judged, and each failure.

    Absolute times are never judged: only ratios, sizes, and whether calls failed.
    """
    lines = results.named()
    for name, goal in GOALS.items():
        line = lines.get(name)
        if goal.measured_by != results.measured_by:
            continue
        if line is None:
            yield f"{name}: not measured"
        elif line.is_restless:
            yield f"{name}: the machine was too busy to tell; measure again"
        elif not goal.is_met(line.judged, tolerance):
            yield f"{name}: {line.judged:.3g}, and the goal is {goal}"
    for line in results.lines:
        if line.failed:
            yield f"{line.name}: {line.failed} failed"
