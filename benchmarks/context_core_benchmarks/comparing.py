"""Holds a run to the goals."""

from collections.abc import Iterator
from typing import Final

from context_core_benchmarks.goals import GOALS
from context_core_benchmarks.results import Results

TOLERANCE: Final = 0.1
"""How far beyond its goal a ratio may lie and still count as noise.

Measured: two idle runs of the same code gave ratios up to 5 percent apart, an idle one and one among busy neighbours up
to 7, restless lines left out. Processes alone strayed by 17 percent in ten turns, so they now take twenty.
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
