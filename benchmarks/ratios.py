"""Prints what context-core costs beside the hand-written floor: each pair interleaved in one run, medians and ratios.

    python benchmarks/ratios.py [--rounds 400] [--directory DIR] [--json FILE]

Absolute times drift with the machine and its neighbours; the ratio of two medians taken side by side is what to keep.
"""

import argparse
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
from floor import Floor

from context_core import ContextPersistence, WorkflowContext

START = datetime(2025, 1, 1, tzinfo=UTC)


@attrs.frozen
class Measured:
    """One line of the table, times in microseconds."""

    name: str
    floor_us: float
    ours_us: float
    ours_p95_us: float

    @property
    def ratio(self) -> float:
        """How much ours costs beside the floor."""
        return self.ours_us / self.floor_us


def a_context(workflow_id: str, size_bytes: int, number: int = 0) -> WorkflowContext:
    """A context whose document has about *size_bytes*: decisions, artifacts and phases in the usual shares."""
    created_at = START + timedelta(seconds=number)
    decisions = {}
    artifacts = []
    for index in itertools.count():
        decisions[f"decision-{index}"] = {
            "choice": f"option {index % 7}",
            "reason": f"Considered {index} alternatives; this one keeps the interface small and the data local.",
            "files": index % 11,
            "reviewed": index % 2 == 0,
        }
        artifacts.append(f"docs/features/feature-{number % 20}/stories/story-{index}.md")
        if index * 235 + 700 > size_bytes:
            break
    context = WorkflowContext(
        workflow_id,
        1 + number % 20,
        1 + number % 9,
        f"feature-{number % 20}",
        "implement_story",
        decisions=decisions,
        artifacts=artifacts,
        status=("running", "completed", "failed", "paused")[number % 4],
        created_at=created_at,
        updated_at=created_at,
        tags=["backend", "durable"],
    )
    # One finished phase: the median of real contexts of 4 KB.
    return context.transition_phase("implementation", at=created_at)


def measure(name: str, rounds: int, floor: Callable[[int], object], ours: Callable[[int], object]) -> Measured:
    """Run both sides in turn, which first changing each round."""
    times: dict[str, list[float]] = {"floor": [], "ours": []}
    sides = {"floor": floor, "ours": ours}
    for number in range(-rounds // 10, rounds):
        for side in sorted(sides, reverse=number % 2 == 0):
            started = time.perf_counter()
            sides[side](number)
            elapsed = time.perf_counter() - started
            if number >= 0:
                times[side].append(elapsed * 1e6)
    p95 = statistics.quantiles(times["ours"], n=20)[-1]
    return Measured(name, statistics.median(times["floor"]), statistics.median(times["ours"]), p95)


def run(directory: Path, rounds: int) -> list[Measured]:
    """Measure every verb beside its floor."""
    floor = Floor(directory / "floor.db")
    with ContextPersistence(directory / "ours.db") as store:
        lines = [line for size in (4_096, 65_536) for line in _saves_and_loads(store, floor, size, rounds)]
        lines += _batches(store, floor, max(rounds // 40, 5))
        lines += _queries(store, floor, rounds)
    floor.close()
    return lines


def _saves_and_loads(store: ContextPersistence[Any], floor: Floor, size_bytes: int, rounds: int) -> list[Measured]:
    context = a_context(f"steady-{size_bytes}", size_bytes)
    fields = context.to_dict()
    label = f"{size_bytes // 1024} KB"

    def floor_save(number: int) -> None:
        fields["metadata"] = {"step": number}
        floor.save(fields)

    def our_save(number: int) -> None:
        context.metadata["step"] = number
        store.save_context(context)

    saved = measure(f"save, {label}", rounds, floor_save, our_save)
    loaded = measure(
        f"load, {label}",
        rounds * 10,
        lambda _: floor.load(context.workflow_id),
        lambda _: store.load_context(context.workflow_id),
    )
    return [saved, loaded]


def _batches(store: ContextPersistence[Any], floor: Floor, rounds: int) -> list[Measured]:
    contexts = [a_context(f"batch-{number}", 4_096, number) for number in range(1_000)]
    many = [context.to_dict() for context in contexts]
    return [
        measure(
            "batch of 1,000, 4 KB",
            rounds,
            lambda _: floor.save_many(many),
            lambda _: store.save_contexts(contexts),
        )
    ]


def _queries(store: ContextPersistence[Any], floor: Floor, rounds: int) -> list[Measured]:
    context = attrs.evolve(a_context("long-history", 4_096), epic_num=99, story_num=None)
    for number in range(200):
        changed = context.add_decision("step", number)
        store.save_context(changed)
        floor.save(changed.to_dict())
    return [
        measure(
            "50 newest of a status",
            rounds,
            lambda _: floor.newest("failed", 50),
            lambda _: store.search_contexts({"status": "failed"}, limit=50),
        ),
        measure(
            "history of 200 versions",
            max(rounds // 4, 5),
            lambda _: floor.history("long-history"),
            lambda _: store.get_context_versions(99),
        ),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--directory", type=Path, help="where the databases lie; a temporary folder by default")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        lines = run(Path(directory), options.rounds)
    print(f"{'':26}{'floor':>12}{'ours':>12}{'p95':>12}{'ratio':>8}")
    for line in lines:
        print(
            f"{line.name:26}{line.floor_us:>9,.1f} us{line.ours_us:>9,.1f} us{line.ours_p95_us:>9,.1f} us"
            f"{line.ratio:>8.2f}"
        )
    if options.json is not None:
        options.json.write_text(json.dumps([{**attrs.asdict(line), "ratio": line.ratio} for line in lines], indent=2))


if __name__ == "__main__":
    main()
