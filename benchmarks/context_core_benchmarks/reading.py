"""Compares the reading verbs with the floor."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import attrs
import orjson

from context_core import WorkflowContext
from context_core_benchmarks.contexts import FEATURES, START, a_context, changing
from context_core_benchmarks.harness import Line, interleave
from context_core_benchmarks.sides import Sides

KB = 1024
VERSIONS = 200
LONG = "long-history"
EPIC = 99
"""The epic of the long history; no other workflow is in it."""


def populate(sides: Sides, workflows: int) -> None:
    """Store the heads that the queries search, and one workflow with a long history."""
    for start in range(0, workflows, 500):
        end = min(start + 500, workflows)
        sides.save_both([a_context(f"read-{number}", 4 * KB, number) for number in range(start, end)])
    sides.save_both([a_context(f"large-{number}", 64 * KB, workflows + number) for number in range(10)])
    # No two workflows are created at the same time: the floor has no second key to order them.
    for context in changing(LONG, 4 * KB, VERSIONS, workflows + 10):
        sides.save_both([attrs.evolve(context, epic_num=EPIC, story_num=None)])


def lines(sides: Sides, rounds: int, workflows: int) -> Iterator[Line]:
    """Measure every reading verb on a store that `populate` filled with so many *workflows*."""
    yield from _loads(sides, rounds, workflows)
    yield from _histories(sides, max(rounds // 10, 1))
    yield from _searches(sides, max(rounds // 10, 1))
    yield from _headers_and_counts(sides, max(rounds // 10, 1))
    yield from _scans(sides, max(rounds // 100, 1))
    yield _serialization(max(rounds // 2, 1))


def _loads(sides: Sides, rounds: int, workflows: int) -> Iterator[Line]:
    floor, store = sides.floor, sides.store
    yield interleave(
        "load, 4 KB",
        lambda number: floor.load(f"read-{number % workflows}"),
        lambda number: store.load_context(f"read-{number % workflows}"),
        rounds=rounds * 2,
    )
    yield interleave(
        "load, 64 KB",
        lambda number: floor.load(f"large-{number % 10}"),
        lambda number: store.load_context(f"large-{number % 10}"),
        rounds=rounds,
    )
    yield interleave(
        "load a version",
        lambda number: floor.load_version(LONG, 1 + number % VERSIONS),
        lambda number: store.load_context(LONG, version=1 + number % VERSIONS),
        rounds=rounds,
    )
    moments = [header.saved_at for header in store.history(LONG)]
    floor_moments = [header[4] for header in floor.headers(LONG)]
    yield interleave(
        "load as of a time",
        lambda number: floor.load_as_of(LONG, floor_moments[number % VERSIONS]),
        lambda number: store.load_context(LONG, as_of=moments[number % VERSIONS]),
        rounds=rounds,
    )
    fifty = [f"read-{number * 7 % workflows}" for number in range(50)]
    yield interleave(
        "load 50 by id",
        lambda _: floor.load_many(fifty),
        lambda _: store.load_contexts(fifty),
        rounds=max(rounds // 10, 1),
    )


def _histories(sides: Sides, rounds: int) -> Iterator[Line]:
    yield interleave(
        "200 headers of a history",
        lambda _: sides.floor.headers(LONG),
        lambda _: sides.store.history(LONG),
        rounds=rounds,
    )
    yield interleave(
        "200 versions of a story",
        lambda _: sides.floor.story_versions(EPIC, None),
        lambda _: sides.store.get_context_versions(EPIC),
        rounds=rounds,
    )


def _searches(sides: Sides, rounds: int) -> Iterator[Line]:
    floor, store = sides.floor, sides.store
    yield interleave(
        "50 newest of a status",
        lambda _: floor.find("status = ?", "failed", limit=50),
        lambda _: store.search_contexts({"status": "failed"}, limit=50),
        rounds=rounds,
    )
    yield interleave(
        "all of a feature",
        lambda number: floor.find("feature = ?", f"feature-{number % FEATURES}"),
        lambda number: store.get_contexts_by_feature(f"feature-{number % FEATURES}"),
        rounds=rounds,
    )
    yield interleave(
        "latest of a story",
        lambda number: floor.find("epic_num = ? AND story_num = ?", 1 + number % 20, 3, limit=1),
        lambda number: [store.get_latest_context(1 + number % 20, 3)],
        rounds=rounds * 4,
    )
    since = START + timedelta(seconds=500)
    since_text = _at_full_width(since)
    yield interleave(
        "50 of two statuses since",
        lambda _: floor.find("status IN (?, ?) AND created_at >= ?", "failed", "paused", since_text, limit=50),
        lambda _: store.search_contexts({"status__in": ["failed", "paused"], "created_at__gte": since}, limit=50),
        rounds=rounds,
    )


def _headers_and_counts(sides: Sides, rounds: int) -> Iterator[Line]:
    floor, store = sides.floor, sides.store
    yield interleave(
        "50 headers of a status",
        lambda _: floor.find_headers("status = ?", "failed", limit=50),
        lambda _: store.list_headers({"status": "failed"}, limit=50),
        rounds=rounds,
    )
    yield interleave(
        "count of a status",
        lambda _: floor.count("head", "status = ?", "failed"),
        lambda _: store.count_contexts({"status": "failed"}),
        rounds=rounds,
    )
    yield interleave(
        "count of a story's versions",
        lambda _: floor.count("versions", "epic_num = ? AND story_num IS ?", EPIC, None),
        lambda _: store.get_version_count(EPIC),
        rounds=rounds,
    )


def _scans(sides: Sides, rounds: int) -> Iterator[Line]:
    floor, store = sides.floor, sides.store
    yield interleave(
        "JSON path within an epic",
        lambda _: floor.find("epic_num = ? AND document ->> '$.metadata.priority' = ?", 7, 1),
        lambda _: store.search_contexts({"epic_num": 7, "metadata.priority": 1}),
        rounds=rounds * 4,
    )
    yield interleave(
        "JSON path over all heads",
        lambda _: floor.count("head", "document ->> '$.metadata.priority' = ?", 1),
        lambda _: store.count_contexts({"metadata.priority": 1}),
        rounds=rounds,
    )
    yield interleave(
        "stream of all heads",
        lambda _: sum(1 for _ in floor.stream(100)),
        lambda _: sum(1 for _ in store.iter_contexts(page_size=100)),
        rounds=max(rounds // 4, 1),
    )


def _serialization(rounds: int) -> Line:
    context = a_context("serialized", 4 * KB)
    fields = context.to_dict()
    return interleave(
        "to JSON and back",
        lambda _: orjson.loads(orjson.dumps(fields)),
        lambda _: WorkflowContext.from_json(context.to_json()),
        rounds=rounds,
    )


def _at_full_width(moment: datetime) -> Any:
    return attrs.evolve(a_context("moment", 0), created_at=moment).to_dict()["created_at"]
