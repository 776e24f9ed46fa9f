"""The size of the write-ahead log: given back when no reader holds it, and told when it grows large."""

import logging
import sqlite3
import time
from collections.abc import Callable
from typing import Final

_LOG: Final = logging.getLogger("context_core_sqlite")

TRUNCATE_ABOVE_BYTES: Final = 64 * 2**20
"""A smaller WAL is left as it is: writing over it is faster than growing it again."""

WARN_ABOVE_BYTES: Final = 256 * 2**20

PAUSE_S: Final = 10.0
"""The time between two attempts, so that a reader that stays costs next to nothing."""

_PATIENCE_MS: Final = 20
"""How long an attempt waits for readers; writers wait meanwhile."""


class WalLimit:
    """Empties the WAL of one store once nobody reads from it.

    SQLite's own checkpoints empty it too, but leave the file as large as it ever was.
    """

    def __init__(
        self,
        location: str,
        *,
        truncate_above_bytes: int = TRUNCATE_ABOVE_BYTES,
        warn_above_bytes: int = WARN_ABOVE_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.truncate_above_bytes = truncate_above_bytes
        self._location = location
        self._warn_above_bytes = warn_above_bytes
        self._clock = clock
        self._next_attempt_s = 0.0
        self._is_warned = False

    def keep(self, connection: sqlite3.Connection, size_bytes: int, busy_timeout_ms: int) -> None:
        """Try to empty a WAL that is over the limit, at most once in a while; *connection* has no transaction open.

        Args:
            connection: Any connection to the database that may write.
            size_bytes: How large the file is.
            busy_timeout_ms: The time-out that the connection has afterwards.
        """
        now_s = self._clock()
        if now_s < self._next_attempt_s:
            return
        self._next_attempt_s = now_s + PAUSE_S
        if truncate(connection, busy_timeout_ms):
            self._is_warned = False
            return
        is_large = size_bytes > self._warn_above_bytes
        if is_large and not self._is_warned:
            _LOG.warning(
                "%s-wal holds %d MiB and cannot be emptied while a reader stays open: end snapshots, exports and "
                "transactions at a prompt that have been open for long",
                self._location,
                size_bytes // 2**20,
            )
        self._is_warned = is_large


def truncate(connection: sqlite3.Connection, busy_timeout_ms: int) -> bool:
    """Copy the WAL into the main file and empty it; False where somebody is in the way."""
    try:
        connection.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
        try:
            row = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            connection.execute(f"PRAGMA busy_timeout = {busy_timeout_ms}")
    except sqlite3.OperationalError:  # a full or failing disk: the WAL keeps what it has, and a save will tell
        return False
    return bool(row[0] == 0)


def fold(connection: sqlite3.Connection) -> bool:
    """Copy all of the WAL into the main file; False where a reader or the disk is in the way."""
    try:
        _, pages, copied = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    except sqlite3.Error:  # another thread may use the connection too, or have closed it
        return False
    return bool(pages == copied)
