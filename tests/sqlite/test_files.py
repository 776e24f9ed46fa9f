"""The files of a database that are removed, replaced or left alone."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import Any

import pytest

from context_core import BackendUnavailableError, ContextPersistence, PersistenceError, StorageError, WorkflowContext
from context_core_sqlite import SqliteBackend, _files


def a_context(workflow_id="w", **metadata):
    return WorkflowContext(workflow_id, 1, 2, "checkout", "deliver").copy_with(metadata=metadata)


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def killed(tmp_path):
    """A database whose writer was killed: its saves are in the WAL."""
    path = tmp_path / "killed" / "engine.db"
    path.parent.mkdir()
    program = (
        "import os, sys; from context_core import *\n"
        "store = ContextPersistence(sys.argv[1])\n"
        "for n in range(5): store.save_context(WorkflowContext('w', 1, 2, 'f', 'w'))\n"
        "os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=True)
    assert path.with_name("engine.db-wal").stat().st_size > 0
    return path


@pytest.fixture
def journaled(tmp_path):
    """A database that an application without WAL was killed in: a rollback journal holds the old pages."""
    path = tmp_path / "journaled" / "engine.db"
    path.parent.mkdir()
    program = (
        "import os, sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('CREATE TABLE notes (x)')\n"
        "connection.execute('PRAGMA cache_size = 1')\n"
        "connection.execute('BEGIN IMMEDIATE')\n"
        "for n in range(50): connection.execute('INSERT INTO notes VALUES (zeroblob(9000))')\n"
        "os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=True)
    assert path.with_name("engine.db-journal").stat().st_size > 0
    return path


@pytest.mark.promise("CR02")
@pytest.mark.parametrize("option", ["", "?read_only=true"])
@pytest.mark.parametrize("fate", ["missing", "empty"])
@pytest.mark.parametrize("kind", ["killed", "journaled"])
def test_a_database_that_lost_its_main_file_is_refused(request, kind, fate, option):
    """What is left beside it holds acknowledged saves: it stays, and the error says what to put back."""
    path = request.getfixturevalue(kind)
    main = path.read_bytes()
    path.unlink()
    if fate == "empty":
        path.touch()
    before = files_of(path.parent)
    for _ in range(2):
        with pytest.raises(StorageError, match=r"engine\.db-(wal|journal) is there.*put the database file back"):
            ContextPersistence(f"sqlite:///{path}{option}")
        assert files_of(path.parent) == before
    path.write_bytes(main)
    with ContextPersistence(db_path=path) as store:
        assert len(store.history("w")) == (5 if kind == "killed" else 0)


def test_a_symbolic_link_to_a_removed_database_is_refused(killed, tmp_path):
    """SQLite keeps the WAL beside the file that the link leads to."""
    link = tmp_path / "link.db"
    link.symlink_to(killed)
    killed.unlink()
    with pytest.raises(StorageError, match="put the database file back"):
        ContextPersistence(db_path=link)


def test_read_only_through_a_symbolic_link_sees_the_wal(killed, tmp_path):
    """Versions that only the WAL holds are read, whatever path leads to the database."""
    link = tmp_path / "link.db"
    link.symlink_to(killed)
    with ContextPersistence(f"sqlite:///{link}?read_only=true") as store:
        assert len(store.history("w")) == 5


def test_the_journal_of_a_database_in_the_making_is_in_nobodys_way(tmp_path):
    """Killed inside its first transaction, a database had nothing yet; the next open makes it."""
    path = tmp_path / "engine.db"
    path.touch()
    header = bytes.fromhex("d9d505f920a163d7") + bytes(4) + b"nonc" + bytes(4) + bytes(500)
    path.with_name("engine.db-journal").write_bytes(header)
    with ContextPersistence(db_path=path) as store:
        assert store.save_context(a_context()) == 1


class Killable:
    """A store, and what a kill would leave of it."""

    def __init__(self, folder):
        self.path = folder / "engine.db"
        self.store = ContextPersistence(db_path=self.path)
        self.folder = folder
        for _ in range(5):
            self.store.save_context(a_context())

    def beside(self, suffix):
        return self.path.with_name(f"engine.db{suffix}")

    def versions_after_kill(self):
        """Copy the files as they lie at their paths, which is what a kill leaves, and read them."""
        copy = self.folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for suffix in ("", "-wal"):
            if self.beside(suffix).exists():
                shutil.copy(self.beside(suffix), copy)
        with ContextPersistence(db_path=copy / "engine.db") as store:
            return [header.version for header in store.history("w")]


@pytest.fixture
def killable(tmp_path, monkeypatch):
    monkeypatch.setattr(_files, "LOOK_AGAIN_S", 0.0)
    killable = Killable(tmp_path)
    yield killable
    killable.store.close()


@pytest.mark.promise("CR02", "CR05")
@pytest.mark.parametrize("suffixes", [("-wal",), ("-shm",), ("-wal", "-shm")], ids="".join)
def test_a_removed_wal_is_noticed_before_a_save_is_acknowledged(killable, suffixes):
    """The save is refused, those before it are moved into the database file, and the next one is safe."""
    for suffix in suffixes:
        killable.beside(suffix).unlink()
    with pytest.raises(BackendUnavailableError, match="nothing was written"):
        killable.store.save_context(a_context())
    assert killable.versions_after_kill() == [1, 2, 3, 4, 5]
    assert killable.store.save_context(a_context()) == 6
    assert killable.versions_after_kill() == [1, 2, 3, 4, 5, 6]


@pytest.mark.promise("CR05")
@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_a_reader_notices_that_a_file_was_removed(killable, suffix):
    """It does not answer from removed files for ever."""
    killable.store.load_context("w")
    killable.beside(suffix).rename(killable.folder / "elsewhere")
    with pytest.raises(BackendUnavailableError):
        killable.store.load_context("w")
    if not suffix:
        (killable.folder / "elsewhere").rename(killable.path)
    assert killable.store.load_context("w").version == 5


@pytest.mark.promise("CR05")
def test_a_replaced_database_is_read_anew(killable):
    """A backup that was put in place of an open database shows after one error."""
    with ContextPersistence(db_path=killable.folder / "other.db") as other:
        other.save_context(a_context("other"))
    killable.store.load_context("w")
    (killable.folder / "other.db").replace(killable.path)
    killable.beside("-wal").unlink()
    killable.beside("-shm").unlink()
    with pytest.raises(BackendUnavailableError):
        killable.store.context_exists("other")
    assert killable.store.context_exists("other")


@pytest.mark.promise("CR02")
def test_a_reader_that_holds_a_removed_wal_keeps_it_alive(killable):
    """While a snapshot keeps old pages in the WAL, it is kept open and told to be, and given up once it can be."""
    backend: Any = SqliteBackend(killable.path)
    snapshot = backend.snapshot()
    backend.close()
    killable.store.save_context(a_context())
    killable.beside("-wal").unlink()
    with pytest.raises(BackendUnavailableError, match="do not end this process"):
        killable.store.save_context(a_context())
    snapshot.close()
    with pytest.raises(BackendUnavailableError, match="is in the database file"):
        killable.store.save_context(a_context())
    assert killable.versions_after_kill() == [1, 2, 3, 4, 5, 6]


@pytest.mark.promise("CR02")
def test_a_wal_that_another_process_replaced_is_not_written_over(tmp_path):
    """The process that lost its WAL saves no more and copies nothing over the other's saves, not even at its end."""
    program = """
import os, subprocess, sys
from context_core import *
from context_core_sqlite import _files
_files.LOOK_AGAIN_S = 0.0
path = sys.argv[1]
store = ContextPersistence(path)
store.save_context(WorkflowContext("mine", 1, 2, "f", "w"))
os.unlink(path + "-wal")
os.unlink(path + "-shm")
other = "import sys; from context_core import *; s = ContextPersistence(sys.argv[1])"
other += "; [s.save_context(WorkflowContext(f'w{n}', 1, 2, 'f', 'w')) for n in range(3)]; s.close()"
subprocess.run([sys.executable, "-c", other, path], check=True)
for action in [lambda: store.save_context(WorkflowContext("mine", 1, 2, "f", "w")), lambda: store.load_context("w0"),
               lambda: store.save_context(WorkflowContext("mine", 1, 2, "f", "w")), lambda: ContextPersistence(path)]:
    try:
        action()
    except BackendUnavailableError as error:
        print("was replaced" in str(error))
store.close()
"""
    path = tmp_path / "engine.db"
    ended = subprocess.run([sys.executable, "-c", program, str(path)], check=True, capture_output=True, text=True)
    assert ended.stdout.split() == ["True"] * 4
    with ContextPersistence(db_path=path) as store:
        assert [store.context_exists(f"w{n}") for n in range(3)] == [True] * 3
        assert store.verify().is_sound


