"""The PostgreSQL backend keeps the contract."""

import uuid
from collections.abc import Iterable
from pathlib import Path

import psycopg
import pytest
from postgres_server import Database
from psycopg.sql import SQL, Identifier

from context_core_conformance import BackendContract


class TestPostgres(BackendContract):
    server: Database

    @pytest.fixture(autouse=True)
    def _database(self, postgres_database):
        self.server = postgres_database

    def fresh_url(self, tmp_path: Path) -> str:
        del tmp_path
        return self.server.url(f"t_{uuid.uuid4().hex}")

    def raw_storage(self, url: str) -> Iterable[bytes]:
        schema = url.partition("schema=")[2]
        with psycopg.connect(self.server.conninfo) as connection:
            query = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = %s ORDER BY 1"
            for (name,) in connection.execute(query, (schema,)).fetchall():
                rows = connection.execute(SQL("SELECT * FROM {} ORDER BY 1, 2").format(Identifier(schema, name)))
                for row in rows:
                    yield b"\t".join(value if isinstance(value, bytes) else repr(value).encode() for value in row)

    def dispose(self, url: str) -> None:
        self.server.drop(url.partition("schema=")[2])
