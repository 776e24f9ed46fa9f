"""A short run measures every line that has a goal, and refuses to compare unequal work."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from context_core import WorkflowContext
from context_core_benchmarks import concurrent_writers, footprint, reading, sizes, writing
from context_core_benchmarks.contexts import a_context, changing, lifelike
from context_core_benchmarks.goals import GOALS, LIMITS_MS
from context_core_benchmarks.harness import interleave
from context_core_benchmarks.sides import open_sides


@pytest.fixture
def sides(tmp_path):
    """Both stores, empty."""
    with open_sides(tmp_path / "sides") as opened:
        yield opened


def test_both_sides_agree_on_what_they_stored(sides):
    """Every version of every workflow, after every writing verb."""
    names = [line.name for line in writing.lines(sides, rounds=10)]
    assert len(names) == len(set(names)) == 10
    ids = [row[0] for row in sides.floor.connection.execute("SELECT workflow_id FROM head ORDER BY workflow_id")]
    assert ids == sorted(header.workflow_id for header in sides.store.list_headers())
    assert len(ids) > 1000
    for workflow_id in ids[::7]:
        assert sides.floor.load(workflow_id) == sides.store.load_context(workflow_id).to_dict()
        assert [row[1] for row in sides.floor.headers(workflow_id)] == [
            header.version for header in sides.store.history(workflow_id)
        ]


def test_every_reading_verb_gives_the_same_on_both_sides(sides):
    """The rounds of the warm-up compare what each returned."""
    reading.populate(sides, 300)
    names = [line.name for line in reading.lines(sides, rounds=10, workflows=300)]
    assert len(names) == len(set(names)) == 18


def test_unequal_work_is_not_compared():
    """A floor that does less than ours, or other, would flatter nobody."""
    with pytest.raises(ValueError, match="the floor returned 1, and context-core 2"):
        interleave("unequal", lambda _: 1, lambda _: 2, rounds=1)


def test_both_ways_run_equally_often_in_turn():
    """Each round runs both, and neither always goes first."""
    calls = []
    interleave("turns", lambda _: calls.append("floor"), lambda _: calls.append("ours"), rounds=20)
    rounds = [tuple(calls[place : place + 2]) for place in range(0, len(calls), 2)]
    assert len(rounds) == 2 + 20
    assert set(rounds) == {("floor", "ours"), ("ours", "floor")}


def test_the_floor_is_durable_and_finds_by_index(sides):
    """WAL with a sync at each commit, as ours; and no query of the benchmark sorts or scans."""
    pragma = {
        name: sides.floor.connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")
    }
    assert pragma == {"journal_mode": "wal", "synchronous": 2}
    for condition in ("status = ?", "feature = ?", "epic_num = ?", "epic_num = ? AND story_num = 3"):
        sql = f"EXPLAIN QUERY PLAN SELECT document FROM head WHERE {condition} ORDER BY created_at DESC"
        (plan,) = [row[3] for row in sides.floor.connection.execute(sql, ("1",))]
        assert plan.startswith("SEARCH head USING INDEX")


def test_concurrent_writers_save_everything(tmp_path):
    """Threads and processes, on both sides: nothing fails, and every save is there."""
    threads, processes = concurrent_writers.lines(tmp_path, turns=1, saves=3)
    assert threads.failed == processes.failed == 0
    assert {threads.name, processes.name} <= GOALS.keys()
    for folder, writers in (("threads", concurrent_writers.THREADS), ("processes", concurrent_writers.PROCESSES)):
        with open_sides(tmp_path / folder) as sides:
            saved = [sides.store.load_context(f"writer-{writer}").version for writer in range(writers)]
            assert saved == [2 * 3] * writers
            assert sides.floor.count("versions", "1") == 2 * 3 * writers


def test_sizes_are_of_closed_files(tmp_path):
    """The floor stores each version whole: about the raw JSON, and never less."""
    lines = list(sizes.lines(tmp_path, versions=20))
    assert {line.name for line in lines[:2]} <= GOALS.keys()
    assert all(1.0 < line.floor < 3.0 for line in lines)
    assert all(line.judged == line.ours for line in lines)


def test_a_version_changes_about_one_percent():
    """Measured in bytes that differ, and the same history each time."""
    history = [
        [decision["because"] for decision in context.decisions.values()] for context in changing("w", 65_536, 20)
    ]
    for before, after in pairwise(history):
        changed = sum(a != b for old, new in zip(before, after, strict=True) for a, b in zip(old, new, strict=True))
        assert 0.006 * 65_536 < changed < 0.011 * 65_536
    again = list(changing("w", 65_536, 20))
    assert again == list(changing("w", 65_536, 20))
    assert len(again[-1].phase_history) == 8  # two saves of five


def test_contexts_have_the_size_that_was_asked():
    """Within a tenth."""
    for size in (1_024, 4_096, 65_536):
        assert 0.9 < len(a_context("w", size).to_json()) / size < 1.2


def test_lifelike_histories_only_grow():
    """Each version holds what the one before it held, and some workflows have many."""
    newest: dict[str, WorkflowContext] = {}
    counts: Counter[str] = Counter()
    for context in lifelike():
        before = newest.get(context.workflow_id)
        assert before is None or before.decisions.items() <= context.decisions.items()
        newest[context.workflow_id] = context
        counts[context.workflow_id] += 1
    assert max(counts.values()) >= 5
    assert min(counts.values()) == 1


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_footprint_is_measured_in_fresh_interpreters(tmp_path):
    """No driver comes with the import, and a stream gives everything."""
    imports, memory = footprint.lines(tmp_path, interpreters=2, streamed=1_000)
    assert imports.failed == 0
    assert imports.name in GOALS
    assert 0 <= memory.ours < 100


def test_limits_belong_to_lines(sides):
    """A limit that no line has would never be seen."""
    reading.populate(sides, 100)
    names = {line.name for line in reading.lines(sides, rounds=1, workflows=100)}
    names |= {line.name for line in writing.lines(sides, rounds=1)}
    assert LIMITS_MS.keys() <= names | {f"{concurrent_writers.PROCESSES} processes saving"}
