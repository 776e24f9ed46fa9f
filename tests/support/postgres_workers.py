"""What a process does beside others, or until its server is gone. Each waits at *start* with its store open."""

from typing import Any

from context_core import BackendUnavailableError, ContextPersistence, OutcomeUnknownError, VersionConflictError
from context_core_conformance.racing import Start
from context_core_conformance.samples import a_context

SHARED = ("w0", "w1", "w2")


def save_in_turn(start: Start, number: int, url: str, times: int) -> list[tuple[str, int]]:
    """Save *times* times, to one of the shared workflows after the other; return what was acknowledged."""
    with ContextPersistence(url) as store:
        start.wait()
        names = [SHARED[(number + turn) % len(SHARED)] for turn in range(times)]
        return [(name, store.save_context(a_context(name, metadata={"of": number}))) for name in names]


def count_up(start: Start, number: int, url: str, times: int) -> int:
    """Add 1 to the counter of a shared workflow, *times* times; return how often that was a conflict."""
    name = SHARED[number % len(SHARED)]
    conflicts = done = 0
    with ContextPersistence(url) as store:
        start.wait()
        while done < times:
            seen = store.load_context(name)
            changed = seen.copy_with(metadata={"counter": seen.metadata["counter"] + 1})
            try:
                store.save_context(changed, expected_version=seen.version)
            except VersionConflictError:
                conflicts += 1
            else:
                done += 1
    return conflicts


def open_and_save(start: Start, number: int, url: str) -> int:
    """Open at the same moment as all others, save once to an own workflow, and return the schema's version."""
    start.wait()
    with ContextPersistence(url) as store:
        store.save_context(a_context(f"own-{number}"))
        return store.describe().schema_version or 0


class Witness:
    """Saves to one workflow, and notes what became of it."""

    def __init__(self, store: ContextPersistence[Any], workflow_id: str) -> None:
        self.store = store
        self.workflow_id = workflow_id
        self.acknowledged: dict[int, int] = {}
        self.unknown: set[int] = set()
        self.refused: set[int] = set()

    def save(self, turn: int) -> None:
        """Save once; *turn* is in the context."""
        try:
            version = self.store.save_context(a_context(self.workflow_id, metadata={"turn": turn}))
        except OutcomeUnknownError:
            self.unknown.add(turn)
        except BackendUnavailableError:
            self.refused.add(turn)
        else:
            self.acknowledged[turn] = version

    def check(self, store: ContextPersistence[Any]) -> None:
        """All that was acknowledged is there at its very version, nothing that was refused, and no gap."""
        versions = [header.version for header in store.history(self.workflow_id)]
        assert versions == list(range(1, len(versions) + 1))
        turns = [store.load_context(self.workflow_id, version=version).metadata["turn"] for version in versions]
        assert {turn: version for version, turn in enumerate(turns, start=1)}.items() >= self.acknowledged.items()
        assert set(turns) - self.acknowledged.keys() <= self.unknown
        assert len(turns) == len(set(turns))
