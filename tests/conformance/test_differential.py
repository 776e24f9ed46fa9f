"""Same answers everywhere: one invented trace of operations, replayed on every installed driver, answers compared.

CONTEXT_CORE_TEST_SEEDS tells how many traces; each is made from its number alone, so that a failure can be run again.
"""

import functools
import itertools
import os
from datetime import timedelta
from random import Random
from typing import Any

import attrs
import pytest
from installed_drivers import DRIVERS

from context_core import Capability, ContextDiff, ContextPersistence, Delete, Page, Save
from context_core_conformance.outcomes import Refusal, exact, outcome_of
from context_core_conformance.samples import TickingClock
from context_core_conformance.stateful import strategies as pools
from context_core_conformance.stateful.query_strategies import STATUSES
from context_core_conformance.stateful.reference_store import Model

OPERATIONS = 400
SEEDS = range(int(os.environ.get("CONTEXT_CORE_TEST_SEEDS", "4")))
WRITES = {
    "save_context": 8,
    "update_context": 3,
    "save_contexts": 2,
    "batch": 4,
    "delete_context": 3,
    "rollback": 3,
    "fork": 2,
    "prune": 1,
}
READS = {
    "load_context": 4,
    "load_contexts": 1,
    "history": 2,
    "diff": 1,
    "get_latest_context_by_status": 1,
    "get_context_versions": 1,
    "search_contexts": 3,
    "list_headers": 1,
    "count_contexts": 1,
    "search_page": 2,
    "iter_contexts": 2,
}
MISUSES = [
    {"filters": {"statsu": "failed"}},
    {"filters": {"epic_num__like": 1}},
    {"filters": {"status": "done"}},
    {"order_by": "tags"},
    {"limit": -1},
]
REFUSALS = {
    "ContextExistsError",
    "ContextNotFoundError",
    "IdempotencyConflictError",
    "InvalidQueryError",
    "UnserializableValueError",
    "VersionConflictError",
    "VersionNotFoundError",
}


@attrs.frozen
class Step:
    """One call of a store, *seconds* after the last."""

    seconds: float
    verb: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]

    def do(self, store):
        """Call it, and return what can be compared."""
        value = getattr(store, self.verb)(*self.arguments, **self.options)
        if self.verb == "iter_contexts":
            return list(value)
        if isinstance(value, Page):
            return [value.items, value.next_cursor, value.is_stable]
        return [str(value), value.patch] if isinstance(value, ContextDiff) else value


class Inventor:
    """Invents steps. It plays them to the model, to know which version a writer would have seen."""

    def __init__(self, seed, *, may_prune):
        self.verbs = {verb: weight for verb, weight in (WRITES | READS).items() if may_prune or verb != "prune"}
        self.random = Random(seed)
        self.clock = TickingClock()
        self.model = Model(self.clock)

    def trace(self):
        """All steps of one trace."""
        return [self._step() for _ in range(OPERATIONS)]

    def _step(self):
        (verb,) = self.random.choices(list(self.verbs), list(self.verbs.values()))
        arguments, options = getattr(self, f"_{verb}", self._search)()
        seconds = self._any((0, 0, 60, 0.000001, -30, -86_400, 86_400))
        self.clock.advance(seconds)
        if verb in WRITES:
            outcome_of(lambda: getattr(self.model, verb)(*arguments, **options))
        return Step(seconds, verb, arguments, options)

    def _any(self, pool):
        return self.random.choice(pool)

    def _id(self):
        return self._any(pools.IDS)

    def _several(self, make, most=4):
        return [make() for _ in range(self.random.randrange(most + 1))]

    def _context(self):
        chosen = self.random.sample(list(pools.FIELDS), self.random.randrange(5))
        return pools.context_of(self._id(), {name: self._any(pools.FIELDS[name]) for name in chosen})

    def _number(self, workflow_id):
        return self.model.head_version(workflow_id) - self._any((0, 0, 1, 1, 2, 3, -1))

    def _expecting(self, workflow_id):
        return pools.expected_version(self._any(pools.EXPECTATIONS), self.model.head_version(workflow_id))

    def _conditions(self, workflow_id):
        key = self._any((None, None, *pools.KEYS))
        return {"expected_version": self._expecting(workflow_id), "idempotency_key": key}

    def _save_context(self):
        context = self._context()
        saved = [version for history in self.model.histories.values() for version in history if version.key]
        if saved and self.random.random() < 0.15:
            again = self._any(saved)  # a retry, often after other saves
            return (again.context,), {"idempotency_key": again.key}
        return (context,), self._conditions(context.workflow_id)

    _update_context = _save_context

    def _save_contexts(self):
        return (self._several(self._context),), {}

    def _batch(self):
        return (self._several(self._operation),), {}

    def _operation(self):
        context = self._context()
        if self.random.random() < 0.3:
            return Delete(context.workflow_id, expected_version=self._expecting(context.workflow_id))
        return Save(context, **self._conditions(context.workflow_id))

    def _delete_context(self):
        workflow_id = self._id()
        return (workflow_id,), {"expected_version": self._expecting(workflow_id)}

    def _rollback(self):
        workflow_id = self._id()
        return (workflow_id, self._number(workflow_id)), self._conditions(workflow_id)

    def _fork(self):
        workflow_id = self._id()
        return (workflow_id, self._id(), self._any((None, self._number(workflow_id)))), {}

    def _prune(self):
        since = self.clock.now - timedelta(seconds=self._any((0, 60, 86_400)))
        statuses = self._any((None, self.random.sample(STATUSES, 2)))
        dry_run = self._any((True, False))
        return (), {
            "keep_last": self._any((1, 2, 3, 3)),
            "inactive_since": self._any((None, since)),
            "statuses": statuses,
            "dry_run": dry_run,
        }

    def _load_context(self):
        workflow_id = self._id()
        saved = self.model.histories.get(workflow_id)
        if saved and self.random.random() < 0.5:
            return (workflow_id,), {"as_of": self._any(pools.around(self._any(saved).saved_at))}
        return (workflow_id,), {"version": self._any((None, self._number(workflow_id)))}

    def _load_contexts(self):
        return (self._several(self._id),), {}

    def _history(self):
        options = {
            "limit": self._any((None, 0, 1, 2)),
            "offset": self._any((0, 1)),
            "newest_first": self._any((True, False)),
        }
        return (self._id(),), options

    def _diff(self):
        workflow_id = self._id()
        return (workflow_id, self._number(workflow_id), self._number(workflow_id)), {}

    def _get_latest_context_by_status(self):
        return (*self._any(pools.STORIES), self._any(STATUSES)), {}

    def _get_context_versions(self):
        return self._any(pools.STORIES), {}

    def _count_contexts(self):
        return (self._filters(),), {}

    def _search_page(self):
        return (self._filters(),), {"limit": self._any((1, 2, 5)), "order_by": self._order()}

    def _iter_contexts(self):
        return (self._filters(),), {"page_size": self._any((1, 2)), "order_by": self._any(pools.STABLE_ORDERS) or None}

    def _search(self):
        if self.random.random() < 0.1:
            return (), self._any(MISUSES)
        page = {"limit": self._any((None, 0, 1, 3)), "offset": self._any((None, 0, 2))}
        return (self._filters(),), {**page, "order_by": self._order()}

    def _filters(self):
        return {clause.filter_key: clause.value for clause in self._several(lambda: self._any(pools.CLAUSES), 2)}

    def _order(self):
        return self._several(lambda: self._any(("", "-")) + self._any(pools.ORDERS), 2) or None


