"""The storage access hooks of the built-in drivers, and the URLs of their fresh stores."""

import contextlib
import sqlite3
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

import context_core_memory
from context_core import ContextPersistence, WorkflowContext
from context_core.history_codec import unpack
from context_core_conformance import OlderStore
from context_core_memory import _backend

OLD_TABLE = """
    CREATE TABLE workflow_context(
        id INTEGER PRIMARY KEY AUTOINCREMENT, workflow_id TEXT UNIQUE NOT NULL, epic_num INTEGER NOT NULL,
        story_num INTEGER, feature TEXT NOT NULL, workflow_name TEXT NOT NULL, current_phase TEXT NOT NULL,
        status TEXT NOT NULL CHECK(status IN ('running', 'completed', 'failed', 'paused')), context_data TEXT NOT NULL,
        version INTEGER NOT NULL DEFAULT 1, created_at TEXT NOT NULL, updated_at TEXT NOT NULL
    )"""


def path_of(url: str) -> Path:
    return Path(url.partition(":///")[2].partition("?")[0])


def run(path: Path, *statements: str) -> None:
    """Run *statements* without the driver."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


class MemoryAccess:
    scheme = "memory"

    def fresh_url(self, tmp_path: Path) -> str:
        del tmp_path
        return f"{self.scheme}://{uuid.uuid4().hex}"

    def impatient_url(self, url: str, wait_s: float) -> str:
        return f"{url}?busy_timeout={wait_s}"

    def raw_storage(self, url: str) -> Iterable[bytes]:
        state = vars(_backend._named[url.rpartition("/")[2]].state)
        yield repr({name: value for name, value in state.items() if name != "lock"}).encode()

    def dispose(self, url: str) -> None:
        context_core_memory.drop(url.rpartition("/")[2])


class SqliteAccess:
    scheme = "sqlite"

    def fresh_url(self, tmp_path: Path) -> str:
        return f"{self.scheme}:///{tmp_path}/store.db"

    def backup_url(self, path: Path) -> str:
        return f"{self.scheme}:///{path}"

    def syncs_itself(self) -> bool:
        return True

    def impatient_url(self, url: str, wait_s: float) -> str:
        return f"{url}?busy_timeout={wait_s}"

    def reads_everything(self, plan: str) -> bool:
        return any(line.startswith("SCAN head") for line in plan.splitlines())

    def raw_storage(self, url: str) -> Iterable[bytes]:
        """Every row, and the documents of packed versions as they were before packing."""
        with contextlib.closing(sqlite3.connect(path_of(url))) as connection:
            rows = """SELECT workflow_id, version, base_version, CAST(document AS BLOB) FROM workflow_context_versions
                ORDER BY workflow_id, version"""
            yield from unpacked(connection.execute(rows))
            connection.text_factory = bytes
            tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
            for (name,) in tables:
                for row in connection.execute(f'SELECT * FROM "{name.decode()}" ORDER BY 1'):
                    yield b"\t".join(value if isinstance(value, bytes) else repr(value).encode() for value in row)

    def damage(self, url: str, workflow_id: str, version: int) -> bool:
        """A byte of its document is lost, in both tables, as after a bad copy."""
        cut = f"document = substr(document, 2) WHERE workflow_id = '{workflow_id}' AND version = {version}"
        with contextlib.closing(sqlite3.connect(path_of(url))) as connection, connection:
            # The triggers guard against slips, not against damage.
            triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
            for name, _ in triggers:
                connection.execute(f"DROP TRIGGER {name}")
            connection.execute(f"UPDATE workflow_context SET {cut}")
            connection.execute(f"UPDATE workflow_context_versions SET {cut}")
            for _, sql in triggers:
                connection.execute(sql)
        return True

    def lose_head(self, url: str, workflow_id: str) -> bool:
        run(path_of(url), f"DELETE FROM workflow_context WHERE workflow_id = '{workflow_id}'")
        return True

    def lose_history(self, url: str, workflow_id: str) -> bool:
        """Through the guard, which anybody may use who knows of it."""
        run(
            path_of(url),
            f"INSERT INTO workflow_context_delete_guard VALUES ('{workflow_id}')",
            f"DELETE FROM workflow_context_versions WHERE workflow_id = '{workflow_id}'",
            f"DELETE FROM workflow_context_delete_guard WHERE workflow_id = '{workflow_id}'",
        )
        return True

    @contextlib.contextmanager
    def taken_away(self, url: str) -> Iterator[None]:
        """The file, its log and its index lie elsewhere for a while."""
        path = path_of(url)
        elsewhere = path.with_name("elsewhere")
        elsewhere.mkdir()
        files = [file for file in path.parent.iterdir() if file.name.startswith(path.name)]
        for file in files:
            file.rename(elsewhere / file.name)
        try:
            yield
        finally:
            for file in files:
                (elsewhere / file.name).rename(file)

    def older_stores(self, tmp_path: Path) -> Iterable[OlderStore]:
        """A database of the original single-table schema: a mutable row a workflow, naive times, no schema number."""
        contexts = [
            WorkflowContext.from_dict(
                {
                    "workflow_id": f"old-{number}",
                    "epic_num": number,
                    "story_num": None if number == 1 else number,
                    "feature": "checkout",
                    "workflow_name": "implement_story",
                    "current_phase": "review",
                    "status": "paused",
                    "decisions": {"größe": [1, 1.0, None]},
                    "tags": ["urgent", "api"],
                    "created_at": f"2024-05-06T07:08:09.{number:06}+00:00",
                    "updated_at": "2024-05-07T00:00:00+00:00",
                },
                version=number * 7,
            )
            for number in range(1, 301)
        ]
        rows = [
            f"""INSERT INTO workflow_context VALUES (NULL, '{each.workflow_id}', {each.epic_num},
                {each.story_num or "NULL"}, '{each.feature}', '{each.workflow_name}', '{each.current_phase}',
                '{each.status}', '{each.to_json().replace("+00:00", "").replace("Z", "")}', {each.version},
                '{each.created_at.replace(tzinfo=None).isoformat()}', '{each.updated_at.replace(tzinfo=None).isoformat()}')"""
            for each in contexts
        ]
        run(tmp_path / "original.db", OLD_TABLE, *rows)
        contents = {context.workflow_id: [context] for context in contexts}
        return [OlderStore(name="original", url=f"{self.scheme}:///{tmp_path}/original.db", contents=contents)]

    def newer_url(self, tmp_path: Path) -> str:
        ContextPersistence(f"sqlite:///{tmp_path}/newer.db").close()
        run(tmp_path / "newer.db", "INSERT INTO context_core_schema VALUES (99, 'of later', '2099-01-01')")
        return f"{self.scheme}:///{tmp_path}/newer.db"

    def schema(self, url: str) -> object:
        with contextlib.closing(sqlite3.connect(path_of(url))) as connection:
            rows = connection.execute("SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'")
            return sorted(rows, key=repr)


def unpacked(rows: Iterable[tuple[str, int, int | None, bytes]]) -> Iterable[bytes]:
    """The documents of versions, in their order, without the driver: each leans on an earlier one of its workflow."""
    plain: dict[tuple[str, int], bytes] = {}
    for workflow_id, version, base, stored in rows:
        document = stored
        if base is not None:
            document = unpack(stored, None if base == version else plain[workflow_id, base])
        plain[workflow_id, version] = document
        yield document
