"""A stream of many contexts holds one page of them in memory (PA06)."""

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from context_core import ContextPersistence
from context_core_conformance.samples import a_context

COUNT = 100_000
BATCH = 5_000
LIMIT_BYTES = 100 * 10**6
STATUS = Path("/proc/self/status")


@pytest.fixture
def database(tmp_path):
    """A database of very many small workflows, some of them of one creation time."""
    path = tmp_path / "many.db"
    contexts = (a_context(f"w{number:06}", metadata={"number": number}) for number in range(COUNT))
    with ContextPersistence(f"sqlite:///{path}?synchronous=normal") as store:
        for _ in range(COUNT // BATCH):
            store.save_contexts(itertools.islice(contexts, BATCH))
    return path


@pytest.mark.timeout(180)
@pytest.mark.skipif(not STATUS.is_file(), reason=f"there is no {STATUS}, which tells a process's highest memory")
def test_a_stream_of_very_many_contexts_holds_little_memory(database):
    """In a process of its own, whose memory nobody else has touched."""
    streamer = Path(__file__).with_name("streamer.py")
    child = subprocess.run(
        [sys.executable, streamer, database], check=False, capture_output=True, text=True, timeout=120
    )
    assert child.returncode == 0, child.stderr
    count, rise_bytes = map(int, child.stdout.split())
    assert count == COUNT
    assert rise_bytes < LIMIT_BYTES
