"""The goals of the project: limits on the ratio of context-core to the floor, each measured in one interleaved run.

Absolute times are reported and never fail a comparison, because they depend on the machine.
"""

from collections.abc import Mapping
from typing import Final

import attrs


@attrs.frozen
class Goal:
    """A limit of a ratio: an upper limit for times and sizes, a lower limit for throughputs.

    *measured_by* is the command whose results the goal applies to.
    """

    bound: float
    is_at_least: bool = False
    measured_by: str = "run"

    def is_met(self, ratio: float, tolerance: float = 0.0) -> bool:
        """Return whether *ratio* keeps the limit, or misses it by at most this share of the limit."""
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
"""Goals by the name of the line. A line without a goal is measured too."""

LIMITS_MS: Final[Mapping[str, float]] = {
    "save, 4 KB": 50,
    "load, 4 KB": 50,
    "all of a feature": 50,
    "batch of 10": 100,
    "to JSON and back": 10,
    "4 processes saving": 150,
}
"""Limits on the slow tail of a line: its 95th percentile, or the slowest save of the processes. Only reported."""
