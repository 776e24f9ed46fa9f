"""The lines of a run: as a table for people, and as JSON for the comparison, the figures and the docs."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs
import orjson
from cattrs import BaseValidationError
from cattrs.preconf.orjson import make_converter

from context_core_benchmarks.goals import GOALS, LIMITS_MS
from context_core_benchmarks.harness import Line
from context_core_benchmarks.machine import Machine

T = TypeVar("T")
_converter: Final = make_converter(forbid_extra_keys=True)


@attrs.frozen(kw_only=True)
class Results:
    """The lines of one run, the command that measured them, and the machine."""

    measured_by: str
    machine: Machine
    lines: tuple[Line, ...]

    def named(self) -> dict[str, Line]:
        """The lines by name."""
        return {line.name: line for line in self.lines}


def write(results: Any, path: Path) -> None:
    """Write a run as JSON."""
    path.write_bytes(orjson.dumps(_converter.unstructure(results), option=orjson.OPT_INDENT_2) + b"\n")


def read(path: Path, kind: type[T]) -> T:
    """Read a run.

    Raises:
        ValueError: The file does not contain the results of a run.
    """
    try:
        return _converter.structure(orjson.loads(path.read_bytes()), kind)
    except (ValueError, TypeError, LookupError, AttributeError, BaseValidationError) as error:
        raise ValueError(f"{path} does not contain the {kind.__name__} of a run") from error


HEADINGS: Final = ("", "floor", "ours", "ratio", "goal", "met", "slow tail", "limit")


def rows(lines: Iterable[Line]) -> list[Sequence[str]]:
    """Render each line as the cells of a table with HEADINGS."""
    return [
        (
            line.name,
            shown(line.floor, line.unit),
            shown(line.ours, line.unit),
            f"{line.ratio:.3g}{' ?' if line.is_restless else ''}",
            str(GOALS[line.name]) if line.name in GOALS else "",
            _verdict(line),
            "" if line.worst_ms is None else f"{line.worst_ms:,.2f} ms",
            f"{LIMITS_MS[line.name]:g} ms" if line.name in LIMITS_MS else "",
        )
        for line in lines
    ]


def _verdict(line: Line) -> str:
    if line.failed:
        return f"{line.failed} FAILED"
    if line.name not in GOALS:
        return ""
    if line.is_restless:
        return "?"
    return "yes" if GOALS[line.name].is_met(line.judged) else "NO"


def shown(figure: float, unit: str) -> str:
    """Return a figure with about three digits and its unit."""
    if unit == "us" and figure >= 10_000:
        figure, unit = figure / 1_000, "ms"
    digits = 0 if figure >= 100 else 1 if figure >= 10 else 3 if figure < 1 else 2
    return f"{figure:,.{digits}f} {unit}"


def table(lines: Iterable[Line]) -> str:
    """Render lines in columns, for a terminal."""
    return in_columns([HEADINGS, *rows(lines)])


def in_columns(cells: Sequence[Sequence[str]]) -> str:
    """Align the cells of a table; the first column is aligned to the left."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    )
