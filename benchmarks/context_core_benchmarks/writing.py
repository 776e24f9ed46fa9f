"""Compares the writing verbs with the floor; each call is one durable transaction."""

from collections.abc import Iterator

from context_core import WorkflowContext
from context_core_benchmarks.contexts import changing, real_histories
from context_core_benchmarks.floor import Fields
from context_core_benchmarks.harness import Line, interleave
from context_core_benchmarks.sides import Sides

KB = 1024


def lines(sides: Sides, rounds: int) -> Iterator[Line]:
    """Measure every writing verb; *rounds* is the number of rounds of the fast verbs."""
    yield from _saves(sides, rounds)
    yield from _guarded_saves(sides, max(rounds // 2, 1))
    yield from _batches(sides, rounds)
    yield from _whole_workflows(sides, max(rounds // 10, 1))
    yield _replay(sides)


class Histories:
    """Workflows that change with each turn, so that no store gets the same document twice in a row."""

    def __init__(self, name: str, size_bytes: int, *, workflows: int, versions: int) -> None:
        self._workflows = [
            [(context, context.to_dict()) for context in changing(f"{name}-{number}", size_bytes, versions, number)]
            for number in range(workflows)
        ]

    def __getitem__(self, number: int) -> tuple[WorkflowContext, Fields]:
        """Return the context of a round, and the same context in the form of the floor."""
        turn, place = divmod(number, len(self._workflows))
        workflow = self._workflows[place]
        return workflow[turn % len(workflow)]


def _saves(sides: Sides, rounds: int) -> Iterator[Line]:
    for size_kb, workflows, share in ((4, 50, 1), (64, 10, 4)):
        histories = Histories(f"save-{size_kb}", size_kb * KB, workflows=workflows, versions=min(40, rounds))
        yield _save(sides, f"save, {size_kb} KB", histories, max(rounds // share, 1))


def _save(sides: Sides, name: str, histories: Histories, rounds: int) -> Line:
    return interleave(
        name,
        lambda number: sides.floor.save(histories[number][1]),
        lambda number: sides.store.save_context(histories[number][0]),
        rounds=rounds,
    )


def _guarded_saves(sides: Sides, rounds: int) -> Iterator[Line]:
    histories = Histories("guarded", 4 * KB, workflows=1, versions=min(40, rounds))
    yield interleave(
        "conditional save",
        lambda number: sides.floor.save(histories[number][1], expected=number),
        lambda number: sides.store.save_context(histories[number][0], expected_version=number),
        rounds=rounds,
    )
    histories = Histories("keyed", 4 * KB, workflows=1, versions=min(40, rounds))
    yield interleave(
        "save with a key",
        lambda number: sides.floor.save(histories[number][1], key=f"step-{number}"),
        lambda number: sides.store.save_context(histories[number][0], idempotency_key=f"step-{number}"),
        rounds=rounds,
    )


def _batches(sides: Sides, rounds: int) -> Iterator[Line]:
    yield _batch(sides, 10, max(rounds // 5, 1))
    yield _batch(sides, 1_000, max(rounds // 100, 1))


def _batch(sides: Sides, size: int, rounds: int) -> Line:
    """Save the next version of so many workflows in one transaction."""
    histories = [changing(f"batch-{size}-{number}", 4 * KB, rounds * 2 + 1, number) for number in range(size)]
    batch: list[WorkflowContext] = []
    fields: list[Fields] = []

    def prepare(_: int) -> None:
        batch[:] = [next(history) for history in histories]
        fields[:] = [context.to_dict() for context in batch]

    return interleave(
        f"batch of {size:,}",
        lambda _: sides.floor.save_many(fields),
        lambda _: sides.store.save_contexts(batch),
        rounds=rounds,
        prepare=prepare,
    )


def _whole_workflows(sides: Sides, rounds: int) -> Iterator[Line]:
    versions = 10
    count = rounds + rounds // 10 + 2
    for number in range(count):
        sides.save_both(list(changing(f"whole-{number}", 4 * KB, versions, number)))
    yield interleave(
        "rollback",
        lambda number: sides.floor.rollback(f"whole-{number}", 3),
        lambda number: sides.store.rollback(f"whole-{number}", 3),
        rounds=rounds,
    )
    yield interleave(
        "fork",
        lambda number: sides.floor.fork(f"whole-{number}", f"fork-{number}"),
        lambda number: sides.store.fork(f"whole-{number}", f"fork-{number}"),
        rounds=rounds,
    )
    yield interleave(
        f"delete, {versions} versions",
        lambda number: sides.floor.delete(f"whole-{number}"),
        lambda number: sides.store.delete_context(f"whole-{number}"),
        rounds=rounds,
    )


def _replay(sides: Sides) -> Line:
    """Save whole histories, with the versions of all workflows in time order."""
    source, contexts = real_histories()
    warm_up = len(contexts) // 11
    fields = [context.to_dict() for context in contexts]
    return interleave(
        f"save, {source} histories",
        lambda number: sides.floor.save(fields[number]),
        lambda number: sides.store.save_context(contexts[number]),
        rounds=len(contexts) - warm_up,
    )
