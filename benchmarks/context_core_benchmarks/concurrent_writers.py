"""Concurrent writers on one file, all with durable saves: threads of one process, and several processes.

In the floor each writer has its own connection. SQLite lets one of them write at a time, and the others wait in its
busy handler.
"""

import multiprocessing
import sqlite3
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import attrs

from context_core import ContextCoreError, WorkflowContext
from context_core_benchmarks.contexts import changing
from context_core_benchmarks.floor import Floor
from context_core_benchmarks.harness import Line
from context_core_benchmarks.sides import Sides, open_sides

THREADS: Final = 8
PROCESSES: Final = 4
_SIZE_BYTES: Final = 4 * 1024
_VERSIONS: Final = 40


@attrs.frozen
class _Run:
    """The result of concurrent writers: saves per second, the time of each save, and the number of failures."""

    rate: float
    times_ms: Sequence[float]
    failed: int


def lines(folder: Path, turns: int, saves: int) -> Iterator[Line]:
    """Measure threads and processes: each side takes *turns* turns, and each writer saves *saves* times per turn."""
    yield _line(f"{THREADS} threads saving", _threads(folder / "threads", turns, saves), worst_of_all=False)
    yield _line(f"{PROCESSES} processes saving", _processes(folder / "processes", turns, saves), worst_of_all=True)


def _line(name: str, runs: dict[str, list[_Run]], *, worst_of_all: bool) -> Line:
    rates = {side: [run.rate for run in of_side] for side, of_side in runs.items()}
    times = {side: sorted(ms for run in of_side for ms in run.times_ms) for side, of_side in runs.items()}
    place = -1 if worst_of_all else len(times["ours"]) * 95 // 100
    failed = {side: sum(run.failed for run in of_side) for side, of_side in runs.items()}
    return Line(
        name=name,
        unit="saves/s",
        floor=statistics.median(rates["floor"]),
        ours=statistics.median(rates["ours"]),
        worst_ms=times["ours"][place],
        ratios=tuple(ours / floor for floor, ours in zip(rates["floor"], rates["ours"], strict=True)),
        failed=failed["ours"],
        unrest=max(rates["floor"]) / statistics.median(rates["floor"]),
        note=f"worst save {times['ours'][-1]:.0f} ms, the floor's {times['floor'][-1]:.0f} ms"
        + (f"; {failed['floor']} of the floor's saves failed" if failed["floor"] else ""),
    )


def _histories(writer: int) -> list[tuple[WorkflowContext, dict[str, Any]]]:
    return [(context, context.to_dict()) for context in changing(f"writer-{writer}", _SIZE_BYTES, _VERSIONS, writer)]


# Threads of one process: those of context-core share one store.


def _threads(folder: Path, turns: int, saves: int) -> dict[str, list[_Run]]:
    histories = [_histories(writer) for writer in range(THREADS)]
    runs: dict[str, list[_Run]] = {"floor": [], "ours": []}
    with open_sides(folder) as sides:
        floors = [Floor(folder / "floor.db") for _ in range(THREADS)]
        pairs = [_ways(Sides(floor, sides.store), history) for floor, history in zip(floors, histories, strict=True)]
        for turn in range(turns + 1):
            for side in sorted(runs, reverse=turn % 2 == 0):
                run = _race([ways[side] for ways in pairs], saves)
                if turn:  # the first turn is the warm-up
                    runs[side].append(run)
        for floor in floors:
            floor.close()
    return runs


def _race(writers: Sequence[Callable[[int], Any]], saves: int) -> _Run:
    barrier = threading.Barrier(len(writers) + 1)
    times_ms: list[float] = []
    failures: list[Exception] = []

    def write(save: Callable[[int], Any]) -> None:
        barrier.wait()
        own, failed = _timed(save, saves)
        times_ms.extend(own)
        failures.extend(failed)

    threads = [threading.Thread(target=write, args=(save,)) for save in writers]
    for thread in threads:
        thread.start()
    barrier.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    rate = len(times_ms) / (time.perf_counter() - started)
    return _Run(rate, times_ms, len(failures))


def _timed(save: Callable[[int], Any], saves: int) -> tuple[list[float], list[Exception]]:
    """Save so many times; count failed saves, and do not record their times."""
    times_ms: list[float] = []
    failures: list[Exception] = []
    for number in range(saves):
        started = time.perf_counter()
        try:
            save(number)
        except (ContextCoreError, sqlite3.Error) as error:
            failures.append(error)
        else:
            times_ms.append((time.perf_counter() - started) * 1_000)
    return times_ms, failures


# Processes: each one opens its own store and its own floor on the same two files.


def _processes(folder: Path, turns: int, saves: int) -> dict[str, list[_Run]]:
    context = multiprocessing.get_context("spawn")
    runs: dict[str, list[_Run]] = {"floor": [], "ours": []}
    with open_sides(folder):  # both files exist before the workers start
        barrier = context.Barrier(PROCESSES)
        pipes = [context.Pipe() for _ in range(PROCESSES)]
        workers = [
            context.Process(target=_work, args=(folder, writer, saves, barrier, theirs))
            for writer, (_, theirs) in enumerate(pipes)
        ]
        for worker in workers:
            worker.start()
        for _, theirs in pipes:
            theirs.close()
        try:
            for turn in range(turns + 1):
                for side in sorted(runs, reverse=turn % 2 == 0):
                    for own, _ in pipes:
                        own.send(side)
                    run = _together([own.recv() for own, _ in pipes])
                    if turn:
                        runs[side].append(run)
        finally:
            for own, _ in pipes:
                own.close()
            for worker in workers:
                worker.join()
    return runs


def _together(reports: Sequence[tuple[float, float, list[float], int]]) -> _Run:
    """Return saves per second from the first start to the last end; all processes read the same machine clock."""
    seconds = max(ended for _, ended, _, _ in reports) - min(started for started, _, _, _ in reports)
    times_ms = [ms for _, _, own, _ in reports for ms in own]
    return _Run(len(times_ms) / seconds, times_ms, sum(failed for _, _, _, failed in reports))


def _work(folder: Path, writer: int, saves: int, barrier: Any, pipe: Connection) -> None:
    history = _histories(writer)
    with open_sides(folder) as sides, closing(pipe):
        work = _ways(sides, history)
        while True:
            try:
                side = pipe.recv()
            except EOFError:
                return
            barrier.wait()
            started = time.monotonic()
            times_ms, failures = _timed(work[side], saves)
            pipe.send((started, time.monotonic(), times_ms, len(failures)))


def _ways(sides: Sides, history: list[tuple[WorkflowContext, dict[str, Any]]]) -> dict[str, Callable[[int], Any]]:
    return {
        "floor": lambda number: sides.floor.save(history[number % _VERSIONS][1]),
        "ours": lambda number: sides.store.save_context(history[number % _VERSIONS][0]),
    }
