"""langgraph's PostgresSaver, on a server from a wheel."""

from pathlib import Path

from langgraph.checkpoint.postgres import PostgresSaver

from context_core_benchmarks.peers.checkpointer import Checkpointer
from context_core_benchmarks.postgres.server import OwnServer


class LanggraphPostgres(Checkpointer):
    """Uses one connection, through a socket."""

    name = "langgraph PostgresSaver"
    distributions = ("langgraph-checkpoint-postgres",)
    note = "a server process on the same machine; newest: of all checkpoints"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._server = OwnServer(folder)
        saver = self._server.stack.enter_context(PostgresSaver.from_conn_string(self._server.uri))
        saver.setup()
        self._saver = saver

    def stored_bytes(self, folder: Path) -> int:
        """Return the size of the database."""
        del folder
        return self._server.held_bytes

    def close(self) -> None:
        """Close the connections, and stop the server."""
        self._server.close()
