"""How a database file is used, and how a connection to it is opened."""

import os
import sqlite3
from pathlib import Path
from typing import Final
from urllib.parse import quote

import attrs

from context_core_sqlite import _foreign_keys
from context_core_sqlite._inheritance import Connection

CACHED_STATEMENTS: Final = 256
"""Prepared statements kept by each connection: preparing costs as much as running one."""


@attrs.frozen(kw_only=True)
class Options:
    """How a database file is used.

    Attributes:
        path: Absolute, so that a later change of directory moves nothing.
        synchronous: FULL survives power loss; NORMAL survives a killed process and may lose the last saves with power.
        busy_timeout_s: How long a call waits for other writers.
        read_only: Write and create nothing.
    """

    path: Path
    synchronous: str
    busy_timeout_s: float
    read_only: bool

    @property
    def location(self) -> str:
        """The path as it is shown in messages."""
        return str(self.path)


def connect(options: Options, *, create: bool = False) -> sqlite3.Connection:
    """Open a connection; without *create* a missing file is an error, so that a vanished database stays noticed."""
    mode = "ro" if options.read_only else ("rwc" if create else "rw")
    connection = sqlite3.connect(
        f"file:{quote(os.fsencode(options.path))}?mode={mode}",
        uri=True,
        timeout=options.busy_timeout_s,
        isolation_level=None,  # transactions begin where this package says BEGIN
        check_same_thread=False,  # a connection is used by one thread at a time, not by one thread only
        cached_statements=CACHED_STATEMENTS,
        factory=Connection,
    )
    try:
        # An acknowledged save survives power loss: the WAL is synced at each commit, not only at checkpoints.
        connection.execute(f"PRAGMA synchronous = {options.synchronous}")
        # A database file is data: a function hidden in its schema must not run with our rights.
        connection.execute("PRAGMA trusted_schema = OFF")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_to_write(options: Options) -> sqlite3.Connection:
    """Open a connection that enforces foreign keys and does not wait for locks by itself.

    It has read, which opens the WAL.
    """
    connection = connect(options)
    try:
        _foreign_keys.switch_on(connection, options.location)
        connection.execute("PRAGMA busy_timeout = 0")  # SQLite's pauses are long: the caller does the waiting
    except BaseException:
        connection.close()
        raise
    return connection
