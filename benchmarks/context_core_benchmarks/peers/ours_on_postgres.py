"""This project on PostgreSQL, on a server that comes as a wheel."""

from contextlib import ExitStack
from pathlib import Path

import context_core_postgres  # noqa: F401  # whose libraries may be missing, and then this peer is left out
from context_core import ContextPersistence
from context_core_benchmarks.peers.ours import ContextCore
from context_core_benchmarks.postgres import server


class ContextCoreOnPostgres(ContextCore):
    """On a pool, of which one thread uses one connection, through a socket."""

    name = "context-core on PostgreSQL"
    note = "a server process on the same machine; bytes without dead rows, there and below"

    def __init__(self, folder: Path) -> None:
        self._open = ExitStack()
        self._uri = self._open.enter_context(server.running(folder / "server"))
        self._store = self._open.enter_context(ContextPersistence(self._uri))
        self._bytes = 0

    def stored_bytes(self, folder: Path) -> int:
        """The database's."""
        del folder
        return self._bytes

    def close(self) -> None:
        """Look at the size, close the store, and stop the server."""
        self._bytes = server.database_bytes(self._uri)
        self._open.close()
