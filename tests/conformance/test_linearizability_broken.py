"""The checker on drivers that are broken on purpose: whatever they do wrong to racing threads is found out."""

import contextlib
import itertools
import time

import attrs
import pytest

from context_core import ContextPersistence
from context_core.model import utc_now
from context_core.records import BatchRequest, DeleteRequest, LoadRequest, SavedVersion, SaveRequest
from context_core_conformance.call_counter import CallCountingBackend
from context_core_conformance.linearizability.anomalies import NotLinearizableError
from context_core_conformance.linearizability.checker import linearize
from context_core_conformance.linearizability.recorder import Session
from context_core_conformance.linearizability.workload import Racer
from context_core_conformance.racing import in_threads
from context_core_memory import MemoryBackend

THREADS = 4


def yielding_clock():
    """Lets another thread go on in the middle of a transaction, where a lock is all that keeps it out."""
    time.sleep(0)
    return utc_now()


def unlocked():
    backend = MemoryBackend(clock=yielding_clock)
    backend._store.write = lambda action, _: action()  # type: ignore[assignment]  # the break
    return backend


class Broken(CallCountingBackend):
    """Around a backend that is not."""

    def __init__(self):
        self.memory = MemoryBackend(clock=yielding_clock)
        super().__init__(self.memory)

    def head_of(self, request):
        found = self.inner.load(LoadRequest((request.record.workflow_id,)))
        return found[0].version if found else 0


class CachesReads(Broken):
    """Answers every other load from memory."""

    def __init__(self):
        super().__init__()
        self.cache = {}
        self.turn = itertools.count()

    def load(self, request):
        key = (tuple(request.workflow_ids), request.version)
        if key not in self.cache or next(self.turn) % 2:
            self.cache[key] = super().load(request)
        return self.cache[key]


class TearsBatches(Broken):
    """Writes the items of a batch one by one."""

    def batch(self, request):
        return [
            outcome
            for operation in request.operations
            for outcome in super(TearsBatches, self).batch(BatchRequest(operations=[operation]))
        ]


class IgnoresExpectations(Broken):
    """Lets the last writer win, always."""

    def save(self, request):
        return super().save(attrs.evolve(request, expected_version=None))


class LooksBeforeItLocks(Broken):
    """Compares in one transaction, and swaps in the next."""

    def save(self, request):
        if request.expected_version is not None and request.expected_version == self.head_of(request):
            time.sleep(0)
            request = attrs.evolve(request, expected_version=None)
        return super().save(request)


class AnswersBeforeItWrites(Broken):
    """Acknowledges a save with the number that it will have, and writes it at the next."""

    def __init__(self):
        super().__init__()
        self.late = []

    def save(self, request):
        with contextlib.suppress(IndexError):
            super().save(self.late.pop())
        if request.expected_version is not None or request.must_exist:
            return super().save(request)
        self.late.append(request)
        return SavedVersion(version=self.head_of(request) + 1, saved_at=utc_now())


class ForgetsNumbers(Broken):
    """Numbers a workflow from 1 again after it was deleted."""

    def batch(self, request):
        outcomes = super().batch(request)
        for operation in request.operations:
            if isinstance(operation, DeleteRequest):
                self.memory._store.state.tombstones.pop(operation.workflow_id, None)
        return outcomes


class WritesWhatItRefuses(Broken):
    """Reports a conflict, and saves all the same."""

    def save(self, request):
        try:
            return super().save(request)
        except Exception:
            super().save(SaveRequest(record=request.record))
            raise


BROKEN = {
    "no lock": unlocked,
    "a cache": CachesReads,
    "torn batches": TearsBatches,
    "no expectations": IgnoresExpectations,
    "look, then lock": LooksBeforeItLocks,
    "answer, then write": AnswersBeforeItWrites,
    "forgotten numbers": ForgetsNumbers,
    "a refused write": WritesWhatItRefuses,
}


def record(backend, seed):
    """Let threads race on a store, and return what they did."""
    with ContextPersistence(backend) as store:
        return list(
            itertools.chain(
                *in_threads(THREADS, lambda n: Racer(Session(store, f"thread {n}"), (seed, n)).run(60)),
            )
        )


def verdict(backend, seed):
    """What is wrong with the record of a race."""
    try:
        linearize(record(backend, seed))
    except NotLinearizableError as error:
        return error
    return None


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_driver_is_found_out(name):
    """Within a few hundred calls, by few of them."""
    verdicts = (verdict(BROKEN[name](), seed) for seed in range(20))
    error = next((found for found in verdicts if found is not None), None)
    assert error is not None
    assert 1 <= len(error.calls) <= 4


def test_the_driver_that_they_are_made_of_is_sound():
    """It is the break that is found, not the racing."""
    for seed in range(10):
        linearize(record(Broken(), seed))
