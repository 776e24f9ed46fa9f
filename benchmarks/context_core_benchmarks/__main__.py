"""Measures, and shows or checks what was measured: `python -m context_core_benchmarks --help`."""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from context_core_benchmarks import crowds, footprint, growth, reading, results, sizes, writing
from context_core_benchmarks.comparing import TOLERANCE, misses
from context_core_benchmarks.harness import Line
from context_core_benchmarks.sides import open_sides


def measure(folder: Path, rounds: int) -> Iterator[Line]:
    """Measure everything but growth; *rounds* is how often the quick verbs are timed."""
    workflows = min(5 * rounds, 5_000)
    with open_sides(folder / "writing") as sides:
        yield from writing.lines(sides, rounds)
    with open_sides(folder / "reading") as sides:
        reading.populate(sides, workflows)
        yield from reading.lines(sides, rounds, workflows)
    yield from crowds.lines(folder, turns=max(rounds // 200, 2), saves=min(rounds, 200))
    yield from sizes.lines(folder)
    yield from footprint.lines(folder / "stream", interpreters=max(rounds // 100, 2))


def run(options: argparse.Namespace) -> None:
    """Measure every verb but growth beside the floor, and print one table."""
    with tempfile.TemporaryDirectory(dir=options.directory) as folder:
        _report("run", measure(Path(folder), options.rounds), options.json)


def grow(options: argparse.Namespace) -> None:
    """Measure saves and loads while a store grows to a million versions."""
    with tempfile.TemporaryDirectory(dir=options.directory) as folder:
        _report("growth", growth.lines(Path(folder), options.rounds), options.json)


def _report(measured_by: str, measured: Iterator[Line], path: Path | None) -> None:
    lines = []
    for line in measured:
        print(f"measured {line.name}", file=sys.stderr)
        lines.append(line)
    print(results.table(lines))
    if path is not None:
        results.write(results.Results(measured_by=measured_by, lines=tuple(lines)), path)


def compare(options: argparse.Namespace) -> None:
    """Fail where a run misses a goal."""
    missed = list(misses(results.read(options.results, results.Results), options.tolerance))
    if missed:
        sys.exit("\n".join(missed))
    print("every goal is met")


def main() -> None:
    """Read the command line, and do it."""
    parser = argparse.ArgumentParser(prog="python -m context_core_benchmarks", description=__doc__)
    commands = parser.add_subparsers(required=True)

    for name, command, rounds in (("run", run, 2_000), ("growth", grow, 2_000)):
        measures = commands.add_parser(name, help=command.__doc__)
        measures.add_argument("--rounds", type=int, default=rounds, help="how often the quick verbs are timed")
        measures.add_argument("--directory", type=Path, help="where the databases lie; a temporary folder by default")
        measures.add_argument("--json", type=Path, help="write the figures there too")
        measures.set_defaults(command=command)

    compares = commands.add_parser("compare", help=compare.__doc__)
    compares.add_argument("results", type=Path, help="the JSON of a run")
    compares.add_argument("--tolerance", type=float, default=TOLERANCE, help="the share of a goal that counts as noise")
    compares.set_defaults(command=compare)

    options = parser.parse_args()
    options.command(options)


if __name__ == "__main__":
    main()
