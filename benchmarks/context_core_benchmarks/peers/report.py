"""What was measured of the peers, as a table and as JSON."""

import platform
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from context_core_benchmarks.results import in_columns, shown

NOT_THERE: Final = "\N{EN DASH}"


@attrs.frozen(kw_only=True)
class Measured:
    """One verb: the median of each peer that has it, by the peer's name."""

    verb: str
    unit: str = "us"
    figures: Mapping[str, float]


@attrs.frozen(kw_only=True)
class PeerResults:
    """One run: who was measured, in which versions, what to know of each, and the verbs."""

    peers: Mapping[str, str]
    notes: Mapping[str, str]
    verbs: tuple[Measured, ...]
    python: str = attrs.field(factory=platform.python_version)
    sqlite: str = sqlite3.sqlite_version


def cells(run: PeerResults) -> list[Sequence[str]]:
    """A row a peer, a column a verb; a dash where the peer has no such verb."""
    names = list(run.peers)
    rows: list[Sequence[str]] = [("", *(measured.verb for measured in run.verbs))]
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
    return f"Python {run.python}, SQLite {run.sqlite}\n{versions}\n\n{in_columns(cells(run))}\n\n{notes}"
