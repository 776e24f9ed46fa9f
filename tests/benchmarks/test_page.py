"""The page's tables are those of the results that are kept, and nothing else of the page is touched."""

import re

import pytest

from context_core_benchmarks import page
from context_core_benchmarks.results import Results, read


def test_the_page_shows_the_kept_results():
    """`tox -e bench-page` makes it so; figures and words cannot drift apart."""
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.render(text) == text


def test_every_table_has_its_place_on_the_page():
    """Once each."""
    markers = re.findall(r"<!-- measured: (\w+) -->", page.PAGE.read_text(encoding="utf-8"))
    assert sorted(markers) == ["goals", "growth", "peers", "postgres", "verbs"]


def test_only_what_stands_between_markers_changes(results_folder):
    """Old figures go, the words around them stay."""
    text = "before\n<!-- measured: verbs -->\nold figures\n<!-- end -->\nafter\n"
    made = page.render(text, results_folder)
    assert made.startswith("before\n<!-- measured: verbs -->\n")
    assert made.endswith("<!-- end -->\nafter\n")
    assert "old figures" not in made
    assert "| fork | 200 us | 300 us | 1.5 |" in made
    assert page.render(made, results_folder) == made


def test_each_table_tells_on_what_it_was_measured(results_folder):
    """A time without its machine means nothing."""
    for name in ("goals", "growth", "postgres", "peers"):
        made = page.render(f"<!-- measured: {name} -->\n<!-- end -->", results_folder)
        assert "Python 3.11.0, SQLite 3.40.1, 2 processors, a sync of 8 KB in 150 us" in made


def test_a_goal_that_is_missed_is_shown(results_folder):
    """The page is as honest as the run."""
    made = page.render("<!-- measured: goals -->\n<!-- end -->", results_folder)
    assert re.search(r"\| save, 4 KB \| .* \| 2 \| ≤ 1 \| NO \|", made)


def test_what_a_peer_lacks_is_a_dash(results_folder):
    """And its note stands below."""
    made = page.render("<!-- measured: peers -->\n<!-- end -->", results_folder)
    assert "| bare | 1.00 us | \N{EN DASH} |" in made
    assert "- bare (bare 3.2): in memory" in made


def test_an_unknown_marker_is_refused(results_folder):
    """A misspelt one would keep old figures for ever."""
    with pytest.raises(KeyError, match="goal"):
        page.render("<!-- measured: goal -->\n<!-- end -->", results_folder)


def test_kept_results_are_whole():
    """They were measured with real histories at hand, and every line of a run is there."""
    run = read(page.RESULTS / "run.json", Results)
    assert len(run.lines) >= 33
    assert "bytes a version, real histories" in run.named()
