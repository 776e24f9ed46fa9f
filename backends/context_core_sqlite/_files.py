"""The files of a database: the main file, its write-ahead log (WAL), its shared memory, its rollback journal."""

import os
import sqlite3
import time
from enum import Enum
from pathlib import Path
from typing import Final, TypeAlias

from context_core.errors import BackendUnavailableError, StorageError
from context_core_sqlite._inheritance import keep_for_ever

Identity: TypeAlias = tuple[int, int] | None
"""Device and inode of a file; None where there is none."""

LOOK_AGAIN_S: Final = 0.5
"""How often readers look whether the files are still those at their path."""

TRUST_S: Final = 0.001
"""A commit that ends this soon after a look needs no other: it would cost a tenth of a save without a sync."""

SETTLED_S: Final = 0.1
SETTLED_COARSE_S: Final = 3.0
"""How long ago a folder must have changed for its time to tell of any later change: more than the step of such times.

The second holds where times seem to be whole seconds.
"""

_JOURNAL_MAGIC: Final = bytes.fromhex("d9d505f920a163d7")
_JOURNAL_HEADER_BYTES: Final = 28
_OLD_SIZE: Final = slice(16, 20)
"""Where a journal says how many pages the database had when its transaction began."""

_abandoned: Final[set[Identity]] = set()
"""Main files of which this process still holds files that others replaced."""


def wal_of(path: Path) -> str:
    """Return where SQLite keeps the WAL: beside the file that a symbolic link leads to."""
    return f"{os.path.realpath(path)}-wal"


def wal_bytes(path: Path) -> int:
    """Return how large the WAL is, 0 where there is none."""
    return _size_bytes(wal_of(path)) or 0


def check_files(path: Path) -> None:
    """Refuse to open a database whose WAL or rollback journal lost its main file; reads only.

    SQLite would take the main file for new and delete what is left, and with it saves that were acknowledged.

    Raises:
        StorageError: Something beside the main file holds its content; nothing was changed.
        BackendUnavailableError: This process lost the database to another; it has to end first.
    """
    real = os.path.realpath(path)
    # The main file comes last: who makes a database makes its main file first.
    wal_bytes = _size_bytes(f"{real}-wal")
    has_journal = _is_of_a_filled_database(f"{real}-journal")
    main_bytes = _size_bytes(real)
    left = []
    if wal_bytes is not None and (main_bytes is None or (main_bytes == 0 and wal_bytes > 0)):
        left.append(f"{real}-wal")
    if has_journal and not main_bytes:
        left.append(f"{real}-journal")
    if left:
        raise StorageError(
            f"the database {path} is {'missing' if main_bytes is None else 'empty'}, but {' and '.join(left)} is there "
            f"and may hold its newest versions: put the database file back beside it, or, if it is not needed any "
            f"more, move it away and open again; nothing was changed"
        )
    if _abandoned and identity(real) in _abandoned:
        raise BackendUnavailableError(_replaced(str(path)))


def identity(path: str | Path) -> Identity:
    """Return which file lies at a path."""
    try:
        status = os.stat(path)  # noqa: PTH116  # Path.stat costs twice as much, at each save
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _size_bytes(path: str) -> int | None:
    try:
        return os.stat(path).st_size  # noqa: PTH116  # as above
    except OSError:
        return None


def _is_of_a_filled_database(journal: str) -> bool:
    """Whether a rollback journal belongs to a database that had pages; one of a database in the making does not."""
    try:
        with open(journal, "rb") as file:  # noqa: PTH123  # a string, as everywhere here
            header = file.read(_JOURNAL_HEADER_BYTES)
    except OSError:
        return False
    return header.startswith(_JOURNAL_MAGIC) and any(header[_OLD_SIZE])


class Change(Enum):
    """What happened to the files of an open database."""

    MAIN = "the main file was removed or replaced"
    REMOVED = "the WAL or the shared memory was removed"
    REPLACED = "the WAL or the shared memory was replaced"


