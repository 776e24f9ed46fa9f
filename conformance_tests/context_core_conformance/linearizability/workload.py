"""What racers do to a few workflows at once, so that a recorded history of it is worth judging."""

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from context_core import Capability, ContextPersistence
from context_core_conformance.linearizability.histories import Call, Deleting, Outcome, Saving, Seen, Writing
from context_core_conformance.linearizability.recorder import Session
from context_core_conformance.racing import Start

WORKFLOWS: Final = ("red", "green", "blue")
"""Few, so that racers meet."""

EXPECTED_REFUSALS: Final = frozenset({"", "VersionConflictError", "ContextNotFoundError"})
"""What a racer may be told. No lock, no failed serialization, no engine's own words."""


RACING: Final[Mapping[str, int]] = {
    "save": 4,
    "compare_and_save": 5,
    "update": 1,
    "load": 5,
    "load_old": 2,
    "load_many": 4,
    "list": 1,
    "delete": 1,
    "renew": 1,
    "batch": 3,
}
"""How often a racer does what, where all that counts is who comes first."""

WRITING: Final[Mapping[str, int]] = {
    "save": 4,
    "save_with_key": 4,
    "compare_and_save": 4,
    "delete": 1,
    "renew": 2,
    "batch": 4,
    "prune": 1,
}
"""How often, where all that counts is what is written."""

NEEDS: Final = {"save_with_key": Capability.IDEMPOTENCY, "prune": Capability.PRUNE}
"""What a racer leaves out on a store that does not declare the capability."""


class Racer:
    """Does one random thing after the other, guided by what it last saw."""

    def __init__(
        self,
        session: Session,
        seed: object,
        workflows: Sequence[str] = WORKFLOWS,
        weights: Mapping[str, int] = RACING,
    ) -> None:
        self._session = session
        able = session.store.describe().capabilities
        self._weights = {action: weight for action, weight in weights.items() if NEEDS.get(action) in {None, *able}}
        self._rng = random.Random(repr(seed))  # noqa: S311  # variety, not secrecy
        self._workflows = workflows
        self._heads = dict.fromkeys(workflows, 0)

    def run(self, turns: int) -> list[Call]:
        """Do *turns* things and return the record of them."""
        for _ in range(turns):
            self.step()
        return self._session.calls

    def step(self) -> None:
        """Do one thing."""
        (action,) = self._rng.choices(list(self._weights), list(self._weights.values()))
        workflow_id = self._rng.choice(self._workflows)
        call: Call = getattr(self, f"_{action}")(workflow_id)
        self._learn(call)

    def _save(self, workflow_id: str) -> Call:
        return self._session.save(workflow_id)

    def _save_with_key(self, workflow_id: str) -> Call:
        """The key is the label, so that the call can be repeated from its record."""
        return self._session.save(workflow_id, has_key=True)

    def _compare_and_save(self, workflow_id: str) -> Call:
        return self._session.save(workflow_id, expected=self._heads[workflow_id])

    def _update(self, workflow_id: str) -> Call:
        return self._session.save(workflow_id, must_exist=True)

    def _load(self, workflow_id: str) -> Call:
        return self._session.load(workflow_id)

    def _load_old(self, workflow_id: str) -> Call:
        return self._session.load(workflow_id, version=max(1, self._heads[workflow_id] - self._rng.randrange(5)))

    def _load_many(self, _: str) -> Call:
        return self._session.load_many(self._shuffled())

    def _list(self, workflow_id: str) -> Call:
        return self._session.list(workflow_id)

    def _delete(self, workflow_id: str) -> Call:
        return self._session.delete(workflow_id, expected=max(1, self._heads[workflow_id]))

    def _renew(self, workflow_id: str) -> Call:
        """Delete and save in one batch: the save tells which version was deleted."""
        return self._session.batch([Deleting(workflow_id), Saving(workflow_id, self._session.label())])

    def _prune(self, _: str) -> Call:
        """In many small transactions."""
        return self._session.prune(keep_last=self._rng.randint(1, 3), batch_size=self._rng.randint(1, 3))

    def _batch(self, _: str) -> Call:
        """Write several workflows, in any order, one of them perhaps only if it is as it was last seen."""
        items: list[Writing] = [Saving(name, self._session.label()) for name in self._shuffled()]
        if self._rng.random() < 0.5:
            name = items[-1].workflow_id
            items[-1] = Saving(name, self._session.label(), expected=self._heads[name])
        return self._session.batch(items)

    def _shuffled(self) -> list[str]:
        count = self._rng.randint(2, len(self._workflows))
        return self._rng.sample(self._workflows, count)

    def _learn(self, call: Call) -> None:
        """Remember where workflows stood."""
        if call.stood_at is not None:
            workflow_id, head = call.stood_at
            self._heads[workflow_id] = head
        if call.outcome is Outcome.DONE:
            for item, result in zip(call.items, call.results, strict=True):
                if isinstance(item, Saving) and isinstance(result, int):
                    self._heads[item.workflow_id] = result
                elif isinstance(result, Seen) and hasattr(item, "workflow_id"):
                    self._heads[item.workflow_id] = max(self._heads[item.workflow_id], result.version)


def run_workload(start: Start, number: int, url: str, turns: int) -> list[Call]:
    """What a racing process does, on a store of its own."""
    with ContextPersistence(url) as store:
        session = Session(store, f"process {number}")
        start.wait()
        return Racer(session, number).run(turns)


def look_at_all(session: Session, workflows: Iterable[str] = WORKFLOWS) -> None:
    """Read everything there is, so that every save that took place is seen."""
    for workflow_id in workflows:
        session.read_all(workflow_id)


def refusals(history: Sequence[Call]) -> set[str]:
    """What calls were refused for, other than by the rules."""
    return {call.reason for call in history} - EXPECTED_REFUSALS
