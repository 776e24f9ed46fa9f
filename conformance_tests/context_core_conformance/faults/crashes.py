"""Kills processes that work on a durable store, and judges what is left."""

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Final

import attrs

from context_core import Capability, ContextPersistence
from context_core_conformance.linearizability.checker import linearize
from context_core_conformance.linearizability.histories import EVER, Call, Outcome, Saving
from context_core_conformance.linearizability.recorder import Session
from context_core_conformance.racing import PATIENCE_S
from context_core_conformance.verbs import Store
from context_core_conformance.workers.crash_workers import (
    Ended,
    Opened,
    Opening,
    Order,
    Point,
    Report,
    Started,
    Stopped,
    Work,
    launch_workers,
)

KILLS_A_LIFE: Final = 10
"""After so many kills the next ones get workflows of their own, so that histories stay short."""

MOST_CALLS: Final = 12
"""How many calls a worker makes at most before it is killed."""

LONGEST_CALL_NS: Final = 800_000
"""Kills at random moments come so long after a call began, at most."""


class WorkerLauncher:
    """Starts one worker after the other, in processes that have nothing of this one."""

    def __init__(self, process: BaseProcess, orders: Connection, reports: Connection) -> None:
        self._process = process
        self._orders = orders
        self._reports = reports
        self._pid = 0

    def start(self, order: Order) -> None:
        """Start a worker."""
        self._orders.send(order)
        started = self.next_report()
        assert isinstance(started, Started)
        self._pid = started.pid

    def next_report(self) -> Report:
        """What the worker tells next."""
        if not self._reports.poll(PATIENCE_S):
            raise TimeoutError("a worker hangs")
        report: Report = self._reports.recv()
        return report

    def tells_within(self, seconds: float) -> bool:
        """Whether the worker tells anything within this time."""
        return self._reports.poll(seconds)

    def kill(self) -> list[Call]:
        """SIGKILL the worker, and return the calls that it had told of and nobody had read yet."""
        os.kill(self._pid, signal.SIGKILL)
        calls = []
        while not isinstance(report := self.next_report(), Ended):
            if isinstance(report, Call):
                calls.append(report)
        assert report.code == -signal.SIGKILL, "the worker ended by itself; its traceback is on stderr"
        return calls


@contextmanager
def worker_launcher() -> Iterator[WorkerLauncher]:
    """A place where workers are started; all of them are gone after the block."""
    context = multiprocessing.get_context("spawn")
    (orders_in, orders), (reports, reports_out) = context.Pipe(duplex=False), context.Pipe(duplex=False)
    process = context.Process(target=launch_workers, args=(orders_in, reports_out), daemon=True)
    process.start()
    orders_in.close()
    reports_out.close()
    try:
        yield WorkerLauncher(process, orders, reports)
    finally:
        orders.close()
        process.join(PATIENCE_S)
        process.kill()
        process.join()
        process.close()
        reports.close()


def kill_writers(url: str, kills: int, *, seed: int = 0) -> None:
    """Kill *kills* processes while they write to the store at *url*, and check the store after each kill.

    What was acknowledged must be there with its content, what was under way whole or not at all, what had not reached
    its commit not at all; numbers go on, and the store finds itself sound.

    Raises:
        NotLinearizableError: It is not; the error shows the few calls that prove it.
        AssertionError: The store finds itself damaged.
    """
    rng = random.Random(seed)  # noqa: S311  # variety, not secrecy
    history: list[Call] = []
    with worker_launcher() as started:
        for kill in range(kills):
            if kill % KILLS_A_LIFE == 0:
                history = []
            workflows = [f"{name}-{kill // KILLS_A_LIFE}" for name in ("red", "green", "blue")]
            point = rng.choice([None, None, *Point])
            order = Work(
                url=url,
                who=f"worker {seed}.{kill}",
                workflows=workflows,
                point=point,
                call=rng.randint(1, MOST_CALLS),
            )
            calls = _killed(started, order, rng)
            history += calls
            with ContextPersistence[Any](url) as store:
                look = Session(store, f"look {seed}.{kill}")
                _repeat_what_was_under_way(history, look, rng)
                for workflow_id in workflows:
                    look.read_all(workflow_id)
                _check_soundness(store)
            history += look.calls
            linearize(history)
        with ContextPersistence[Any](url) as store:
            last = Session(store, f"last {seed}")
            for workflow_id in workflows if kills else ():
                last.save(workflow_id)
            linearize([*history, *last.calls])


def _killed(started: WorkerLauncher, order: Work, rng: random.Random) -> list[Call]:
    """Let a worker make some calls, kill it, and return the record of them, the last perhaps without an end."""
    started.start(order)
    reported: list[Call] = []
    begun = 0
    while True:
        report = started.next_report()
        if isinstance(report, Stopped):
            break
        assert isinstance(report, Call), "the worker ended by itself; its traceback is on stderr"
        reported.append(report)
        begun += not _is_over(report)
        if order.point is None and begun == order.call and not _is_over(report):
            _wait_ns(rng.randrange(LONGEST_CALL_NS))
            break
    reported += started.kill()
    return _record(reported, order.point)


def _record(reported: list[Call], point: Point | None) -> list[Call]:
    """One call for each that was reported to begin, with its end if that was reported too."""
    calls: list[Call] = []
    for report in reported:
        if _is_over(report):
            calls[-1] = report
        else:
            calls.append(report)
    if calls and not _is_over(calls[-1]):
        reason = f"killed {point.value if point else 'at some moment'}"
        # Before its commit it cannot have written anything.
        outcome = Outcome.REFUSED if point in (Point.BEFORE, Point.INSIDE) else Outcome.UNKNOWN
        ended_ns = time.monotonic_ns() if outcome is Outcome.REFUSED else EVER
        calls[-1] = attrs.evolve(calls[-1], outcome=outcome, reason=reason, ended_ns=ended_ns)
    return calls


def _is_over(report: Call) -> bool:
    return bool(report.results or report.reason)


def _repeat_what_was_under_way(history: list[Call], look: Session, rng: random.Random) -> None:
    """Repeat, now and then, a save whose outcome is unknown: with its key that makes one version, not two."""
    call = history[-1]
    has_key = isinstance(call.items[0], Saving) and call.items[0].has_key
    if call.outcome is Outcome.UNKNOWN and has_key and rng.random() < 0.5:
        del history[-1]
        look.save_again(call)


def _check_soundness(store: Store) -> None:
    if Capability.VERIFY in store.describe().capabilities:
        assert store.verify().damages == ()


def _wait_ns(span_ns: int) -> None:
    """Wait more exactly than a sleep would."""
    end_ns = time.monotonic_ns() + span_ns
    while time.monotonic_ns() < end_ns:
        pass


def kill_opener(started: WorkerLauncher, url: str, after_s: float) -> bool:
    """Kill a process *after_s* after it began to open the store at *url*; return whether it had not finished."""
    started.start(Opening(url=url))
    if started.tells_within(after_s):
        assert isinstance(started.next_report(), Opened), "the worker ended by itself; its traceback is on stderr"
        started.kill()
        return False
    started.kill()
    return True