def replay(store, clock, steps, folder):
    """Every answer of a store: to each step, with all that shows after it, and an export now and then."""
    for number, step in enumerate(steps, start=1):
        clock.advance(step.seconds)
        shown = outcome_of(lambda: step.do(store))  # noqa: B023  # called at once
        state = [store.list_headers(), store.search_contexts(), [store.history(name) for name in pools.IDS]]
        export = b""
        if number % 100 == 0:
            store.export(folder / f"{number}.jsonl")
            export = (folder / f"{number}.jsonl").read_bytes()
        yield step, shown, (exact(state) if step.verb in WRITES else None), export


@pytest.fixture(scope="module", params=SEEDS)
def answers(request, tmp_path_factory, fresh_url):
    """What a driver answered to one trace; each that is asked for is replayed once."""

    @functools.cache
    def answers(driver, *, may_prune):
        folder = tmp_path_factory.mktemp(driver)
        clock = TickingClock()
        with ContextPersistence(fresh_url(driver, folder), clock=clock) as store:
            return list(replay(store, clock, Inventor(request.param, may_prune=may_prune).trace(), folder))

    return answers


def capabilities(url):
    """What a driver declares."""
    with ContextPersistence(url) as store:
        return store.describe().capabilities


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(DRIVERS, 2)))
def test_drivers_give_the_same_answers(answers, fresh_url, tmp_path, one, other):
    """Results, classes and facts of errors, histories, heads, and the bytes of exports, step by step."""
    shared = capabilities(fresh_url(one, tmp_path)) & capabilities(fresh_url(other, tmp_path))
    missing = {Capability.IDEMPOTENCY, Capability.JSON_PATHS} - shared
    if missing:
        pytest.skip(f"{one} and {other} do not both declare {', '.join(sorted(missing))}")
    may_prune = Capability.PRUNE in shared
    pairs = zip(answers(one, may_prune=may_prune), answers(other, may_prune=may_prune), strict=True)
    for number, (found, expected) in enumerate(pairs):
        assert found == expected, f"{one} and {other} part at step {number}: {found[0]}"


def test_traces_hold_much_that_is_refused(answers):
    """Comparing drivers says something only where much happens: much goes well, and what is refused is of every kind."""
    found = answers("memory", may_prune=True)
    refused = [shown.kind.__name__ for _, shown, _, _ in found if isinstance(shown, Refusal)]
    assert len(REFUSALS - set(refused)) <= 1, "one may be missing from one trace by chance"
    assert OPERATIONS * 0.1 < len(refused) < OPERATIONS * 0.5
    assert len({len(export) for *_, export in found}) > 3
