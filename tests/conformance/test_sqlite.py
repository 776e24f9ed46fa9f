"""The SQLite backend keeps the contract."""

import contextlib
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from context_core_conformance import BackendContract


class TestSqlite(BackendContract):
    def fresh_url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/store.db"

    def backup_url(self, path: Path) -> str:
        return f"sqlite:///{path}"

    def raw_storage(self, url: str) -> Iterable[bytes]:
        path = url.removeprefix("sqlite:///")
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.text_factory = bytes
            tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
            for (name,) in tables:
                for row in connection.execute(f'SELECT * FROM "{name.decode()}" ORDER BY 1'):
                    yield b"\t".join(value if isinstance(value, bytes) else repr(value).encode() for value in row)
