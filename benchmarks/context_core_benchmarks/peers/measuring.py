"""Does the same work with every peer, by turns in one process, so that other load affects all of them equally."""

import importlib
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final

import attrs

from context_core import WorkflowContext
from context_core_benchmarks.contexts import a_context, changing
from context_core_benchmarks.harness import Step, in_turn, percentile, plain
from context_core_benchmarks.peers.peer import CannotError, Peer
from context_core_benchmarks.peers.report import Measured

ADAPTERS: Final = (
    "ours:ByHand",
    "ours:ContextCore",
    "langgraph_sqlite:LanggraphSqlite",
    "eventsourcing_recorder:EventsourcingRecorder",
    "disk_cache:DiskCache",
    "dbos_workflows:DbosWorkflows",
    "ours_on_postgres:ContextCoreOnPostgres",
    "langgraph_postgres:LanggraphPostgres",
)
VERSIONS: Final = 200
_KB: Final = 1_024
_STATUS: Final = "failed"


def available() -> list[type[Peer]]:
    """Return the adapters whose libraries are installed, and report the others."""
    found: list[type[Peer]] = []
    for adapter in ADAPTERS:
        module, _, name = adapter.partition(":")
        try:
            found.append(getattr(importlib.import_module(f"context_core_benchmarks.peers.{module}"), name))
        except ModuleNotFoundError as error:
            print(f"{name} is left out: the package {error.name} is not installed", file=sys.stderr)
    return found


def measure(folder: Path, kinds: Sequence[type[Peer]], rounds: int, workflows: int = 1_000) -> Iterator[Measured]:
    """Measure every verb on a store of so many *workflows*; *rounds* is the number of rounds of the fast verbs."""
    with ExitStack() as stack:
        peers = [stack.enter_context(closing(_opened(kind, folder / kind.__name__))) for kind in kinds]
        heads = [a_context(f"head-{number}", 4 * _KB, number) for number in range(workflows)]
        for peer in peers:
            _save_all(peer, heads)
        yield from _saves(peers, rounds)
        yield _verb("load, 4 KB", peers, lambda peer: lambda n: peer.load(f"head-{n % workflows}"), rounds)
        yield _batch(peers, heads, max(rounds // 50, 1))
        yield from _lists(peers, max(rounds // 10, 1))
    yield from _sizes(folder, kinds)


def _opened(kind: type[Peer], folder: Path) -> Peer:
    folder.mkdir(parents=True)
    open_on: Callable[[Path], Peer] = kind
    return open_on(folder)


def _save_all(peer: Peer, contexts: Sequence[WorkflowContext]) -> None:
    states = [peer.form(context) for context in contexts]
    try:
        peer.save_many(states)
    except CannotError:
        for state in states:
            peer.save(state)


def _saves(peers: Sequence[Peer], rounds: int) -> Iterator[Measured]:
    for size_kb, count in ((4, rounds), (64, max(rounds // 4, 1))):
        history = list(changing(f"saved-{size_kb}", size_kb * _KB, min(40, count)))
        states = {peer: [peer.form(context) for context in history] for peer in peers}
        yield _verb(
            f"durable save, {size_kb} KB",
            peers,
            lambda peer, states=states: lambda n: peer.save(states[peer][n % len(states[peer])]),  # type: ignore[misc]  # mypy infers no lambda with a default
            count,
        )


def _batch(peers: Sequence[Peer], heads: Sequence[WorkflowContext], rounds: int) -> Measured:
    """Save the next version of every head; the state differs from round to round."""
    states: dict[Peer, list[Any]] = {peer: [] for peer in peers}

    def prepare(number: int) -> None:
        for peer in peers:
            states[peer] = [peer.form(attrs.evolve(head, metadata={**head.metadata, "turn": number})) for head in heads]

    verb = f"batch of {len(heads):,}"
    return _verb(verb, peers, lambda peer: lambda _: peer.save_many(states[peer]), rounds, prepare)


def _lists(peers: Sequence[Peer], rounds: int) -> Iterator[Measured]:
    yield _verb("50 newest of a status", peers, lambda peer: lambda _: peer.newest(_STATUS, 50), rounds)
    history = [attrs.evolve(context, epic_num=99, story_num=None) for context in changing("long", 4 * _KB, VERSIONS)]
    for peer in peers:
        for context in history:
            peer.save(peer.form(context))
    yield _verb(f"{VERSIONS} versions", peers, lambda peer: lambda _: peer.history(history[0]), rounds)


def _verb(
    verb: str,
    peers: Sequence[Peer],
    way: Callable[[Peer], Step],
    rounds: int,
    prepare: Callable[[int], None] | None = None,
) -> Measured:
    """Time one verb on all peers that have it, and fail if two peers return different states.

    The newest of a status are not compared: some peers search all versions, as their notes say.
    """
    ways = {}
    for peer in peers:
        step = way(peer)
        if prepare is not None:
            prepare(0)
        try:
            step(0)
        except CannotError:
            continue
        ways[peer.name] = step

    def check(results: Mapping[str, Any]) -> None:
        given = [plain(result) for result in results.values() if result is not None]
        if "newest" in verb:
            given = [[state["status"] for state in states] for states in given]
        if any(one != given[0] for one in given):
            raise ValueError(f"{verb}: the peers return different states")

    times_us = in_turn(ways, rounds=rounds, prepare=prepare, check=check)
    steady = next(iter(times_us.values()))
    return Measured(
        verb=verb,
        figures={name: statistics.median(times) for name, times in times_us.items()},
        unrest=statistics.median(steady) / percentile(steady, 10),
    )


def _sizes(folder: Path, kinds: Sequence[type[Peer]]) -> Iterator[Measured]:
    """Measure how much 200 versions of one workflow add to the stored size; each changes about one percent."""
    for size_kb in (4, 64):
        history = list(changing("sized", size_kb * _KB, VERSIONS))
        raw_bytes = sum(len(context.to_json().encode()) for context in history)
        figures = {}
        for kind in kinds:
            sizes = []
            for name, contexts in (("empty", []), ("full", history)):
                place = folder / f"{name}-{size_kb}" / kind.__name__
                peer = _opened(kind, place)
                for context in contexts:
                    peer.save(peer.form(context))
                peer.close()
                sizes.append(peer.stored_bytes(place))
            figures[kind.name] = (sizes[1] - sizes[0]) / raw_bytes
        yield Measured(verb=f"bytes a version, {size_kb} KB", unit="x raw", figures=figures)
