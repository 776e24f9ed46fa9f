"""Prints what context-core costs on PostgreSQL beside the hand-written floor: interleaved in one run, medians and ratios.

    python benchmarks/postgres_ratios.py HOST_OR_SOCKET_FOLDER [--rounds 400] [--langgraph] [--json FILE]

The server is one that the user postgres may use; three schemas are made in its database postgres, and dropped again.
With --langgraph, langgraph's PostgresSaver (langgraph-checkpoint-postgres) stands beside them, where it has such a verb.
"""

import argparse
import importlib
import itertools
import json
import statistics
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs
import psycopg

from context_core import ContextPersistence, WorkflowContext
from postgres_floor import Floor

START = datetime(2025, 1, 1, tzinfo=UTC)


@attrs.frozen
class Measured:
    """One line of the table: medians in microseconds, by who was measured."""

    name: str
    medians_us: dict[str, float]

    def ratio(self, who: str) -> float:
        """How much it costs beside the floor."""
        return self.medians_us[who] / self.medians_us["floor"]


def a_context(workflow_id: str, size_bytes: int, number: int = 0) -> WorkflowContext:
    """A context whose document has about *size_bytes*."""
    created_at = START + timedelta(seconds=number)
    decisions = {}
    for index in itertools.count():
        decisions[f"decision-{index}"] = {
            "choice": f"option {index % 7}",
            "reason": f"Considered {index} alternatives; this one keeps the interface small and the data local.",
            "files": index % 11,
            "reviewed": index % 2 == 0,
        }
        if index * 165 + 500 > size_bytes:
            break
    return WorkflowContext(
        workflow_id,
        1 + number % 20,
        1 + number % 9,
        f"feature-{number % 20}",
        "implement_story",
        decisions=decisions,
        status=("running", "completed", "failed", "paused")[number % 4],
        created_at=created_at,
        updated_at=created_at,
        tags=["backend", "durable"],
    )


def measure(name: str, rounds: int, **sides: Callable[[int], object]) -> Measured:
    """Run all sides in turn, beginning with another each round."""
    times: dict[str, list[float]] = {side: [] for side in sides}
    names = list(sides)
    for number in range(-max(rounds // 10, 12), rounds):
        first = number % len(names)
        for side in names[first:] + names[:first]:
            started = time.perf_counter()
            sides[side](number)
            elapsed = time.perf_counter() - started
            if number >= 0:
                times[side].append(elapsed * 1e6)
    return Measured(name, {side: statistics.median(values) for side, values in times.items()})


def run(store: ContextPersistence[Any], floor: Floor, saver: Any, rounds: int) -> list[Measured]:
    """Measure every verb beside its floor."""
    lines = []
    for size_bytes in (4_096, 65_536):
        lines += _saves_and_loads(store, floor, saver, size_bytes, rounds)
    contexts = [a_context(f"batch-{number}", 4_096, number) for number in range(1_000)]
    many = [context.to_dict() for context in contexts]
    lines.append(
        measure(
            "batch of 1,000, 4 KB",
            max(rounds // 40, 5),
            floor=lambda _: floor.save_many(many),
            ours=lambda _: store.save_contexts(contexts),
        )
    )
    lines.append(
        measure(
            "50 newest of a status",
            rounds,
            floor=lambda _: floor.newest("failed", 50),
            ours=lambda _: store.search_contexts({"status": "failed"}, limit=50),
        )
    )
    context = attrs.evolve(a_context("long-history", 4_096), epic_num=99, story_num=None)
    for number in range(200):
        changed = context.add_decision("step", number)
        store.save_context(changed)
        floor.save(changed.to_dict())
    lines.append(
        measure(
            "history of 200 versions",
            max(rounds // 4, 5),
            floor=lambda _: floor.history("long-history"),
            ours=lambda _: store.get_context_versions(99),
        )
    )
    return lines


def _saves_and_loads(
    store: ContextPersistence[Any], floor: Floor, saver: Any, size_bytes: int, rounds: int
) -> list[Measured]:
    context = a_context(f"steady-{size_bytes}", size_bytes)
    fields = context.to_dict()
    label = f"{size_bytes // 1024} KB"

    def floor_save(number: int) -> None:
        fields["metadata"] = {"step": number}
        floor.save(fields)

    def our_save(number: int) -> None:
        context.metadata["step"] = number
        store.save_context(context)

    def our_first_save(number: int) -> None:
        store.save_context(attrs.evolve(context, workflow_id=f"new-{size_bytes}-{number}"))

    def floor_first_save(number: int) -> None:
        floor.save(fields | {"workflow_id": f"new-{size_bytes}-{number}"})

    saves: dict[str, Callable[[int], object]] = {"floor": floor_save, "ours": our_save}
    loads: dict[str, Callable[[int], object]] = {
        "floor": lambda _: floor.load(context.workflow_id),
        "ours": lambda _: store.load_context(context.workflow_id),
    }
    if saver is not None:
        config = {"configurable": {"thread_id": context.workflow_id, "checkpoint_ns": ""}}
        saves["langgraph"] = lambda number: _langgraph_save(saver, config, fields | {"metadata": {"step": number}})
        loads["langgraph"] = lambda _: saver.get_tuple(config)
    return [
        measure(f"save, {label}", rounds, **saves),
        measure(f"load, {label}", rounds * 4, **loads),
        measure(f"first save, {label}", rounds, floor=floor_first_save, ours=our_first_save),
    ]


def _langgraph_save(saver: Any, config: Any, fields: dict[str, Any]) -> None:
    base = importlib.import_module("langgraph.checkpoint.base")
    checkpoint = base.empty_checkpoint()
    version = saver.get_next_version(None, None)
    checkpoint["channel_values"], checkpoint["channel_versions"] = {"state": fields}, {"state": version}
    saver.put(config, checkpoint, {}, {"state": version})


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("host", help="the server's host, or the folder of its socket")
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--langgraph", action="store_true", help="measure PostgresSaver too")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    options = parser.parse_args()
    conninfo = f"host={options.host} user=postgres dbname=postgres"
    schemas = [f"bench_{uuid.uuid4().hex}" for _ in range(3)]
    saver = None
    if options.langgraph:
        connection = psycopg.connect(conninfo, autocommit=True, prepare_threshold=0, row_factory=psycopg.rows.dict_row)
        for statement in (f"CREATE SCHEMA {schemas[2]}", f"SET search_path = {schemas[2]}"):
            connection.execute(statement.encode(), prepare=False)
        saver = importlib.import_module("langgraph.checkpoint.postgres").PostgresSaver(connection)
        saver.setup()
    url = f"postgresql://postgres@/postgres?host={quote(options.host, safe='')}&schema={schemas[0]}"
    floor = Floor(conninfo, schemas[1])
    try:
        with ContextPersistence(url) as store:
            lines = run(store, floor, saver, options.rounds)
    finally:
        for schema in schemas:
            floor.connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE".encode())
        floor.close()
    print(f"{'':26}{'floor':>12}{'ours':>12}{'ratio':>8}{'langgraph':>14}{'ratio':>8}")
    for line in lines:
        texts = [f"{line.name:26}{line.medians_us['floor']:>9,.0f} us"]
        texts += [
            f"{line.medians_us[who]:>9,.0f} us{line.ratio(who):>8.2f}" for who in line.medians_us if who != "floor"
        ]
        print("".join(texts))
    if options.json is not None:
        options.json.write_text(json.dumps([attrs.asdict(line) for line in lines], indent=2))


if __name__ == "__main__":
    main()
