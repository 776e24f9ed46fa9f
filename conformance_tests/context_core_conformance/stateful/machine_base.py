"""A store beside its model, and what must hold between them after every step."""

import itertools
from collections.abc import Callable
from typing import Any

from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from context_core import Capability
from context_core_conformance.outcomes import Answer, Refusal, exact, outcome_of
from context_core_conformance.restoring import tombstones
from context_core_conformance.samples import TickingClock
from context_core_conformance.stateful import strategies as drawn
from context_core_conformance.stateful.reference_query import FREE_FORM, Clause
from context_core_conformance.stateful.reference_store import Model
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Store


class ModelledStore(RuleBasedStateMachine):
    """Two handles to one fresh store, and the model of what it must hold.

    A step writes through one handle; what came of it is then looked at through the other (CO04).
    """

    def __init__(self, subject: Subject) -> None:
        super().__init__()
        self.clock = TickingClock()
        self.model = Model(self.clock)
        self.subject = subject.another()
        self._subjects = [self.subject]
        self._open()
        self.capabilities = self._backend.describe().capabilities
        self._reader = 0
        self._orders = itertools.cycle(drawn.STABLE_ORDERS)
        self._written: set[str] = set()

    def teardown(self) -> None:
        """Close all that this example opened."""
        for subject in self._subjects:
            subject.close_all()

    def agree(self, real: Callable[[], object], expected: Callable[[], object]) -> Answer | Refusal:
        """Do the same to the store and to the model: results, or classes and facts of errors, are equal."""
        found, modelled = outcome_of(real), outcome_of(expected)
        assert found == modelled
        return found

    def both(self, by: int, verb: str, *arguments: Any, **options: Any) -> Answer | Refusal:
        """Call the same verb of both."""
        return self.agree(
            lambda: getattr(self.stores[by], verb)(*arguments, **options),
            lambda: getattr(self.model, verb)(*arguments, **options),
        )

    def write(self, by: int, verb: str, *arguments: Any, touches: set[str], **options: Any) -> None:
        """Call the same verb of both, which may change some workflows."""
        self._reader = 1 - by
        self._written |= touches
        self.both(by, verb, *arguments, **options)

    def key(self, key: str | None) -> str | None:
        """An idempotency key, where the backend takes one."""
        return key if Capability.IDEMPOTENCY in self.capabilities else None

    def expected(self, workflow_id: str, expects: str | None) -> int | None:
        """The number that an expectation stands for now."""
        return drawn.expected_version(expects, self.model.head_version(workflow_id))

    def conditions(self, workflow_id: str, chosen: drawn.Conditions) -> dict[str, Any]:
        """What a save is called with, beside the context."""
        expects, key = chosen
        return {"expected_version": self.expected(workflow_id, expects), "idempotency_key": self.key(key)}

    def can_ask(self, clause: Clause) -> bool:
        """Whether the backend answers such a condition."""
        return clause.field not in FREE_FORM or Capability.JSON_PATHS in self.capabilities

    def move_to(self, subject: Subject) -> None:
        """Go on with another store, which holds the same."""
        self._subjects.append(subject)
        self.subject = subject
        self._open()

    def _open(self) -> None:
        self.stores: list[Store] = [self.subject.open(clock=self.clock) for _ in range(2)]
        self._backend = self.subject.backend(clock=self.clock)

    @rule(seconds=drawn.seconds)
    def let_time_pass(self, seconds: float) -> None:
        """Or turn the clock back."""
        self.clock.advance(seconds)

    @invariant()
    def the_store_shows_what_the_model_holds(self) -> None:
        """Every version of every workflow, every head, every count; looked at only after a write."""
        if not self._written:
            return
        store, model = self.stores[self._reader], self.model
        for workflow_id in drawn.IDS:
            assert store.history(workflow_id) == model.history(workflow_id)
        assert store.list_headers() == model.headers()
        assert exact(store.search_contexts()) == exact(model.search())
        order = next(self._orders)
        pages = store.iter_contexts(order_by=order or None, page_size=2)
        assert (order, [context.workflow_id for context in pages]) == (order, model.find(drawn.ordered(order)))
        assert store.count_contexts() == len(model.histories)
        assert list(tombstones(self._backend)) == model.tombstones()
        for story in drawn.STORIES:
            assert exact(store.get_context_versions(*story)) == exact(model.get_context_versions(*story))
            assert store.get_version_count(*story) == model.get_version_count(*story)
            assert exact(store.get_latest_context(*story)) == exact(model.get_latest_context(*story))
        for workflow_id in sorted(self._written):
            self._compare_one(store, workflow_id)
        self._written.clear()

    def _compare_one(self, store: Store, workflow_id: str) -> None:
        """One workflow from all sides: by number, by the time of each version, and a number too far at both ends."""
        saved = self.model.histories.get(workflow_id, [])
        assert store.context_exists(workflow_id) == bool(saved)
        numbers = [version.version for version in saved]
        for number in {0, 1, *numbers, *(number + 1 for number in numbers)}:
            self._compare_load(store, workflow_id, version=number)
        for moment in {moment for version in saved for moment in drawn.around(version.saved_at)}:
            self._compare_load(store, workflow_id, as_of=moment)

    def _compare_load(self, store: Store, workflow_id: str, **options: Any) -> None:
        self.agree(
            lambda: store.load_context(workflow_id, **options),
            lambda: self.model.load_context(workflow_id, **options),
        )
