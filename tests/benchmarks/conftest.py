"""Made-up results, of the shape that the commands write."""

import pytest

from context_core_benchmarks import results
from context_core_benchmarks.goals import GOALS
from context_core_benchmarks.harness import Line
from context_core_benchmarks.machine import Machine
from context_core_benchmarks.peers import report


@pytest.fixture
def machine():
    """One that nobody has."""
    return Machine(
        measured_on="2025-01-01", package="0.1.0", python="3.11.0", sqlite="3.40.1", processors=2, sync_us=150.0
    )


@pytest.fixture
def results_folder(tmp_path, machine):
    """A folder as benchmarks/results."""
    folder = tmp_path / "results"
    folder.mkdir()
    judged = [Line(name=name, floor=10, ours=20) for name, goal in GOALS.items() if goal.measured_by == "run"]
    run = results.Results(
        measured_by="run", machine=machine, lines=(*judged, Line(name="fork", floor=200, ours=300, note="seldom"))
    )
    grown = [
        Line(name=f"{verb} at {size:,} versions", floor=10, ours=11, note="the floor's own ratio 1.05")
        for size in (1_000, 1_000_000)
        for verb in ("save", "load")
    ]
    growth = results.Results(measured_by="growth", machine=machine, lines=tuple(grown))
    postgres = results.Results(
        measured_by="postgres", machine=machine, lines=(Line(name="PostgreSQL: save, 4 KB", floor=400, ours=500),)
    )
    peers = report.PeerResults(
        peers={"by hand": "by hand", "context-core": "context-core (context-core 0.1.0)", "bare": "bare (bare 3.2)"},
        notes={"bare": "in memory"},
        machine=machine,
        verbs=(
            report.Measured(verb="load", figures={"by hand": 10.0, "context-core": 12.0, "bare": 1.0}),
            report.Measured(verb="batch", figures={"by hand": 10.0, "context-core": 12.0}),
        ),
    )
    for name, made in (("run", run), ("growth", growth), ("postgres", postgres), ("peers", peers)):
        results.write(made, folder / f"{name}.json")
    return folder
