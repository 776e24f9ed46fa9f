"""Laws of racing operations: their recorded history has an order that explains it."""

import itertools

import pytest

from context_core import Capability
from context_core_conformance.linearizability.checker import linearize
from context_core_conformance.linearizability.histories import Call
from context_core_conformance.linearizability.recorder import Session
from context_core_conformance.linearizability.workload import Racer, look_at_all, refusals, run_workload
from context_core_conformance.promises import promise
from context_core_conformance.racing import in_processes, in_threads
from context_core_conformance.subject import Subject

THREADS = 8
PROCESSES = 4
TURNS = 150


class LinearLaws:
    @promise("CO06", "CO01", "CO05", "CA03", "CA05", "CA06", "BA04", "VE01")
    @pytest.mark.parametrize("handles", [1, THREADS])
    def test_racing_threads_have_an_order(self, subject: Subject, handles: int) -> None:
        """Saves, conditional saves, deletes, batches and reads of eight threads, on one store or on one each."""
        stores = [subject.open() for _ in range(handles)]

        def race(number: int) -> list[Call]:
            return Racer(Session(stores[number % handles], f"thread {number}"), number).run(TURNS)

        _check(subject, list(itertools.chain(*in_threads(THREADS, race))))

    @promise("CO06", "CO02", "CO05", "CA03", "CA05", "CA06", "BA04", "VE01")
    def test_racing_processes_have_an_order(self, subject: Subject) -> None:
        """The same of four processes, on the clock that they share."""
        subject.requires(Capability.MULTI_PROCESS)
        _check(subject, list(itertools.chain(*in_processes(PROCESSES, run_workload, subject.url, TURNS))))


def _check(subject: Subject, history: list[Call]) -> None:
    """Judge what was recorded, with what is there in the end."""
    last = Session(subject.open(), "the last look")
    look_at_all(last)
    assert refusals(history) == set()
    linearize([*history, *last.calls])
