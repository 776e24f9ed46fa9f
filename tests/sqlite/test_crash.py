"""Processes that are killed while they save."""

import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from context_core import ContextPersistence

SAVER = Path(__file__).with_name("saver.py")
KILLS = 200


def start(*arguments: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, SAVER, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def kill_after(database: Path, workflow_id: str, lines: int) -> list[tuple[int, int]]:
    """Let a saver acknowledge some saves, SIGKILL it, and return all that it acknowledged: (step, version)."""
    with start("save_forever", database, workflow_id) as process:
        assert process.stdout is not None
        acknowledged = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        acknowledged += process.stdout.readlines()
    return [(int(step), int(version)) for step, version in map(str.split, filter(str.strip, acknowledged))]


@pytest.mark.promise("CR01", "CR02")
@pytest.mark.timeout(900)
def test_two_hundred_kills_lose_nothing_acknowledged(tmp_path):
    """A saver that is killed at random moments loses no acknowledged version, and leaves no half of a save or batch."""
    database = tmp_path / "killed.db"
    rng = random.Random(20250102)
    for kill in range(KILLS):
        workflow_id = f"workflow-{kill % 3}"
        acknowledged = kill_after(database, workflow_id, rng.randrange(1, 8))
        with ContextPersistence(db_path=database) as store:
            history = [header.version for header in store.history(workflow_id)]
            assert history == list(range(1, len(history) + 1))
            for step, version in acknowledged:
                assert store.load_context(workflow_id, version=version).decisions["step"] == step == version
            # At most the save in flight may be there beyond what was acknowledged.
            assert len(history) - acknowledged[-1][1] in (0, 1)
            batches = len(history) // 5
            assert len(store.history(f"{workflow_id}-twin")) == batches
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.promise("CO02", "CA05", "VE01")
def test_six_processes_save_without_an_error(tmp_path):
    """6 processes x 200 saves on 3 workflows: versions 1 to 400 each, every one acknowledged once, no error."""
    database = tmp_path / "shared.db"
    names = ["red", "green", "blue"]
    processes = [start("save_some", database, ",".join(names[n % 3 :] + names[: n % 3]), 200) for n in range(6)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    versions: dict[str, list[int]] = {name: [] for name in names}
    for process in processes:
        output, _ = process.communicate(timeout=240)
        assert process.returncode == 0
        for line in output.splitlines():
            name, version = line.split()
            versions[name].append(int(version))
    assert {name: sorted(found) for name, found in versions.items()} == {name: list(range(1, 401)) for name in names}
    with ContextPersistence(db_path=database) as store:
        for name in names:
            assert [header.version for header in store.history(name)] == list(range(1, 401))
