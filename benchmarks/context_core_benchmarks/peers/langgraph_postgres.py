"""langgraph's PostgresSaver, on a server that comes as a wheel."""

from contextlib import ExitStack
from pathlib import Path

from langgraph.checkpoint.postgres import PostgresSaver

from context_core_benchmarks.peers.checkpointer import Checkpointer
from context_core_benchmarks.postgres import server


class LanggraphPostgres(Checkpointer):
    """On one connection, through a socket."""

    name = "langgraph PostgresSaver"
    distributions = ("langgraph-checkpoint-postgres",)
    note = "a server process on the same machine; newest: of all checkpoints"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._open = ExitStack()
        self._uri = self._open.enter_context(server.running(folder / "server"))
        saver = self._open.enter_context(PostgresSaver.from_conn_string(self._uri))
        saver.setup()
        self._saver = saver
        self._bytes = 0

    def stored_bytes(self, folder: Path) -> int:
        """The database's."""
        del folder
        return self._bytes

    def close(self) -> None:
        """Close the connection, look at the size, and stop the server."""
        self._bytes = server.database_bytes(self._uri)
        self._open.close()
