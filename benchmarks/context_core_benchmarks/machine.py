"""Describes the machine of a run, which a reader of the times needs to know."""

import os
import platform
import sqlite3
import statistics
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

import attrs

SLOW_SYNC_US: Final = 1_000
"""Five times what the code of a save takes."""

_SYNCS: Final = 200
_BLOCK: Final = bytes(8_192)


@attrs.frozen(kw_only=True)
class Machine:
    """The facts that determine times: versions, processors, and the time of a sync of the disk."""

    measured_on: str
    package: str
    python: str
    sqlite: str
    processors: int
    sync_us: float
    postgres: str | None = None
    """The version of the server, if there is one instead of SQLite."""

    @property
    def warning(self) -> str | None:
        """The warning if a sync takes so long that it hides the cost of the code; None otherwise."""
        if self.sync_us < SLOW_SYNC_US:
            return None
        return f"a sync takes {self.sync_us / 1_000:.1f} ms on this disk: the ratios of saves say little"

    def __str__(self) -> str:
        engine = f"SQLite {self.sqlite}" if self.postgres is None else f"PostgreSQL {self.postgres}"
        return (
            f"{self.measured_on}, context-core {self.package}, Python {self.python}, {engine}, "
            f"{self.processors} processors, a sync of 8 KB in {self.sync_us:,.0f} us"
        )


def this_machine(folder: Path, postgres: str | None = None) -> Machine:
    """Describe this machine and the disk of *folder*; *postgres* is the version of a server."""
    return Machine(
        measured_on=f"{datetime.now(UTC):%Y-%m-%d}",
        package=version("context-core"),
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
        processors=os.cpu_count() or 1,
        sync_us=_sync_us(folder / "sync"),
        postgres=postgres,
    )


def _sync_us(path: Path) -> float:
    times = []
    with path.open("wb", buffering=0) as file:
        file.write(_BLOCK * _SYNCS)
        os.fsync(file.fileno())
        for number in range(_SYNCS):
            os.pwrite(file.fileno(), _BLOCK, number * len(_BLOCK))
            started = time.perf_counter()
            os.fsync(file.fileno())
            times.append((time.perf_counter() - started) * 1e6)
    path.unlink()
    return statistics.median(times)
