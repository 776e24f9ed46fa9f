"""Actions that start at one moment, in threads or in processes."""

import contextlib
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from multiprocessing.connection import Connection
from typing import Any, Final, Protocol, TypeVar

import attrs

from context_core_conformance.faults.deadlocks import LOOK_EVERY_S, Watch, other_threads, where

T = TypeVar("T")

PATIENCE_S: Final = 60.0
"""How long a racer may take before the law fails. Generous: a machine may be busy, a deadlock is for ever."""


class Start(Protocol):
    """The moment that racers wait for."""

    def wait(self) -> object:
        """Return once all racers wait."""


def in_threads(count: int, action: Callable[[int], T]) -> list[T]:
    """Run `action(0)` to `action(count - 1)` at once, a thread each, and return what they gave.

    Raises:
        TimeoutError: Racers hang, which shows after seconds where none of them takes a step; their threads are left
            behind, and do not keep the process alive.
    """
    start = threading.Barrier(count, timeout=PATIENCE_S)
    racers: list[Future[T]] = [Future() for _ in range(count)]

    def run(number: int) -> None:
        try:
            start.wait()
            racers[number].set_result(action(number))
        except BaseException as error:  # noqa: BLE001  # whatever it is, the law's own thread raises it
            racers[number].set_exception(error)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    with _switching_often():
        for thread in threads:
            thread.start()
        hanging = _wait(racers, threads)
    if hanging:
        raise TimeoutError(f"{len(hanging)} of {count} racing threads hang, at\n{where(hanging)}")
    for thread in threads:
        thread.join()
    return [racer.result() for racer in racers]


def _wait(racers: Sequence[Future[Any]], threads: Sequence[threading.Thread]) -> list[int]:
    """Return the ids of threads that hang: those that are left when none of them moves, or the patience ends."""
    watch, end = Watch(), time.monotonic() + PATIENCE_S
    running = [thread.ident for thread in threads if thread.ident is not None]
    while wait(racers, timeout=LOOK_EVERY_S).not_done:
        running = [
            thread.ident
            for thread, racer in zip(threads, racers, strict=True)
            if thread.ident is not None and not racer.done()
        ]
        if watch.are_still(running) or time.monotonic() > end:
            return running
    return []


@contextlib.contextmanager
def _switching_often() -> Iterator[None]:
    """Let threads interrupt each other a thousand times as often as usual, so that they meet inside of a call."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(usual / 1000)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def in_processes(count: int, worker: Callable[..., T], *arguments: Any) -> list[T]:
    """Run `worker(start, number, *arguments)` in *count* new processes and return what they gave.

    The worker waits at *start* when it is ready to race. It is a function of an importable module.
    """
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(count, timeout=PATIENCE_S)
    pipes = [context.Pipe(duplex=False) for _ in range(count)]
    processes = [
        context.Process(target=_work, args=(sender, worker, start, number, *arguments), daemon=True)
        for number, (_, sender) in enumerate(pipes)
    ]
    try:
        for process, (_, sender) in zip(processes, pipes, strict=True):
            process.start()
            sender.close()
        return [_reply(receiver) for receiver, _ in pipes]
    finally:
        for process, (receiver, _) in zip(processes, pipes, strict=True):
            receiver.close()
            if process.pid is not None:
                process.join(PATIENCE_S)
                process.kill()
                process.join()
            process.close()


def _work(sender: Connection, worker: Callable[..., object], start: Start, number: int, *arguments: Any) -> None:
    with sender:
        has_begun = _Begun(start)
        threading.Thread(target=_tell_when_still, args=(sender, has_begun), daemon=True).start()
        sender.send(worker(has_begun, number, *arguments))


class _Begun:
    """A start that tells this process when the race begins: before that, it may have to wait for others to arrive."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self.event = threading.Event()

    def wait(self) -> None:
        """Return once all racers wait."""
        self._start.wait()
        self.event.set()


def _tell_when_still(sender: Connection, has_begun: _Begun) -> None:
    """End this process where all its other threads stand still, once it has said where."""
    has_begun.event.wait()
    watch = Watch()
    while True:
        time.sleep(LOOK_EVERY_S)
        threads = other_threads()
        if watch.are_still(threads):
            sender.send(Hang(where(threads)))
            sender.close()
            os._exit(1)


@attrs.frozen
class Hang:
    """The answer of a process that hangs."""

    where: str


def _reply(receiver: Connection) -> Any:
    if not receiver.poll(PATIENCE_S):
        raise TimeoutError("a racing process gave no answer")
    try:
        answer = receiver.recv()
    except EOFError as error:
        raise ChildProcessError("a racing process died; its traceback is on stderr") from error
    if isinstance(answer, Hang):
        raise TimeoutError(f"a racing process hangs, at\n{answer.where}")
    return answer
