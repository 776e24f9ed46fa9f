"""Measures the time to import the package, and the memory that a long stream needs.

Each figure comes from a new interpreter, because earlier imports and allocations would change it.
"""

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import orjson

from context_core_benchmarks.contexts import alike
from context_core_benchmarks.harness import Line
from context_core_benchmarks.sides import open_sides

STREAMED: Final = 100_000
_DEPENDENCIES: Final = "attrs, cattrs.preconf.orjson, pluggy"
_TIMED_IMPORT: Final = """
import time
started = time.perf_counter()
import {names}
print(time.perf_counter() - started)"""
_NO_DRIVER: Final = """
import sys
before = set(sys.modules)
import context_core
print([name for name in sys.modules.keys() - before if name.startswith("context_core_") or name == "sqlite3"])"""

_STREAM: Final = """
import sys
from pathlib import Path
from context_core_benchmarks.footprint import stream_memory
print(*stream_memory(Path(sys.argv[1]), sys.argv[2]))"""


def lines(folder: Path, interpreters: int, streamed: int = STREAMED) -> Iterator[Line]:
    """Measure the import in so many new *interpreters*, and the stream of so many contexts."""
    yield _imports(interpreters)
    yield _stream(folder, streamed)


def _imports(interpreters: int) -> Line:
    """Compare the time of the import with that of importing its dependencies; all bytecode is compiled before."""
    names = {"floor": _DEPENDENCIES, "ours": "context_core"}
    times_us: dict[str, list[float]] = {"floor": [], "ours": []}
    for number in range(interpreters + 1):
        for side in sorted(names, reverse=number % 2 == 0):
            seconds = float(_python(_TIMED_IMPORT.format(names=names[side])))
            if number:
                times_us[side].append(seconds * 1e6)
    drivers = orjson.loads(_python(_NO_DRIVER).replace("'", '"'))
    return Line(
        name="importing context_core",
        floor=statistics.median(times_us["floor"]),
        ours=statistics.median(times_us["ours"]),
        ratios=tuple(ours / floor for floor, ours in zip(times_us["floor"], times_us["ours"], strict=True)),
        failed=len(drivers),
        note=f"it imported {', '.join(drivers)}" if drivers else "no driver among what it imports",
    )


def _stream(folder: Path, streamed: int) -> Line:
    with open_sides(folder) as sides:
        for start in range(0, streamed, 1_000):
            end = min(start + 1_000, streamed)
            sides.save_both([alike(number, 1_024) for number in range(start, end)])
    grown_mb = {}
    for side in ("floor", "ours"):
        count, grown = _python(_STREAM, str(folder), side).split()
        if int(count) != streamed:
            raise ValueError(f"the stream of {side} returned {count} contexts of {streamed}")
        grown_mb[side] = float(grown)
    name = f"memory of a stream of {streamed:,}"
    return Line(name=name, unit="MB", floor=grown_mb["floor"], ours=grown_mb["ours"], is_absolute=True)


def stream_memory(folder: Path, side: str) -> tuple[int, float]:
    """Stream every context; return their number, and the growth of the peak memory of this process in MB."""
    with open_sides(folder) as sides:
        before = _resident_kb("VmRSS")
        stream = sides.floor.stream(100) if side == "floor" else sides.store.iter_contexts(page_size=100)
        count = sum(1 for _ in stream)
        return count, max(_resident_kb("VmHWM") - before, 0) / 1_024


def _resident_kb(field: str) -> int:
    """Read the peak memory from Linux; unlike the peak of getrusage, it does not start at the peak of the parent."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(f"{field}:"))


def _python(code: str, *arguments: str) -> str:
    """Run code in a new interpreter that can import this package, and return its output."""
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