@pytest.mark.promise("CR02", "CO10")
def test_a_wal_that_is_removed_during_a_commit_makes_no_acknowledgement(killable, monkeypatch):
    """The save may be lost with a kill: its outcome is unknown."""
    backend: Any = SqliteBackend(killable.path)
    store = ContextPersistence(backend)
    commit = backend._connections._packer.commit

    def removing():
        commit()
        killable.beside("-wal").unlink()

    store.save_context(a_context("other"))
    monkeypatch.setattr(_files, "TRUST_S", 0.0)
    monkeypatch.setattr(backend._connections._packer, "commit", removing)
    with pytest.raises(PersistenceError, match="may have happened"):
        store.save_context(a_context("other"))
    store.close()


def test_the_files_come_and_go_while_no_connection_is_open(killable):
    """A fork, or a failed read, closes the last connection, and with it SQLite removes the WAL: nobody is alarmed."""
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    assert not killable.beside("-wal").exists()
    assert killable.store.load_context("w").version == 5
    assert killable.store.save_context(a_context()) == 6


UTF_16 = ["UTF-16", "UTF-16le", "UTF-16be"]


@pytest.mark.parametrize("option", ["", "?read_only=true"])
@pytest.mark.parametrize("encoding", UTF_16)
def test_a_database_of_another_encoding_is_refused(tmp_path, encoding, option):
    """Its documents could not be read; the error says how to convert it."""
    path = tmp_path / "engine.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA encoding = '{encoding}'")
        connection.execute("CREATE TABLE notes (x)")
    before = files_of(tmp_path)
    with pytest.raises(PersistenceError, match="UTF-16"):
        ContextPersistence(f"sqlite:///{path}{option}")
    assert files_of(tmp_path) == before