class FileWatch:
    """Notices that files of an open database are no longer those at its path.

    SQLite goes on reading and writing removed files without a word; such saves would be acknowledged and lost. While a
    connection is open nobody removes or replaces the WAL in good faith, so *seen* holds as long as one stays open.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._main = str(path)
        self._folder = os.path.dirname(path)  # noqa: PTH120  # a string, as everywhere here
        self._wal = wal_of(path)
        self._shm = f"{self._wal.removesuffix('-wal')}-shm"
        self._seen: tuple[Identity, Identity, Identity] | None = None
        self._seen_folder: tuple[int, int, int] | None = None
        self.is_known = False
        self.next_look_s = 0.0
        """When, by the monotonic clock, a reader should look. Saves look each time."""
        self._looked_s = 0.0
        self.wal_bytes = 0
        """The size of the WAL when it was last looked at, at least every LOOK_AGAIN_S of saves."""

    def forget(self) -> None:
        """Every connection is closed: the files may come and go."""
        self._seen = self._seen_folder = None
        self.is_known = False

    def remember(self) -> None:
        """Note the files of a connection that has just read; those noted before are kept."""
        if self._seen is None:
            self._seen = identity(self._main), self._wal_identity(), identity(self._shm)
            self.is_known = True

    def look(self) -> Change | None:
        """Look at the main file and the WAL, and once in a while at the shared memory.

        Without the shared memory saves still reach the WAL, but processes no longer see each other. While nothing was
        added to the folder, removed or renamed, its time tells so, and the files are not looked at: to ask for the times
        of a WAL between its writes makes Linux 6.13 and newer log a new one at each write, a fifth of a durable save.
        """
        if self._seen is None:
            return None
        now_s = self._looked_s = time.monotonic()
        is_due = now_s >= self.next_look_s
        if not is_due and self._is_folder_as_seen():
            return None
        folder = self._settled_folder()  # before the files: what changes while they are looked at shows next time
        main, wal, shm = self._seen
        if identity(self._main) != main:
            return Change.MAIN
        now = self._wal_identity()
        if now == wal and is_due:
            now, wal = identity(self._shm), shm
        if now != wal:
            return Change.REMOVED if now is None else Change.REPLACED
        if is_due:
            self.next_look_s = now_s + LOOK_AGAIN_S
        self._seen_folder = folder
        return None

    def has_lost_wal(self) -> bool:
        """Whether a commit just now went to a WAL that is no longer at its path, unless `look` has just seen it there."""
        if time.monotonic() - self._looked_s < TRUST_S or self._seen is None or self._is_folder_as_seen():
            return False
        return self._wal_identity() != self._seen[1]

    def _is_folder_as_seen(self) -> bool:
        if self._seen_folder is None:
            return False
        try:
            status = os.stat(self._folder)  # noqa: PTH116  # as above
        except OSError:
            return False
        return (status.st_ino, status.st_ctime_ns, status.st_dev) == self._seen_folder

    def _settled_folder(self) -> tuple[int, int, int] | None:
        """Which folder it is, and when it changed; None where its time may miss a change.

        Nobody can set that time back. On Windows it is another one, and open files stay where they are.
        """
        if os.name == "nt" or os.path.islink(self._main):  # noqa: PTH114  # the WAL is in the folder of the real file
            return None
        try:
            status = os.stat(self._folder)  # noqa: PTH116  # as above
        except OSError:
            return None
        age_s = time.time() - status.st_ctime
        is_coarse = status.st_ctime_ns % 1_000_000_000 == 0
        if age_s < (SETTLED_COARSE_S if is_coarse else SETTLED_S):
            return None
        return status.st_ino, status.st_ctime_ns, status.st_dev

    def _wal_identity(self) -> Identity:
        try:
            status = os.stat(self._wal)  # noqa: PTH116  # as above
        except OSError:
            return None
        self.wal_bytes = status.st_size
        return status.st_dev, status.st_ino

    def error(self, change: Change, *, is_folded: bool) -> BackendUnavailableError:
        """Return what to tell a caller."""
        if change is Change.MAIN:
            return BackendUnavailableError(
                f"the database {self._path} was removed or replaced while it was open: nothing was "
                f"written; put it back and try again, or open a new store"
            )
        if change is Change.REPLACED:
            return BackendUnavailableError(_replaced(str(self._path)))
        advice = (
            "what was saved before is in the database file; try again"
            if is_folded
            else "a reader keeps what was saved before from being moved into the database file: end it, do not end "
            "this process, and try again"
        )
        return BackendUnavailableError(
            f"a file beside the database {self._path} ({self._wal} or -shm) was removed while it was open: nothing was "
            f"written; {advice}"
        )

    def abandon(self, *connections: sqlite3.Connection | None) -> None:
        """Never close *connections*, not even when the process ends.

        Closing the last one copies its WAL into the main file, onto what another process has written meanwhile.
        """
        if self._seen is not None:
            _abandoned.add(self._seen[0])
        for connection in connections:
            if connection is not None:
                keep_for_ever(connection)

    def check_not_abandoned(self) -> None:
        """Raise BackendUnavailableError if this process gave the database up: a new connection would reuse old files."""
        if _abandoned and identity(self._main) in _abandoned:
            raise BackendUnavailableError(_replaced(str(self._path)))


def _replaced(location: str) -> str:
    return (
        f"a file beside the database {location} (-wal or -shm) was replaced while it was open: nothing was written; end "
        f"every process that has the database open, then open it again and verify it"
    )
