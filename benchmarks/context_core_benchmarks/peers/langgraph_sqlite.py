"""langgraph's SqliteSaver."""

import sqlite3
from pathlib import Path

from langgraph.checkpoint.sqlite import SqliteSaver

from context_core_benchmarks.peers.checkpointer import Checkpointer


class LanggraphSqlite(Checkpointer):
    """Uses one connection; langgraph sets WAL, and the adapter makes sure that each commit is synced."""

    name = "langgraph SqliteSaver"
    distributions = ("langgraph-checkpoint-sqlite",)
    note = "newest: of all checkpoints, not of each thread's last"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._connection = sqlite3.connect(folder / "checkpoints.db", check_same_thread=False)
        self._connection.execute("PRAGMA synchronous = FULL")
        self._saver = SqliteSaver(self._connection)
        self._saver.setup()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
