"""Exports and backups that are killed: the target is absent or whole, and what is left over is in nobody's way."""

import contextlib
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from context_core import ContextPersistence, WorkflowContext

COPIER = Path(__file__).with_name("copier.py")
KILLS = 10
NAMES = [f"w{number}" for number in range(12)]
VERSIONS = 100


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """A database of 1,200 versions."""
    path = tmp_path_factory.mktemp("source") / "engine.db"
    with ContextPersistence(path) as store:
        for step in range(VERSIONS):
            store.save_contexts(
                WorkflowContext(name, 1, 1, "f", "n", metadata={"text": os.urandom(500).hex(), "step": step})
                for name in NAMES
            )
    return path


def start(verb: str, database: Path, target: Path) -> "subprocess.Popen[str]":
    """Start a copier, and let it begin."""
    process = subprocess.Popen(
        [sys.executable, COPIER, verb, database, target], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("go\n")
    process.stdin.flush()
    return process


def check_whole(verb: str, target: Path) -> None:
    """Every version is in the copy."""
    with ContextPersistence("memory://" if verb == "export" else target) as store:
        if verb == "export":
            assert store.import_(target).written == len(NAMES) * VERSIONS
        for name in NAMES:
            assert [header.version for header in store.history(name)] == list(range(1, VERSIONS + 1))
        assert store.verify().is_sound


def left_over(folder: Path) -> list[Path]:
    return list(folder.glob(".context-core-*.unfinished"))


@pytest.mark.promise("MO02", "CR01")
@pytest.mark.parametrize("verb", ["export", "backup"])
def test_a_killed_copy_is_absent_or_whole(database, tmp_path, verb):
    """Whenever it is killed; the next run to the same target succeeds, and takes old leftovers away."""
    with start(verb, database, tmp_path / "first") as process:
        begun = time.monotonic()
        process.communicate(timeout=60)
    longest_s = time.monotonic() - begun
    chance = random.Random(20250102)
    target = tmp_path / "copy"
    for number in range(KILLS):
        with start(verb, database, target) as process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=chance.uniform(0, longest_s * (number + 1) / KILLS))
            process.kill()
        if target.exists():
            check_whole(verb, target)
            target.unlink()
    for folder in left_over(tmp_path):
        os.utime(folder, (0, 0))
        for draft in folder.iterdir():
            os.utime(draft, (0, 0))
    with start(verb, database, target) as process:
        assert process.wait(timeout=60) == 0
    check_whole(verb, target)
    assert left_over(tmp_path) == []
