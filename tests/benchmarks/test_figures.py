"""Figures come from the results alone: the same ones give the same bytes, and every line is drawn."""

import pytest

from context_core_benchmarks.results import Results, read

pytest.importorskip("matplotlib", reason="drawing needs matplotlib: tox -e bench-page has it")
figures = pytest.importorskip("context_core_benchmarks.figures", exc_type=ModuleNotFoundError)


def test_the_same_results_give_the_same_bytes(results_folder, tmp_path):
    """No date, no random ids."""
    first, again = ([file.read_bytes() for file in figures.draw(results_folder, tmp_path / name)] for name in "ab")
    assert first == again


def test_every_line_and_peer_is_drawn(results_folder, tmp_path):
    """By its name, as text that can be searched."""
    ratios, growth, peers = (file.read_text() for file in figures.draw(results_folder, tmp_path))
    timed = [line.name for line in read(results_folder / "run.json", Results).lines if line.unit == "us"]
    assert [name for name in timed if f">{name}<" not in ratios] == []
    assert all(f">{text}<" in growth for text in ("context-core", "by hand", "save, median", "load, median"))
    assert all(f">{text}<" in peers for text in ("bare", "batch", "load"))
