"""A store grows by stages, and each is measured beside a small one."""

from context_core_benchmarks import growth
from context_core_benchmarks.goals import GOALS
from context_core_benchmarks.sides import open_sides


def test_a_store_grows_to_each_stage(tmp_path):
    """Save and load at each; both sides hold the same versions, 20 of each workflow before the measured saves."""
    lines = list(growth.lines(tmp_path, rounds=5, stages=(1_000, 2_000)))
    assert [line.name for line in lines] == [
        f"{verb} at {stage} versions" for stage in ("1,000", "2,000") for verb in ("save", "load")
    ]
    with open_sides(tmp_path / "large") as sides:
        headers = sides.store.list_headers()
        assert len(headers) == 2_000 / growth.VERSIONS_EACH
        assert sum(header.version for header in headers) == sides.floor.count("versions", "1") == 2_000 + 2 * 6


def test_goals_are_of_the_last_stage():
    """Their names are those of its lines."""
    named = {f"{verb} at {growth.STAGES[-1]:,} versions" for verb in ("save", "load")}
    assert named == {name for name, goal in GOALS.items() if goal.measured_by == "growth"}
