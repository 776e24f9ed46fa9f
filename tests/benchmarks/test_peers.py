"""Peers are measured on the same work: unequal states are refused, and what a peer lacks is a dash."""

from itertools import product

import pytest

from context_core_benchmarks.machine import this_machine
from context_core_benchmarks.peers import report
from context_core_benchmarks.peers.measuring import measure
from context_core_benchmarks.peers.ours import ByHand, ContextCore
from context_core_benchmarks.peers.peer import Peer

VERBS = 8


class Bare(Peer):
    """A peer that only saves, loads and lists, in memory."""

    name = "bare"
    distributions = ("pytest",)
    note = "in memory"

    def __init__(self, folder):
        self.states = {}

    def save(self, state):
        self.states.setdefault(state["workflow_id"], []).append(state)

    def load(self, workflow_id):
        return self.states[workflow_id][-1]

    def history(self, of):
        return self.states[of.workflow_id]

    def close(self):
        self.states = {}


class Forgetful(Bare):
    """One that gives back less than it was given."""

    def load(self, workflow_id):
        return {**super().load(workflow_id), "decisions": {}}


def test_every_verb_is_measured_for_every_peer_that_has_it(tmp_path):
    """Ours and the floor have all; the bare one has neither batch nor search."""
    measured = list(measure(tmp_path, [ByHand, ContextCore, Bare], rounds=2, workflows=60))
    assert len(measured) == VERBS
    lacking = {
        (one.verb, peer)
        for one, peer in product(measured, ("by hand", "context-core", "bare"))
        if peer not in one.figures
    }
    assert lacking == {("batch of 60", "bare"), ("50 newest of a status", "bare")}


def test_a_peer_that_does_other_work_is_refused(tmp_path):
    """Its figures would mean nothing."""
    with pytest.raises(ValueError, match="different states"):
        list(measure(tmp_path, [ByHand, Forgetful], rounds=1, workflows=60))


def test_the_table_shows_versions_and_dashes(tmp_path):
    """Versions in its head, notes at its foot, and a dash for what a peer lacks."""
    run = report.PeerResults(
        peers={"by hand": ByHand.described(), "bare": Bare.described()},
        notes={"bare": Bare.note},
        machine=this_machine(tmp_path),
        verbs=(report.Measured(verb="batch", figures={"by hand": 12.5}),),
    )
    table = report.table(run)
    assert f"bare (pytest {pytest.__version__})" in table
    assert "in memory" in table
    assert [row[1] for row in report.cells(run)] == ["batch", "12.5 us", report.NOT_THERE]


def test_a_verb_measured_among_busy_neighbours_says_so(tmp_path):
    """Its figures hold more of their waits than of the peers' work."""
    busy = report.Measured(verb="save", figures={"bare": 4_000.0}, unrest=3.0)
    run = report.PeerResults(peers={"bare": "bare"}, notes={}, machine=this_machine(tmp_path), verbs=(busy,))
    assert report.cells(run)[0] == ("", "save ?")
