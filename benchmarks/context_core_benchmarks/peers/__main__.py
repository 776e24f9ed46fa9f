"""Measures the peers: `python -m context_core_benchmarks.peers --help`."""

import argparse
import sys
import tempfile
from pathlib import Path

from context_core_benchmarks import results
from context_core_benchmarks.machine import this_machine
from context_core_benchmarks.peers import report
from context_core_benchmarks.peers.measuring import available, measure


def main() -> None:
    """Measure every installed peer, print one table, and write JSON."""
    parser = argparse.ArgumentParser(prog="python -m context_core_benchmarks.peers", description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=500, help="the number of rounds of the fast verbs")
    parser.add_argument("--directory", type=Path, help="folder of the stores; by default a temporary one")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    kinds = available()
    measured = []
    with tempfile.TemporaryDirectory(dir=options.directory) as folder:
        machine = this_machine(Path(folder))
        for one in measure(Path(folder), kinds, options.rounds):
            print(f"measured {one.verb}", file=sys.stderr)
            measured.append(one)
    run = report.PeerResults(
        peers={kind.name: kind.described() for kind in kinds},
        notes={kind.name: kind.note for kind in kinds if kind.note},
        machine=machine,
        verbs=tuple(measured),
    )
    print(report.table(run))
    if options.json is not None:
        results.write(run, options.json)


if __name__ == "__main__":
    main()
