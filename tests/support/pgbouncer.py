"""PgBouncer in front of a server of the tests: a Debian package, with whose absence the tests that need it are skipped."""

import os
import shutil
import signal
import subprocess
from typing import Final, Self
from urllib.parse import quote

import pytest
from postgres_server import OTHER_USER, Server, other_folder, store_url

PORT: Final = 6432


def program() -> str:
    """The program; skips where it is not installed, and fails on a build machine, whose `.ci/run` installs it."""
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        missing = "no PgBouncer: install the package pgbouncer of the system"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return found


class PgBouncer:
    """One pooler in transaction mode, which lets everybody in. `with PgBouncer(server) as pooler:` ends it."""

    def __init__(self, server: Server, **settings: str) -> None:
        self.folder = other_folder()
        chosen = {
            "unix_socket_dir": str(self.folder),
            "listen_port": str(PORT),
            "auth_type": "any",
            "pool_mode": "transaction",
            "logfile": str(self.folder / "log"),
            "server_login_retry": "0.2",
            "query_wait_timeout": "5",
        } | settings
        (self.folder / "ini").write_text(
            f"[databases]\n* = host={server.folder} port=5432 user=postgres\n[pgbouncer]\n"
            + "".join(f"{name} = {value}\n" for name, value in chosen.items())
        )
        arguments = [program(), "-q", str(self.folder / "ini")]
        if os.geteuid() == 0:
            arguments[1:1] = ["-u", OTHER_USER]
        self._process = subprocess.Popen(arguments, stderr=subprocess.DEVNULL)
        socket = self.folder / f".s.PGSQL.{PORT}"
        while not socket.exists():
            assert self._process.poll() is None, (self.folder / "log").read_text()

    def url(self, schema: str, **options: str) -> str:
        """The URL of a store behind the pooler, with the options that it asks for."""
        chosen = {"prepare_threshold": "none", "busy_timeout": "none"} | options
        return store_url(
            f"postgresql://postgres@/postgres?host={quote(str(self.folder), safe='')}&port={PORT}", schema, **chosen
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
