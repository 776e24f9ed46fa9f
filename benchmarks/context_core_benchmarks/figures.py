"""Draws the figures of docs/performance.md from the results in benchmarks/results.

The same results give the same bytes: no date is written, and ids come from a fixed salt.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from context_core_benchmarks.goals import GOALS
from context_core_benchmarks.harness import Line
from context_core_benchmarks.page import RESULTS, ROOT
from context_core_benchmarks.peers import report
from context_core_benchmarks.results import Results, read

FIGURES: Final = ROOT / "docs" / "figures"

# Readable on light and dark pages: figures have their own background, and differ in brightness as well as in colour.
OURS: Final = "#0b6e8a"
OTHER: Final = "#b9c2c9"
MISSED: Final = "#b8501f"
INK: Final = "#22292f"
_STYLE: Final[Any] = {
    "svg.hashsalt": "context-core",
    "svg.fonttype": "none",  # text stays text, for search and screen readers
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": "#8a949c",
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": "#e3e7ea",
    "figure.facecolor": "white",
}


def draw(folder: Path = RESULTS, target: Path = FIGURES) -> list[Path]:
    """Draw every figure into *target*, and return the files."""
    run, growth = read(folder / "run.json", Results), read(folder / "growth.json", Results)
    peers = read(folder / "peers.json", report.PeerResults)
    target.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(_STYLE):
        figures = {"ratios": ratios(run), "growth": growing(growth), "peers": beside_peers(peers)}
        files = []
        for name, figure in figures.items():
            file = target / f"{name}.svg"
            figure.savefig(file, bbox_inches="tight", metadata={"Date": None, "Creator": None})
            files.append(file)
    return files


def ratios(run: Results) -> Figure:
    """Draw the ratio of each timed verb to the floor, with its goal."""
    lines = [line for line in run.lines if line.unit == "us"][::-1]
    figure = Figure(figsize=(7.5, 0.24 * len(lines) + 0.8))
    axes = figure.add_subplot()
    for place, line in enumerate(lines):
        goal = GOALS.get(line.name)
        is_missed = goal is not None and not goal.is_met(line.judged)
        axes.barh(place, line.ratio, height=0.62, color=MISSED if is_missed else OURS)
        end = max(line.ratio, goal.bound if goal is not None else 0)
        axes.text(end + 0.04, place, f"{line.ratio:.2f}", va="center", fontsize=8)
        if goal is not None:
            axes.plot([goal.bound] * 2, [place - 0.42, place + 0.42], color=INK, linewidth=1.6)
    axes.axvline(1, color="#8a949c", linewidth=0.8, zorder=0)
    axes.set_yticks(range(len(lines)), [line.name for line in lines])
    axes.set_ylim(-0.6, len(lines) - 0.4)
    axes.set_xlabel("time beside the hand-written floor (1 = as fast); a stroke is the goal, orange misses it")
    return figure


def growing(growth: Results) -> Figure:
    """Draw saves and loads of a growing store, compared with a small store and with a growing floor."""
    figure = Figure(figsize=(7.5, 2.8))
    for place, verb in enumerate(("save", "load"), start=1):
        lines = [line for line in growth.lines if line.name.startswith(verb)]
        axes = figure.add_subplot(1, 2, place)
        sizes = [_versions(line) for line in lines]
        axes.plot(sizes, [float(line.note.rpartition(" ")[2]) for line in lines], "o--", color=OTHER, label="by hand")
        axes.plot(sizes, [line.ratio for line in lines], "o-", color=OURS, label="context-core")
        axes.axhline(1.3, color=INK, linewidth=0.8, linestyle=":", label="goal")
        axes.set_xscale("log")
        axes.set_ylim(0, 2.2)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.grid(visible=True, axis="y")
        axes.set_title(f"{verb}, median", loc="left", fontsize=9)
        axes.set_xlabel("versions in the store")
        if place == 1:
            axes.set_ylabel("beside 1,000 versions")
            axes.legend(frameon=False, loc="lower left")
    figure.subplots_adjust(wspace=0.18)
    return figure


def beside_peers(peers: report.PeerResults) -> Figure:
    """Draw one panel per verb of the peers, compared with hand-written code; a peer without the verb has no bar."""
    names = list(peers.peers)[::-1]
    columns = 4
    rows = -(-len(peers.verbs) // columns)
    figure = Figure(figsize=(10, 2.0 * rows))
    for place, measured in enumerate(peers.verbs):
        axes = figure.add_subplot(rows, columns, place + 1)
        is_size = measured.unit != "us"
        unit = 1.0 if is_size else measured.figures["by hand"]
        _panel(axes, names, [measured.figures.get(name, 0) / unit for name in names])
        axes.set_title(measured.verb + (", x raw" if is_size else ""), loc="left", fontsize=9)
        if place % columns:
            axes.set_yticklabels([])
    figure.subplots_adjust(wspace=0.12, hspace=0.45)
    return figure


def _panel(axes: Axes, names: Sequence[str], values: Sequence[float]) -> None:
    limit = max(values) * 1.3
    for place, (name, value) in enumerate(zip(names, values, strict=True)):
        axes.barh(place, value, height=0.66, color=OURS if name.startswith("context-core") else OTHER)
        axes.text(value + limit * 0.02, place, f"{value:.3g}" if value else report.NOT_THERE, va="center", fontsize=8)
    axes.set_xlim(0, limit)
    axes.set_yticks(range(len(names)), names)
    axes.set_xticks([])


def _versions(line: Line) -> int:
    """Return the store size that the name of a growth line contains."""
    return int(line.name.split()[2].replace(",", ""))
