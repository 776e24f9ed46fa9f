"""Child process of the streaming test: run as ``python streamer.py DATABASE``."""

import re
import sys
from pathlib import Path

from context_core import ContextPersistence


def stream(database: str) -> None:
    """Stream every context; print how many there were, and how far memory rose above that of the opened store."""
    with ContextPersistence(db_path=database) as store:
        assert store.load_context("w000000").version == 1
        before_kb = status_kb("VmRSS")
        count = sum(1 for _ in store.iter_contexts())
        print(count, (status_kb("VmHWM") - before_kb) * 1024)


def status_kb(name: str) -> int:
    """A line of this process's status; VmHWM is the highest VmRSS since it began."""
    found = re.search(rf"^{name}:\s*(\d+) kB$", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    assert found is not None
    return int(found[1])


if __name__ == "__main__":
    stream(sys.argv[1])
