"""The state machine: a fresh store and its model go through the same steps, and agree after each of them.

Steps are the verbs of `ContextPersistence`, by one of two handles to the store, with a clock that may go back; now and
then a handle is closed and opened again, old versions are pruned, or everything moves to another store and goes on there.
"""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from context_core import Capability, ContextPersistence, ImportResult, Save
from context_core_conformance.stateful import strategies as drawn
from context_core_conformance.stateful.machine_reads import ReadingRules
from context_core_conformance.stateful.strategies import Conditions, Deleting, Fields, Saving


def _declares(capability: Capability) -> Callable[["StoreMachine"], bool]:
    return lambda machine: capability in machine.capabilities


class StoreMachine(ReadingRules):
    """Steps that write, or take the store somewhere else; those that read come with them."""

    @initialize(chosen=st.lists(st.tuples(st.sampled_from(drawn.IDS[:3]), drawn.fields), max_size=8))
    def begin(self, chosen: list[tuple[str, Fields]]) -> None:
        """Most lives begin with something to act upon."""
        contexts = [drawn.context_of(workflow_id, fields) for workflow_id, fields in chosen]
        self.write(0, "save_contexts", contexts, touches=set(drawn.IDS))

    @rule(
        by=drawn.handles,
        verb=st.sampled_from(("save_context", "save_context", "update_context")),
        workflow_id=drawn.known_ids,
        fields=drawn.fields,
        options=drawn.conditions,
    )
    def save(self, by: int, verb: str, workflow_id: str, fields: Fields, options: Conditions) -> None:
        """Save; then change what was saved, and the store is not changed (RT11)."""
        context = drawn.context_of(workflow_id, fields)
        self.write(by, verb, context, touches={workflow_id}, **self.conditions(workflow_id, options))
        drawn.spoil(context)

    @rule(
        by=drawn.handles,
        workflow_id=drawn.known_ids,
        chosen=st.lists(drawn.fields, min_size=1, max_size=4),
        pause=drawn.pauses,
        key=drawn.keys,
    )
    def save_on(self, by: int, workflow_id: str, chosen: list[Fields], pause: float, key: str | None) -> None:
        """A version or several in a row, the first of them under a key; the last writer wins."""
        for fields in chosen:
            self.clock.advance(pause)
            context = drawn.context_of(workflow_id, fields)
            self.write(by, "save_context", context, touches={workflow_id}, idempotency_key=self.key(key))
            key = None

    @rule(
        by=drawn.handles, workflow_id=drawn.known_ids, back=drawn.steps_back, key=drawn.keys, expects=drawn.expectations
    )
    def save_again(self, by: int, workflow_id: str, back: int, key: str | None, expects: str | None) -> None:
        """The content of a version that is there, most often under the key it was saved with (ID01)."""
        history = self.model.histories.get(workflow_id, [])
        candidates = [saved for saved in history if saved.key is not None] or history
        if candidates:
            known = candidates[back % len(candidates)]
            expected = self.expected(workflow_id, expects)
            again = self.key(known.key if key is None else key)
            options: dict[str, Any] = {"expected_version": expected, "idempotency_key": again}
            self.write(by, "save_context", known.context, touches={workflow_id}, **options)

    @rule(by=drawn.handles, operations=drawn.operations)
    def batch(self, by: int, operations: list[Saving | Deleting]) -> None:
        """Saves and deletes, with keys and expectations; where one fails, none is done (BA01, BA06)."""
        chosen = [drawn.operation_of(operation, self.model.head_version) for operation in operations]
        if Capability.IDEMPOTENCY not in self.capabilities:
            chosen = [
                Save(operation.context, expected_version=operation.expected_version)
                if isinstance(operation, Save)
                else operation
                for operation in chosen
            ]
        self.write(by, "batch", chosen, touches={operation.workflow_id for operation in operations})

    @rule(by=drawn.handles, workflow_id=drawn.known_ids, expects=drawn.expectations)
    def delete(self, by: int, workflow_id: str, expects: str | None) -> None:
        """What is there, and what is not."""
        expected = self.expected(workflow_id, expects)
        self.write(by, "delete_context", workflow_id, expected_version=expected, touches={workflow_id})

    @rule(
        by=drawn.handles, workflow_id=drawn.known_ids, back=drawn.steps_back, expects=drawn.expectations, key=drawn.keys
    )
    def rollback(self, by: int, workflow_id: str, back: int, expects: str | None, key: str | None) -> None:
        """To a version that is there, or is not."""
        options: dict[str, Any] = {
            "expected_version": self.expected(workflow_id, expects),
            "idempotency_key": self.key(key),
        }
        version = self.model.head_version(workflow_id) - back
        self.write(by, "rollback", workflow_id, version, touches={workflow_id}, **options)

    @rule(by=drawn.handles, workflow_id=drawn.known_ids, new_id=drawn.ids, back=st.none() | drawn.steps_back)
    def fork(self, by: int, workflow_id: str, new_id: str, back: int | None) -> None:
        """Onto an id that is free, was deleted, or is taken."""
        version = None if back is None else self.model.head_version(workflow_id) - back
        self.write(by, "fork", workflow_id, new_id, version, touches={workflow_id, new_id})

    @precondition(_declares(Capability.PRUNE))
    @rule(
        by=drawn.handles,
        keep_last=st.integers(1, 3),
        statuses=st.sampled_from((None, None, None, ["running"], ["failed", "paused"], [])),
        inactive_for=st.sampled_from((None, None, None, 0, 60, -0.000001)),
        batch_size=st.sampled_from((1, 2, 500)),
    )
    def prune(
        self, by: int, keep_last: int, statuses: list[str] | None, inactive_for: float | None, batch_size: int
    ) -> None:
        """First a dry run, which removes nothing, then the run (RE01)."""
        since = None if inactive_for is None else self.clock.now - timedelta(seconds=inactive_for)
        options: dict[str, Any] = {"keep_last": keep_last, "statuses": statuses, "inactive_since": since}
        store, model = self.stores[by], self.model
        dry = self.agree(lambda: store.prune(**options, dry_run=True), lambda: model.prune(**options, dry_run=True))
        self._reader = 1 - by
        self._written |= set(drawn.IDS)
        self.the_store_shows_what_the_model_holds()
        self._written |= set(drawn.IDS)
        assert dry == self.agree(lambda: store.prune(**options, batch_size=batch_size), lambda: model.prune(**options))

    @rule(by=drawn.handles, chore=st.sampled_from(("reopen", "move", "export", "verify")))
    def keep_house(self, by: int, chore: str) -> None:
        """Do what changes nothing that is to be seen."""
        getattr(self, f"_{chore}")(by)
        self._reader = by
        self._written |= set(drawn.IDS)

    def _reopen(self, by: int) -> None:
        """Close one handle and open another to the same store (ER06)."""
        self.stores[by].close()
        self.stores[by] = self.subject.open(clock=self.clock)

    def _move(self, by: int) -> None:
        """To a fresh store of the same driver, to go on there: numbers, times, keys and tombstones came along."""
        with TemporaryDirectory() as folder:
            self.stores[by].export(Path(folder, "export"))
            self.move_to(self.subject.another())
            self.stores[by].import_(Path(folder, "export"))

    def _export(self, by: int) -> None:
        """To memory, whose own export is then the same to the byte; and a second import changes nothing (MO01)."""
        with TemporaryDirectory() as folder, ContextPersistence("memory://") as memory:
            first, second = Path(folder, "first"), Path(folder, "second")
            count = self.stores[by].export(first).count
            assert count == sum(map(len, self.model.histories.values())) + len(self.model.graves)
            assert memory.import_(first) == ImportResult(written=count, present=0)
            assert memory.export(second).count == count
            assert first.read_bytes() == second.read_bytes()
            assert self.stores[by].import_(first) == ImportResult(written=0, present=count)

    def _verify(self, by: int) -> None:
        """The store is sound, and every version was looked at."""
        if Capability.VERIFY in self.capabilities:
            report = self.stores[by].verify()
            assert report.is_sound, report.damages
            assert report.checked_versions == sum(map(len, self.model.histories.values()))
