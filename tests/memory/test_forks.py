"""Forks beside threads that use a store of one process: no child waits for a lock that nobody holds there."""

import os

import pytest

from context_core_conformance.racing import in_processes
from context_core_conformance.workers.fork_workers import fork_in_two_threads

FORKS = 8

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")


@pytest.mark.parametrize("url", ["memory://", "memory://forked"])
def test_forking_threads_hang_nobody(url):
    """Two threads fork at once, beside others that write and read; all end, and every child can use its copy."""
    ((written, codes),) = in_processes(1, fork_in_two_threads, url, FORKS)
    assert codes == [0] * 2 * FORKS
    assert all(written)
