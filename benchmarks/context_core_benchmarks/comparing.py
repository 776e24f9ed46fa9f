"""Holds a run to the goals."""

from collections.abc import Iterator
from typing import Final

from context_core_benchmarks.goals import GOALS
from context_core_benchmarks.results import Results

TOLERANCE: Final = 0.1
"""How far beyond its goal a ratio may lie and still count as noise.

Measured: within an idle run the tenths of it stray by 1 to 4 percent around a line's ratio, by 8 to 14 for crowds; the
same code on an idle machine and among busy neighbours gave ratios up to 7 percent apart, restless lines left out.
"""


def misses(results: Results, tolerance: float = TOLERANCE) -> Iterator[str]:
    """Name each line that is worse than its goal by more than noise, each that could not be judged, and each failure.

    Never a wall-clock time: only ratios, sizes, and whether calls failed.
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
