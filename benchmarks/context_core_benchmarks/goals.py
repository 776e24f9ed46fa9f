"""What the project holds itself to: ratios of ours to the floor's, each measured in one interleaved run.

Wall-clock times are reported, and never fail a comparison: they belong to a machine.
"""

from collections.abc import Mapping
from typing import Final

import attrs


@attrs.frozen
class Goal:
    """A bound on a ratio: at most for times and sizes, at least for throughputs.

    *measured_by* is the command whose results it judges.
    """

    bound: float
    is_at_least: bool = False
    measured_by: str = "run"

    def is_met(self, ratio: float, tolerance: float = 0.0) -> bool:
        """Tell whether *ratio* keeps the bound, or misses it by no more than that share of it."""
        if self.is_at_least:
            return ratio >= self.bound * (1 - tolerance)
        return ratio <= self.bound * (1 + tolerance)

    def __str__(self) -> str:
        return f"{'≥' if self.is_at_least else '≤'} {self.bound:g}"


def _at_most(bound: float, *, measured_by: str = "run") -> Goal:
    return Goal(bound, measured_by=measured_by)


def _at_least(bound: float) -> Goal:
    return Goal(bound, is_at_least=True)


GOALS: Final[Mapping[str, Goal]] = {
    "save, 4 KB": _at_most(1.0),
    "save, 64 KB": _at_most(1.2),
    "load, 4 KB": _at_most(1.25),
    "load, 64 KB": _at_most(1.25),
    "batch of 1,000": _at_most(1.3),
    "50 newest of a status": _at_most(1.25),
    "200 versions of a story": _at_most(1.25),
    "all of a feature": _at_most(1.25),
    "8 threads saving": _at_least(3.5),
    "4 processes saving": _at_least(1.0),
    "bytes a version, 4 KB": _at_most(0.15),
    "bytes a version, 64 KB": _at_most(0.03),
    "save at 1,000,000 versions": _at_most(1.3, measured_by="growth"),
    "load at 1,000,000 versions": _at_most(1.3, measured_by="growth"),
    "importing context_core": _at_most(1.15),
    "memory of a stream of 100,000": _at_most(100),
}
"""By the name of the line. A line without a goal is measured all the same."""

LIMITS_MS: Final[Mapping[str, float]] = {
    "save, 4 KB": 50,
    "load, 4 KB": 50,
    "all of a feature": 50,
    "batch of 10": 100,
    "to JSON and back": 10,
    "4 processes saving": 150,
}
"""What the slow tail of a line may take: its 95th percentile, or the worst save of the processes. Reported only."""
