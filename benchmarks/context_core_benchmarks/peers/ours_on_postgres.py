"""context-core on PostgreSQL, on a server from a wheel."""

from pathlib import Path

import context_core_postgres  # noqa: F401  # its libraries may be missing; then this peer is left out
from context_core import ContextPersistence
from context_core_benchmarks.peers.ours import ContextCore
from context_core_benchmarks.postgres.server import OwnServer


class ContextCoreOnPostgres(ContextCore):
    """Uses a connection pool, of which one thread uses one connection, through a socket."""

    name = "context-core on PostgreSQL"
    note = "a server process on the same machine; bytes without dead rows, there and below"

    def __init__(self, folder: Path) -> None:
        self._server = OwnServer(folder)
        self._store = self._server.stack.enter_context(ContextPersistence(self._server.uri))

    def stored_bytes(self, folder: Path) -> int:
        """Return the size of the database."""
        del folder
        return self._server.held_bytes

    def close(self) -> None:
        """Close the store, and stop the server."""
        self._server.close()
