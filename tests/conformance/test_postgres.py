"""The PostgreSQL backend keeps the contract."""

import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import psycopg
import pytest
from builtin_access import unpacked
from postgres_server import VARIABLE, Database, Server
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier
from silent_proxy import SilentProxy

from context_core import ContextPersistence
from context_core_conformance import BackendContract, SilentPeer


class TestPostgres(BackendContract):
    server: Database
    get_own_server: Callable[[], Server]

    @pytest.fixture(autouse=True)
    def _database(self, postgres_database, request):
        self.server = postgres_database
        self.get_own_server = lambda: request.getfixturevalue("postgres_server")

    def fresh_url(self, tmp_path: Path) -> str:
        del tmp_path
        return self.server.url(f"t_{uuid.uuid4().hex}")

    def raw_storage(self, url: str) -> Iterable[bytes]:
        """Every row, and the documents of packed versions as they were before packing."""
        schema = url.partition("schema=")[2]
        with psycopg.connect(self.server.conninfo) as connection:
            query = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = %s ORDER BY 1"
            for (name,) in connection.execute(query, (schema,)).fetchall():
                rows = connection.execute(SQL("SELECT * FROM {} ORDER BY 1, 2").format(Identifier(schema, name)))
                for row in rows:
                    yield b"\t".join(value if isinstance(value, bytes) else repr(value).encode() for value in row)
            documents = SQL("SELECT workflow_id, version, base_version, document FROM {} ORDER BY 1, 2")
            versions = Identifier(schema, "workflow_context_versions")
            yield from unpacked(connection.execute(documents.format(versions)))

    def damage(self, url: str, workflow_id: str, version: int) -> bool:
        """A byte of its document is lost, in both tables."""
        schema = url.partition("schema=")[2]
        with psycopg.connect(self.server.conninfo) as connection:
            connection.execute("SET session_replication_role = replica")  # the triggers guard against slips
            cut = SQL("UPDATE {} SET document = substr(document, 2) WHERE workflow_id = %s AND version = %s")
            for table in ("workflow_context", "workflow_context_versions"):
                connection.execute(cut.format(Identifier(schema, table)), (workflow_id, version))
        return True

    def lose_head(self, url: str, workflow_id: str) -> bool:
        """A statement from outside takes the row of the current state."""
        name = Identifier(url.partition("schema=")[2], "workflow_context")
        with psycopg.connect(self.server.conninfo) as connection:
            connection.execute(SQL("DELETE FROM {} WHERE workflow_id = %s").format(name), (workflow_id,))
        return True

    def lose_history(self, url: str, workflow_id: str) -> bool:
        """A statement from outside takes the rows of all versions, past the trigger that guards against slips."""
        name = Identifier(url.partition("schema=")[2], "workflow_context_versions")
        with psycopg.connect(self.server.conninfo) as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute(SQL("DELETE FROM {} WHERE workflow_id = %s").format(name), (workflow_id,))
        return True

    @contextmanager
    def _stopped(self) -> Iterator[None]:
        server = self.get_own_server()
        server.stop()
        try:
            yield
        finally:
            server.start()

    def taken_away(self, url: str) -> AbstractContextManager[object] | None:
        """The server stops; one that somebody else runs is left alone."""
        del url
        return self._stopped() if VARIABLE not in os.environ else None

    def newer_url(self, tmp_path: Path) -> str:
        url = self.fresh_url(tmp_path)
        ContextPersistence(url).close()
        table = Identifier(url.partition("schema=")[2], "context_core_schema")
        with psycopg.connect(self.server.conninfo) as connection:
            connection.execute(SQL("INSERT INTO {} VALUES (99, 'of later', '2099-01-01')").format(table))
        return url

    def schema(self, url: str) -> object:
        with psycopg.connect(self.server.conninfo) as connection:
            return connection.execute(
                """SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns
                WHERE table_schema = %s ORDER BY 1, ordinal_position""",
                (url.partition("schema=")[2],),
            ).fetchall()

    @contextmanager
    def silent_peer(self, url: str, limit_s: float) -> Iterator[SilentPeer]:
        """A proxy in front of the server."""
        server = conninfo_to_dict(self.server.conninfo)
        host, port = str(server["host"]), int(server.get("port") or 5432)
        address = f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)
        # Below the system's folder, since the paths of sockets must be short.
        with TemporaryDirectory(prefix="silent-") as folder, SilentProxy(Path(folder), address) as proxy:
            options = f"host={quote(folder, safe='')}&port=5432&call_timeout={limit_s}"
            schema = url.partition("schema=")[2]
            login = f"{server.get('user', 'postgres')}@/{server.get('dbname', 'postgres')}"
            yield SilentPeer(url=f"postgresql://{login}?schema={schema}&{options}", silenced=proxy.silenced)

    def dispose(self, url: str) -> None:
        self.server.drop(url.partition("schema=")[2])
