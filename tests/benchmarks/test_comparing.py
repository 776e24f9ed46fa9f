"""A run is held to the goals: by its ratios and its failures, never by wall-clock times."""

import attrs
import pytest

from context_core_benchmarks import results
from context_core_benchmarks.comparing import misses
from context_core_benchmarks.goals import GOALS, LIMITS_MS
from context_core_benchmarks.harness import Line, line_of
from context_core_benchmarks.machine import Machine


def a_line(name, judged, **changes):
    """A line whose goal looks at *judged*."""
    is_absolute = GOALS[name].bound == 100 or "bytes" in name
    floor = 1.0 if is_absolute else 10.0
    line = Line(name=name, floor=floor, ours=judged * floor, is_absolute=is_absolute)
    return attrs.evolve(line, **changes)


MACHINE = Machine(
    measured_on="2025-01-01", package="0.1.0", python="3.11.0", sqlite="3.40.1", processors=2, sync_us=150.0
)


def a_run():
    """A run that meets every goal exactly."""
    lines = [a_line(name, goal.bound) for name, goal in GOALS.items() if goal.measured_by == "run"]
    return results.Results(measured_by="run", machine=MACHINE, lines=tuple(lines))


def test_a_run_that_meets_its_goals_passes():
    """On the dot counts."""
    assert list(misses(a_run(), tolerance=0)) == []


@pytest.mark.parametrize("name", GOALS)
def test_each_goal_is_held(name):
    """Half as much again is no noise, in whichever direction is the bad one."""
    goal = GOALS[name]
    bad = goal.bound / 1.5 if goal.is_at_least else goal.bound * 1.5
    others = [line for line in a_run().lines if line.name != name and goal.measured_by == "run"]
    if goal.measured_by == "growth":
        others = [a_line(other, 0.1) for other, of in GOALS.items() if of.measured_by == "growth" and other != name]
    run = results.Results(measured_by=goal.measured_by, machine=MACHINE, lines=(a_line(name, bad), *others))
    (missed,) = misses(run)
    assert missed.startswith(f"{name}: ")


def test_noise_within_the_tolerance_is_no_miss():
    """And noise beyond it is one."""
    run = attrs.evolve(a_run(), lines=(a_line("save, 4 KB", 1.05), *a_run().lines[1:]))
    assert list(misses(run, tolerance=0.06)) == []
    assert len(list(misses(run, tolerance=0.04))) == 1


def test_a_goal_that_was_not_measured_is_a_miss():
    """A run that was cut short must not pass."""
    run = attrs.evolve(a_run(), lines=a_run().lines[1:])
    assert list(misses(run)) == ["save, 4 KB: not measured"]


def test_failed_calls_are_a_miss_whatever_the_ratio():
    """A crowd in which a save failed is no fast crowd."""
    *others, last = a_run().lines
    run = attrs.evolve(a_run(), lines=(*others, attrs.evolve(last, failed=2)))
    assert list(misses(run)) == [f"{last.name}: 2 failed"]


def test_a_restless_line_is_judged_neither_way():
    """Waits that hit both sides bring every ratio towards 1: a pass would mean nothing."""
    first, *others = a_run().lines
    run = attrs.evolve(a_run(), lines=(attrs.evolve(first, unrest=3.0), *others))
    assert list(misses(run)) == [f"{first.name}: the machine was too busy to tell; measure again"]
    assert "yes" not in results.table(run.lines[:1])


def test_unrest_is_how_far_the_usual_lies_above_the_best():
    """Times that mostly hold a wait of four milliseconds, and times that never do."""
    calm = line_of("calm", [200.0, 210.0, 220.0] * 10, [300.0] * 30)
    busy = line_of("busy", [200.0, 4_000.0, 4_010.0] * 10, [300.0, 4_000.0, 4_010.0] * 10)
    assert not calm.is_restless
    assert busy.is_restless
    assert busy.ratio == 1


def test_a_slow_machine_misses_nothing():
    """Times a thousand times as long, beyond every limit, at the same ratios."""
    slow = [attrs.evolve(line, floor=line.floor * 1000, ours=line.ours * 1000, worst_ms=1e6) for line in a_run().lines]
    kept = [line if line.is_absolute else slower for line, slower in zip(a_run().lines, slow, strict=True)]
    assert list(misses(attrs.evolve(a_run(), lines=tuple(kept)))) == []


def test_results_survive_being_written(tmp_path):
    """JSON and back."""
    run = a_run()
    results.write(run, tmp_path / "run.json")
    assert results.read(tmp_path / "run.json", results.Results) == run


@pytest.mark.parametrize("text", ["", "[]", '{"lines": []}', '{"measured_by": "run", "lines": [{"name": "save"}]}'])
def test_what_is_no_run_is_refused(tmp_path, text):
    """A broken file passes no comparison."""
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(ValueError, match="does not contain the Results of a run"):
        results.read(tmp_path / "run.json", results.Results)


def test_goals_are_ratios_that_something_measures():
    """Each is positive and belongs to a command; the limits are of lines too."""
    assert all(goal.bound > 0 and goal.measured_by in ("run", "growth") for goal in GOALS.values())
    assert {limit for limit in LIMITS_MS.values() if limit <= 0} == set()


def test_the_table_tells_a_miss_from_a_hit():
    """At a glance."""
    table = results.table([a_line("save, 4 KB", 1.0), a_line("load, 4 KB", 2.0)])
    _, hit, miss = table.splitlines()
    assert "yes" in hit
    assert "NO" not in hit
    assert "NO" in miss
