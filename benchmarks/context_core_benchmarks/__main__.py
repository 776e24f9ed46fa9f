"""Runs the benchmarks, and prints, checks or renders their results: `python -m context_core_benchmarks --help`."""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from context_core_benchmarks import concurrent_writers, footprint, growth, page, reading, results, sizes, writing
from context_core_benchmarks.comparing import TOLERANCE, misses
from context_core_benchmarks.goals import GOALS
from context_core_benchmarks.harness import Line
from context_core_benchmarks.machine import Machine, this_machine
from context_core_benchmarks.sides import open_sides


def measure(folder: Path, rounds: int) -> Iterator[Line]:
    """Measure everything except growth; *rounds* is the number of rounds of the fast verbs."""
    workflows = min(5 * rounds, 5_000)
    with open_sides(folder / "writing") as sides:
        yield from writing.lines(sides, rounds)
    with open_sides(folder / "reading") as sides:
        reading.populate(sides, workflows)
        yield from reading.lines(sides, rounds, workflows)
    yield from concurrent_writers.lines(folder, turns=max(rounds // 100, 2), saves=min(rounds, 200))
    yield from sizes.lines(folder)
    yield from footprint.lines(folder / "stream", interpreters=max(rounds // 100, 2))


def run(options: argparse.Namespace) -> None:
    """Compare every verb with the floor, print one table, and check the goals."""
    with tempfile.TemporaryDirectory(dir=options.directory) as folder:
        _report("run", this_machine(Path(folder)), measure(Path(folder), options.rounds), options)


def grow(options: argparse.Namespace) -> None:
    """Measure saves and loads while a store grows to a million versions, and check the goals."""
    with tempfile.TemporaryDirectory(dir=options.directory) as folder:
        _report("growth", this_machine(Path(folder)), growth.lines(Path(folder), options.rounds), options)


def on_postgres(options: argparse.Namespace) -> None:
    """Compare the most used verbs with a floor on the same PostgreSQL server; there are no goals."""
    # Only this command needs a server and its client library.
    from context_core_benchmarks.postgres import measuring, server  # noqa: PLC0415

    with (
        tempfile.TemporaryDirectory(dir=options.directory) as folder,
        server.running(Path(folder, "server")) as uri,
        measuring.open_sides(uri) as sides,
    ):
        machine = this_machine(Path(folder), postgres=sides[0].server_version)
        _report("postgres", machine, measuring.lines(*sides, options.rounds), options)


def _report(measured_by: str, machine: Machine, measured: Iterator[Line], options: argparse.Namespace) -> None:
    lines = []
    for line in measured:
        print(f"measured {line.name}", file=sys.stderr)
        lines.append(line)
    print(f"{machine}\n\n{results.table(lines)}\n")
    if machine.warning is not None:
        print(f"{machine.warning}\n")
    found = results.Results(measured_by=measured_by, machine=machine, lines=tuple(lines))
    if options.json is not None:
        results.write(found, options.json)
    _judge(found, options.tolerance)


def _judge(found: results.Results, tolerance: float) -> None:
    missed = list(misses(found, tolerance))
    if missed:
        sys.exit("\n".join(missed))
    if any(goal.measured_by == found.measured_by for goal in GOALS.values()):
        print(f"no goal is missed by more than the tolerance of {tolerance:.0%}")


def compare(options: argparse.Namespace) -> None:
    """Fail if the results of a run miss a goal."""
    _judge(results.read(options.results, results.Results), options.tolerance)


def render(options: argparse.Namespace) -> None:
    """Generate the tables and figures of docs/performance.md from benchmarks/results."""
    del options
    # Only this command needs the plotting library.
    from context_core_benchmarks import figures  # noqa: PLC0415

    page.PAGE.write_text(page.render(page.PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(*[page.PAGE, *figures.draw()], sep="\n")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m context_core_benchmarks", description=__doc__)
    commands = parser.add_subparsers(required=True)
    for name, command in (("run", run), ("growth", grow), ("postgres", on_postgres)):
        measures = commands.add_parser(name, help=command.__doc__)
        measures.add_argument("--rounds", type=int, default=2_000, help="the number of rounds of the fast verbs")
        measures.add_argument("--directory", type=Path, help="folder of the databases; by default a temporary one")
        measures.add_argument("--json", type=Path, help="also write the results to this file")
        measures.set_defaults(command=command)
    compares = commands.add_parser("compare", help=compare.__doc__)
    compares.add_argument("results", type=Path, help="the JSON file of a run")
    compares.set_defaults(command=compare)
    for judges in commands.choices.values():
        judges.add_argument(
            "--tolerance", type=float, default=TOLERANCE, help="the tolerated excess, as a share of the goal"
        )
    commands.add_parser("render", help=render.__doc__).set_defaults(command=render)
    options = parser.parse_args()
    options.command(options)


if __name__ == "__main__":
    main()
