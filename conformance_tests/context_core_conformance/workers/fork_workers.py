"""A process that forks while its threads are at work."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import traceback

from context_core import ContextPersistence
from context_core_conformance.linearizability.histories import Call
from context_core_conformance.linearizability.recorder import Session
from context_core_conformance.linearizability.workload import Racer
from context_core_conformance.racing import PATIENCE_S, Start
from context_core_conformance.samples import a_context
from context_core_conformance.verbs import Store

THREADS = 4
TURNS_OF_A_CHILD = 8
PATIENCE_OF_A_CHILD_S = 15
"""A child that hangs must not outlive the law."""


def fork_among_threads(start: Start, number: int, url: str, forks: int) -> list[Call]:
    """Fork while four threads use the store; return what they and the children did."""
    del number
    with ContextPersistence(url) as store:
        sessions = [Session(store, f"thread {number}") for number in range(THREADS)]
        is_over = threading.Event()

        def race(session: Session) -> None:
            racer = Racer(session, "thread")
            while not is_over.is_set():
                racer.step()

        threads = [threading.Thread(target=race, args=(session,), daemon=True) for session in sessions]
        start.wait()
        for thread in threads:
            thread.start()
        try:
            calls = [call for fork in range(forks) for call in _in_a_child(store, f"child {fork}")]
        finally:
            is_over.set()
        for thread in threads:
            thread.join(PATIENCE_S)
        return calls + [call for session in sessions for call in session.calls]


def _in_a_child(store: Store, who: str) -> list[Call]:
    """What a forked child does with the store that it inherited."""
    inlet, outlet = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(PATIENCE_OF_A_CHILD_S)
        code = 1
        try:
            with os.fdopen(outlet, "wb") as file:
                pickle.dump(Racer(Session(store, who), who).run(TURNS_OF_A_CHILD), file)
            code = 0
        except BaseException:  # noqa: BLE001  # a fork must never return into its parent's code
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    os.close(outlet)
    with os.fdopen(inlet, "rb") as file:
        told = file.read()
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        raise ChildProcessError(f"{who} failed; its traceback is on stderr")
    calls: list[Call] = pickle.loads(told)  # noqa: S301  # from our own child
    return calls


def fork_in_two_threads(start: Start, number: int, url: str, forks: int) -> tuple[list[int], list[int]]:
    """Fork in two threads at once, while three write and read; return their counts of saves, and all exit codes."""
    del number
    with ContextPersistence(url) as store:
        store.save_context(a_context("shared"))
        is_over = threading.Event()
        written, done, codes = [0] * 3, [0] * 2, list[int]()

        def use(number: int) -> None:
            while not is_over.is_set():
                store.save_context(a_context(f"thread {number}"))
                written[number] += 1
                store.load_context("shared")

        def fork(number: int) -> None:
            while codes.count(0) == len(codes) and done[number] < forks:
                done[number] += 1
                codes.append(_fork_and_use(store) if number else _fork_and_execute())

        users = [threading.Thread(target=use, args=(number,), daemon=True) for number in range(len(written))]
        forkers = [threading.Thread(target=fork, args=(number,), daemon=True) for number in range(2)]
        start.wait()
        for thread in [*users, *forkers]:
            thread.start()
        for thread in forkers:
            thread.join(PATIENCE_S)
        is_over.set()
        for thread in users:
            thread.join(PATIENCE_S)
        if any(thread.is_alive() for thread in [*users, *forkers]):
            raise TimeoutError("threads hang after forks")
        return written, codes


def _fork_and_execute() -> int:
    """Start a program that does nothing, by a fork that runs the hooks of forks."""
    return subprocess.run(
        [sys.executable, "-S", "-c", ""], preexec_fn=_nothing, check=False
    ).returncode  # the fork of preexec_fn is what is tried


def _nothing() -> None:
    pass


def _fork_and_use(store: Store) -> int:
    child = os.fork()
    if child == 0:
        signal.alarm(PATIENCE_OF_A_CHILD_S)
        code = 1
        try:
            store.load_context("shared")
            store.save_context(a_context("child"))
            code = 0
        except BaseException:  # noqa: BLE001  # a fork must never return into its parent's code
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)
