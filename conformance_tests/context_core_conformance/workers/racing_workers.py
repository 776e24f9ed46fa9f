"""What racing processes do. Each waits at *start* with its store open."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from context_core import ContextPersistence, VersionConflictError
from context_core_conformance.racing import PATIENCE_S, Start
from context_core_conformance.samples import a_context
from context_core_conformance.verbs import Store


def save_expecting(start: Start, number: int, url: str, workflow_id: str, expected_version: int) -> int | None:
    """Save once, conditionally; return the version, or None after a conflict."""
    with _opened(url) as store:
        start.wait()
        return try_save(store, number, workflow_id, expected_version)


def save_often(start: Start, number: int, url: str, workflow_id: str, times: int) -> list[int]:
    """Save *times* times, unconditionally; return the versions."""
    with _opened(url) as store:
        start.wait()
        return [
            store.save_context(a_context(workflow_id, metadata={"racer": number, "turn": turn}))
            for turn in range(times)
        ]


def increment_often(start: Start, number: int, url: str, workflow_id: str, times: int) -> None:
    """Add 1 to the workflow's counter, *times* times."""
    del number
    with _opened(url) as store:
        start.wait()
        for _ in range(times):
            increment(store, workflow_id)


def save_with_key(start: Start, number: int, url: str, workflow_id: str, key: str) -> int:
    """Save the same content under the same key as all others; return the version."""
    del number
    with _opened(url) as store:
        start.wait()
        return store.save_context(a_context(workflow_id), idempotency_key=key)


def write_or_watch(start: Start, number: int, url: str, workflow_ids: Sequence[str], last_round: int) -> list[set[int]]:
    """Racer 0 writes rounds of batches, all others watch; return what a watcher saw in each load."""
    with _opened(url) as store:
        start.wait()
        if number:
            return watch_rounds(store, workflow_ids, last_round)
        write_rounds(store, workflow_ids, last_round)
        return []


def open_and_read(start: Start, number: int, url: str, workflow_ids: Sequence[str]) -> list[tuple[int, str]]:
    """Open the store together with all others; return the heads of these workflows."""
    del number
    start.wait()
    with _opened(url) as store:
        return [(found.version, found.to_json()) for found in store.load_contexts(workflow_ids)]


def _opened(url: str) -> Store:
    return ContextPersistence(url)


def try_save(store: Store, number: int, workflow_id: str, expected_version: int) -> int | None:
    """Save once, conditionally; return the version, or None after a conflict."""
    context = a_context(workflow_id, metadata={"racer": number})
    try:
        return store.save_context(context, expected_version=expected_version)
    except VersionConflictError:
        return None


def increment(store: Store, workflow_id: str) -> None:
    """Add 1 to the workflow's counter, reading again after each conflict."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        seen = store.load_context(workflow_id)
        changed = seen.copy_with(metadata={"counter": seen.metadata["counter"] + 1})
        try:
            store.save_context(changed, expected_version=seen.version)
        except VersionConflictError:
            continue
        return
    raise TimeoutError("every save was a conflict")


def write_rounds(store: Store, workflow_ids: Sequence[str], last_round: int) -> None:
    """Save all workflows in one batch a round."""
    for number in range(1, last_round + 1):
        store.save_contexts(a_context(workflow_id, metadata={"round": number}) for workflow_id in workflow_ids)


def watch_rounds(store: Store, workflow_ids: Sequence[str], last_round: int) -> list[set[int]]:
    """Load all workflows again and again until the last round shows; return the set of rounds seen in each load.

    A workflow that is missing counts as round 0.
    """

    def look() -> set[int]:
        contexts = store.load_contexts(workflow_ids)
        missing = {0} if len(contexts) < len(workflow_ids) else set()
        return {context.metadata["round"] for context in contexts} | missing

    return watch(look, until=lambda seen: last_round in seen)


def watch(look: Callable[[], Any], *, until: Callable[[Any], bool]) -> list[Any]:
    """Look again and again; return all that was seen, the last of it what was waited for."""
    end = time.monotonic() + PATIENCE_S
    views = [look()]
    while not until(views[-1]):
        if time.monotonic() > end:
            raise TimeoutError("what was waited for never showed")
        views.append(look())
    return views
