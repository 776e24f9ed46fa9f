"""What saves look at to notice that files of an open database were removed or replaced."""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from context_core_sqlite import _files
from context_core_sqlite._files import Change, FileWatch

MOST_ATTEMPTS = 100_000


class Watched:
    """A folder with the files of a database, and a watch that counts what it looks at."""

    def __init__(self, folder, monkeypatch):
        folder.mkdir()
        self.folder = folder
        self.main, self.wal, self.shm = (folder / f"engine.db{suffix}" for suffix in ("", "-wal", "-shm"))
        for path in (self.main, self.wal, self.shm):
            path.touch()
        self.looked_at: list[str] = []
        self.now_s = 1000.0
        self.age_s = 60.0
        monkeypatch.setattr(
            _files, "time", SimpleNamespace(monotonic=lambda: self.now_s, time=lambda: self.changed_at_s() + self.age_s)
        )
        monkeypatch.setattr(_files, "os", SimpleNamespace(**{**vars(os), "stat": self.stat}))
        self.watch = FileWatch(self.main)
        self.watch.remember()
        assert self.watch.look() is None
        self.looked_at.clear()

    def changed_at_s(self):
        return self.folder.stat().st_ctime

    def stat(self, path):
        self.looked_at.append(Path(path).name)
        return Path(path).stat()

    def await_new_times(self):
        """Let the clock of the file system go on by a step, so that what changes from now on gets another time."""
        probe = self.folder.parent / "probe"
        for _ in range(MOST_ATTEMPTS):
            probe.touch()
            if probe.stat().st_ctime_ns > self.folder.stat().st_ctime_ns:
                return
        raise AssertionError("the clock of the file system stands still")


@pytest.fixture
def watched(tmp_path, monkeypatch):
    watched = Watched(tmp_path / "data", monkeypatch)
    watched.await_new_times()
    return watched


def test_nothing_but_the_folder_is_looked_at_while_that_is_quiet(watched):
    """To ask a WAL for its times between its writes makes those writes slower."""
    for _ in range(3):
        assert watched.watch.look() is None
    assert watched.looked_at == ["data"] * 3


@pytest.mark.parametrize(
    ("fate", "change"),
    [
        (lambda watched: watched.main.unlink(), Change.MAIN),
        (lambda watched: shutil.copy(watched.main, watched.folder / "new").replace(watched.main), Change.MAIN),
        (lambda watched: watched.wal.unlink(), Change.REMOVED),
        (lambda watched: watched.wal.rename(watched.folder / "elsewhere"), Change.REMOVED),
        (lambda watched: shutil.copy(watched.wal, watched.folder / "new").replace(watched.wal), Change.REPLACED),
        (lambda watched: watched.folder.rename(watched.folder.with_name("moved")), Change.MAIN),
    ],
)
def test_each_change_of_the_files_changes_the_folder(watched, fate, change):
    """The next save notices it, however short the time since the last full look."""
    assert watched.watch.look() is None
    fate(watched)
    assert watched.watch.look() is change


def test_the_time_of_a_folder_that_has_just_changed_is_not_trusted(watched):
    """Another change within the step of such times would not show."""
    watched.age_s = 0.05
    watched.folder.joinpath("note").touch()
    for _ in range(2):
        assert watched.watch.look() is None
    assert watched.looked_at.count("engine.db-wal") == 2


def test_the_files_themselves_are_looked_at_once_in_a_while(watched):
    """It tells the size of the WAL too."""
    watched.wal.write_bytes(b"x" * 5000)
    assert watched.watch.look() is None
    assert watched.watch.wal_bytes == 0
    watched.now_s += _files.LOOK_AGAIN_S
    assert watched.watch.look() is None
    assert watched.watch.wal_bytes == 5000


def test_a_database_behind_a_link_is_looked_at_each_time(watched, tmp_path):
    """Its WAL lies in another folder than the link."""
    link = tmp_path / "link.db"
    link.symlink_to(watched.main)
    watch = FileWatch(link)
    watch.remember()
    assert watch.look() is None
    watched.wal.unlink()
    assert watch.look() is Change.REMOVED
