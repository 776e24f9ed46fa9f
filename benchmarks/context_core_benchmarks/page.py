"""Generates the tables of docs/performance.md from the results in benchmarks/results."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from context_core_benchmarks.goals import GOALS, LIMITS_MS
from context_core_benchmarks.harness import Line
from context_core_benchmarks.peers import report
from context_core_benchmarks.results import HEADINGS, Results, read, rows, shown

ROOT: Final = Path(__file__).parents[2]
RESULTS: Final = ROOT / "benchmarks" / "results"
PAGE: Final = ROOT / "docs" / "performance.md"

_MARKED: Final = re.compile(r"(<!-- measured: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def render(text: str, folder: Path = RESULTS) -> str:
    """Return the *text* of a page with new tables between its markers, from the results in *folder*.

    Raises:
        KeyError: A marker names an unknown table.
    """
    run, growth = read(folder / "run.json", Results), read(folder / "growth.json", Results)
    postgres = read(folder / "postgres.json", Results)
    peers = read(folder / "peers.json", report.PeerResults)
    judged = [line for line in run.lines if line.name in GOALS or line.name in LIMITS_MS]
    others = [line for line in run.lines if line not in judged]
    tables = {
        "goals": f"{run.machine}.\n\n{_markdown([HEADINGS, *rows(judged)])}\n\n{_notes(judged)}",
        "verbs": _markdown(row[:4] for row in [HEADINGS, *rows(others)]),
        "postgres": f"{postgres.machine}.\n\n{_markdown(_on_postgres(postgres.lines))}",
        "growth": f"{growth.machine}.\n\n{_markdown(_growth(growth.lines))}",
        "peers": f"{peers.machine}.\n\n{_markdown(report.cells(peers))}\n\n{_peers(peers)}",
    }
    return _MARKED.sub(lambda found: f"{found[1]}\n{tables[found[2]]}\n\n{found[3]}", text)


def _on_postgres(lines: Iterable[Line]) -> Iterable[Sequence[str]]:
    return ([row[0].removeprefix("PostgreSQL: "), *row[1:4]] for row in [HEADINGS, *rows(lines)])


def _growth(lines: Iterable[Line]) -> list[Sequence[str]]:
    """Return the table of growth, which compares the large store of context-core with the small one."""
    cells: list[Sequence[str]] = [("", "at 1,000 versions", "then", "ratio", "by hand", "goal")]
    cells += [
        (
            line.name,
            shown(line.floor, line.unit),
            shown(line.ours, line.unit),
            f"{line.ratio:.2f}",
            line.note.rpartition(" ")[2],
            str(GOALS[line.name]) if line.name in GOALS else "",
        )
        for line in lines
    ]
    return cells


def _notes(lines: Iterable[Line]) -> str:
    return "\n".join(f"- {line.name}: {line.note}" for line in lines if line.note)


def _peers(peers: report.PeerResults) -> str:
    return "\n".join(
        f"- {described}" + (f": {peers.notes[name]}" if name in peers.notes else "")
        for name, described in peers.peers.items()
    )


def _markdown(cells: Iterable[Sequence[str]]) -> str:
    head, *body = cells
    ruler = ["---", *("---:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ruler, *body))
