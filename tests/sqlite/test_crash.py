"""Many processes on one database: killed while they write, and side by side."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from context_core import ContextPersistence
from context_core_conformance.faults.crashes import kill_writers

SAVER = Path(__file__).with_name("saver.py")
KILLS = 200


def start(*arguments: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, SAVER, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.promise("CR01", "CR02")
@pytest.mark.timeout(900)
def test_two_hundred_kills_leave_a_sound_database(tmp_path):
    """After all that the suite asks of a store whose writers are killed, SQLite finds its file in order too."""
    database = tmp_path / "killed.db"
    kill_writers(f"sqlite:///{database}", KILLS, seed=20250102)
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.promise("CO02", "CA05", "VE01")
def test_six_processes_save_without_an_error(tmp_path):
    """6 processes x 200 saves on 3 workflows: versions 1 to 400 each, every one acknowledged once, no error."""
    database = tmp_path / "shared.db"
    names = ["red", "green", "blue"]
    processes = [start(database, ",".join(names[n % 3 :] + names[: n % 3]), 200) for n in range(6)]
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
