"""Connections that a forked child inherits: SQLite allows it neither to use nor to close them."""

import os
import sqlite3
import sys
from types import FrameType
from typing import Any, Final

from context_core.forking import follow_forks


class Connection(sqlite3.Connection):
    """A connection that only the process that opened it ever closes."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._pid = os.getpid()
        super().__init__(*args, **options)

    def close(self) -> None:
        """Close it, unless it came here by a fork."""
        if self._pid == os.getpid():
            super().close()


def keep_for_ever(connection: sqlite3.Connection) -> None:
    """Never collect a connection of the parent in a forked child: to close it would end the parent's transaction."""
    import ctypes  # noqa: PLC0415  # 3 ms of start-up, and only a forked child needs it

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


class _CallsInChild:
    """Calls that go on in a forked child, as the fork was made by a signal handler in the middle of them.

    SQLite itself refuses what they still do, before it reads or writes anything of the parent's.
    """

    def before_fork(self) -> None:
        """Nothing is to be done."""

    def after_fork_in_child(self) -> None:
        """Refuse further use of the connections that calls of this thread use."""
        frame: FrameType | None = sys._getframe()  # noqa: SLF001  # the documented way to the frames of a thread
        while frame is not None:
            for connection in list(frame.f_locals.values()):
                if isinstance(connection, Connection):
                    connection.set_authorizer(_refuse)
                    keep_for_ever(connection)
            frame = frame.f_back


def _refuse(*_: object) -> int:
    return sqlite3.SQLITE_DENY


_calls_in_child: Final = _CallsInChild()
follow_forks(_calls_in_child)
