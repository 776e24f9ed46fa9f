"""The SQLite backend keeps the contract."""

import contextlib
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from context_core.history_codec import unpack
from context_core_conformance import BackendContract


class TestSqlite(BackendContract):
    def fresh_url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/store.db"

    def backup_url(self, path: Path) -> str:
        return f"sqlite:///{path}"

    def raw_storage(self, url: str) -> Iterable[bytes]:
        """Every row, and the documents of packed versions as they were before packing."""
        path = url.removeprefix("sqlite:///")
        with contextlib.closing(sqlite3.connect(path)) as connection:
            yield from _documents(connection)
            connection.text_factory = bytes
            tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
            for (name,) in tables:
                for row in connection.execute(f'SELECT * FROM "{name.decode()}" ORDER BY 1'):
                    yield b"\t".join(value if isinstance(value, bytes) else repr(value).encode() for value in row)


def _documents(connection: sqlite3.Connection) -> Iterable[bytes]:
    """Unpack without the driver: a version leans on an earlier one of its workflow."""
    plain: dict[tuple[str, int], bytes] = {}
    rows = """SELECT workflow_id, version, base_version, CAST(document AS BLOB) FROM workflow_context_versions
        ORDER BY workflow_id, version"""
    for workflow_id, version, base, stored in connection.execute(rows):
        document = stored
        if base is not None:
            document = unpack(stored, None if base == version else plain[workflow_id, base])
        plain[workflow_id, version] = document
        yield document
