"""Reading a database without creating anything beside it.

In WAL mode even a reader makes a -wal and a -shm file if there are none. So as long as there is no WAL, which is so
when nobody has the database open, each read opens the file as immutable, and looks afterwards that it was.
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final, NoReturn, TypeVar
from urllib.parse import quote

from context_core.errors import BackendBusyError, BackendClosedError, ReadOnlyError
from context_core.forking import outside_forks
from context_core_sqlite._database import Options, connect
from context_core_sqlite._errors import translating
from context_core_sqlite._files import check_files, wal_of

A = TypeVar("A")
T = TypeVar("T")

_ATTEMPTS: Final = 100
"""A read is repeated if a writer came and went in the middle of it; so often in a row it does not."""


class ReadOnlyConnections:
    """Opens a connection for each read, of the kind that the moment allows."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._wal = Path(wal_of(options.path))
        self._is_closed = False
        check_files(options.path)

    def check_open(self) -> None:
        """Raise BackendClosedError after `close`."""
        if self._is_closed:
            raise BackendClosedError

    def read(self, work: Callable[[sqlite3.Connection, A], T], argument: A) -> T:
        """Run *work* on a connection that sees one state of the database."""
        return outside_forks(self._read, work, argument)

    def _read(self, work: Callable[[sqlite3.Connection, A], T], argument: A) -> T:
        self.check_open()
        with translating(self._options.location, self._options.busy_timeout_s):
            for _ in range(_ATTEMPTS):
                if self._wal.exists():
                    with closing(connect(self._options)) as connection:
                        return work(connection, argument)
                before = self._fingerprint()
                try:
                    with closing(self._connect_immutable()) as connection:
                        result = work(connection, argument)
                except sqlite3.Error:
                    if self._fingerprint() == before:
                        raise
                    continue
                if self._fingerprint() == before:
                    return result
        raise BackendBusyError(waited_s=self._options.busy_timeout_s)

    def write(self, work: Callable[[sqlite3.Connection, A], T], argument: A) -> NoReturn:
        """Refuse."""
        del work, argument
        self.check_open()
        raise ReadOnlyError(f"{self._options.location} was opened with read_only: open it without, to write")

    def close(self) -> None:
        """Refuse what comes after."""
        self._is_closed = True

    def _connect_immutable(self) -> sqlite3.Connection:
        url = f"file:{quote(os.fsencode(self._options.path))}?immutable=1"
        return sqlite3.connect(url, uri=True, isolation_level=None)

    def _fingerprint(self) -> tuple[bool, int, int, int]:
        """What a writer changes: while all of it stays, nobody has written."""
        try:
            status = self._options.path.stat()
        except FileNotFoundError:
            return self._wal.exists(), 0, 0, 0
        return self._wal.exists(), status.st_ino, status.st_size, status.st_mtime_ns
