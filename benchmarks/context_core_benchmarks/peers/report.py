"""The results of the peers, as a table and as JSON."""

from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from context_core_benchmarks.harness import RESTLESS
from context_core_benchmarks.machine import Machine
from context_core_benchmarks.results import in_columns, shown

NOT_THERE: Final = "\N{EN DASH}"


@attrs.frozen(kw_only=True)
class Measured:
    """One verb: the median of each peer that has it, by the peer's name; *unrest* as of a Line."""

    verb: str
    unit: str = "us"
    figures: Mapping[str, float]
    unrest: float = 1.0


@attrs.frozen(kw_only=True)
class PeerResults:
    """One run: the peers with their versions and notes, and the results of the verbs."""

    peers: Mapping[str, str]
    notes: Mapping[str, str]
    machine: Machine
    verbs: tuple[Measured, ...]


def cells(run: PeerResults) -> list[Sequence[str]]:
    """Return one row per peer and one column per verb; a dash means that the peer does not have the verb."""
    names = list(run.peers)
    rows: list[Sequence[str]] = [
        ("", *(measured.verb + (" ?" if measured.unrest > RESTLESS else "") for measured in run.verbs))
    ]
    rows += [
        (
            name,
            *(
                shown(measured.figures[name], measured.unit) if name in measured.figures else NOT_THERE
                for measured in run.verbs
            ),
        )
        for name in names
    ]
    return rows


def table(run: PeerResults) -> str:
    """Render a run for a terminal."""
    versions = "\n".join(run.peers.values())
    notes = "\n".join(f"{name}: {note}" for name, note in run.notes.items())
    return f"{run.machine}\n{versions}\n\n{in_columns(cells(run))}\n\n{notes}"
