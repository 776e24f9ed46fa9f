"""What processes do side by side, and what a process does before and after it forks."""

import os
import sys
import traceback

from context_core import ContextPersistence
from context_core_conformance.racing import Start
from context_core_conformance.samples import a_context
from context_core_conformance.verbs import Store


def opened(url: str) -> Store:
    """A store of this process."""
    return ContextPersistence(url)


def save_shared_and_own(start: Start, number: int, url: str, times: int) -> list[int]:
    """Save to a workflow that all share and to one of its own, in turn; return the versions of the shared one."""
    with opened(url) as store:
        start.wait()
        versions = []
        for turn in range(times):
            versions.append(store.save_context(a_context("shared", metadata={"process": number})))
            store.save_context(a_context(f"own-{number}", metadata={"turn": turn}))
        return versions


def read_while_others_write(start: Start, number: int, url: str, times: int) -> list[int]:
    """Process 0 reads *times* times and returns the versions that it saw; all others write as often."""
    with opened(url) as store:
        start.wait()
        if number:
            return [store.save_context(a_context("shared")) for _ in range(times)]
        return [store.load_context("shared").version for _ in range(times)]


def use_across_fork(start: Start, number: int, url: str, times: int) -> int:
    """Fork with the store open; parent and child then save and load by turns. Return the child's exit code."""
    del number
    with opened(url) as store:
        store.save_context(a_context("shared"))
        start.wait()
        child = os.fork()
        if child == 0:
            _leave(0 if _works_in_child(store, times) else 1)
        _use(store, "parent", times)
        _, status = os.waitpid(child, 0)
        store.save_context(a_context("shared"))
        return os.waitstatus_to_exitcode(status)


def close_in_child(start: Start, number: int, url: str, times: int) -> int:
    """Fork with the store open, close it in the child alone, and go on in the parent. Return the child's exit code."""
    del number
    with opened(url) as store:
        store.save_context(a_context("shared"))
        start.wait()
        child = os.fork()
        if child == 0:
            store.close()
            _leave(0)
        _, status = os.waitpid(child, 0)
        _use(store, "parent", times)
        return os.waitstatus_to_exitcode(status)


def _works_in_child(store: Store, times: int) -> bool:
    try:
        _use(store, "child", times)
    except BaseException:  # noqa: BLE001  # a fork must never return into its parent's code
        traceback.print_exc()
        return False
    return True


def _use(store: Store, name: str, times: int) -> None:
    for turn in range(1, times + 1):
        version = store.save_context(a_context("shared", metadata={"writer": name}))
        if store.load_context("shared", version=version).metadata != {"writer": name}:
            raise AssertionError(f"version {version} is not what the {name} saved")
        if store.save_context(a_context(name)) != turn:
            raise AssertionError(f"save {turn} of the {name} has another number")


def _leave(code: int) -> None:
    sys.stderr.flush()
    os._exit(code)
