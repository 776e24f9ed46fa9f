"""Compares the most used verbs with the floor; each side uses one connection to the same server."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import attrs

from context_core import ContextPersistence
from context_core_benchmarks.contexts import FEATURES, a_context, changing
from context_core_benchmarks.harness import Line, interleave
from context_core_benchmarks.postgres.floor import Floor
from context_core_benchmarks.sides import Store
from context_core_benchmarks.writing import Histories

KB = 1024
VERSIONS = 200
LONG = "long-history"
EPIC = 99
"""The epic of the long history; no other workflow is in it."""


@contextmanager
def open_sides(uri: str) -> Iterator[tuple[Floor, Store]]:
    """Open both sides, each in its own schema."""
    separator = "&" if "?" in uri else "?"
    store: Store
    with closing(Floor(uri, "floor")) as floor, ContextPersistence(f"{uri}{separator}schema=ours") as store:
        yield floor, store


def lines(floor: Floor, store: Store, rounds: int) -> Iterator[Line]:
    """Measure all verbs; *rounds* is the number of rounds of the fast verbs."""
    workflows = min(5 * rounds, 1_000)
    yield _batch(floor, store, workflows, max(rounds // 100, 1))
    floor.connection.execute("ANALYZE")  # for all schemas, as autovacuum does after a minute
    yield from _loads(floor, store, workflows, rounds)
    # No two workflows were created at the same time: the floor has no second key to order them.
    yield from _lists(floor, store, max(rounds // 10, 1))
    yield from _saves(floor, store, rounds)


def _saves(floor: Floor, store: Store, rounds: int) -> Iterator[Line]:
    for size_kb, workflows, share in ((4, 50, 1), (64, 10, 4)):
        histories = Histories(f"save-{size_kb}", size_kb * KB, workflows=workflows, versions=min(40, rounds))
        count = max(rounds // share, 1)
        yield interleave(
            f"PostgreSQL: save, {size_kb} KB",
            lambda number, histories=histories: floor.save(histories[number][1]),  # type: ignore[misc]  # mypy infers no lambda with a default
            lambda number, histories=histories: store.save_context(histories[number][0]),  # type: ignore[misc]  # as above
            rounds=count,
        )
        context = a_context(f"first-{size_kb}", size_kb * KB)
        fields = context.to_dict()
        yield interleave(
            f"PostgreSQL: first save, {size_kb} KB",
            lambda number, fields=fields: floor.save(fields | {"workflow_id": f"{fields['workflow_id']}-{number}"}),  # type: ignore[misc]  # as above
            lambda number, context=context: store.save_context(  # type: ignore[misc]  # as above
                attrs.evolve(context, workflow_id=f"{context.workflow_id}-{number}")
            ),
            rounds=count,
        )


def _batch(floor: Floor, store: Store, workflows: int, rounds: int) -> Line:
    """Save the next version of so many workflows in one transaction."""
    heads = [a_context(f"head-{number}", 4 * KB, number) for number in range(workflows)]
    batch, fields = list(heads), [head.to_dict() for head in heads]

    def prepare(number: int) -> None:
        batch[:] = [attrs.evolve(head, metadata={**head.metadata, "turn": number}) for head in heads]
        fields[:] = [context.to_dict() for context in batch]

    return interleave(
        f"PostgreSQL: batch of {workflows:,}",
        lambda _: floor.save_many(fields),
        lambda _: store.save_contexts(batch),
        rounds=rounds,
        prepare=prepare,
    )


def _loads(floor: Floor, store: Store, workflows: int, rounds: int) -> Iterator[Line]:
    large = a_context("large", 64 * KB, workflows)
    floor.save(large.to_dict())
    store.save_context(large)
    yield interleave(
        "PostgreSQL: load, 4 KB",
        lambda number: floor.load(f"head-{number % workflows}"),
        lambda number: store.load_context(f"head-{number % workflows}"),
        rounds=rounds * 2,
    )
    yield interleave(
        "PostgreSQL: load, 64 KB",
        lambda _: floor.load("large"),
        lambda _: store.load_context("large"),
        rounds=rounds,
    )


def _lists(floor: Floor, store: Store, rounds: int) -> Iterator[Line]:
    yield interleave(
        "PostgreSQL: 50 newest of a status",
        lambda _: floor.find("status = %s", "failed", limit=50),
        lambda _: store.search_contexts({"status": "failed"}, limit=50),
        rounds=rounds,
    )
    yield interleave(
        "PostgreSQL: all of a feature",
        lambda number: floor.find("feature = %s", f"feature-{number % FEATURES}"),
        lambda number: store.get_contexts_by_feature(f"feature-{number % FEATURES}"),
        rounds=rounds,
    )
    for context in changing(LONG, 4 * KB, VERSIONS, 2_000):
        of_an_epic = attrs.evolve(context, epic_num=EPIC, story_num=None)
        floor.save(of_an_epic.to_dict())
        store.save_context(of_an_epic)
    yield interleave(
        f"PostgreSQL: {VERSIONS} versions of a story",
        lambda _: floor.story_versions(EPIC, None),
        lambda _: store.get_context_versions(EPIC),
        rounds=rounds,
    )
