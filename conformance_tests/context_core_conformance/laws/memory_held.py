"""Laws of what a store holds in memory."""

import gc
import tracemalloc
from typing import Final

from context_core import Capability
from context_core_conformance.promises import promise
from context_core_conformance.samples import a_context
from context_core_conformance.subject import Subject

WORKFLOWS: Final = 20_000
BATCH: Final = 500
HELD_BYTES: Final = 24 * 2**20
"""A cache of 16 MiB, and half as much for what is around it."""


class MemoryLaws:
    @promise("CO13")
    def test_many_tiny_contexts_leave_little_in_memory(self, subject: Subject) -> None:
        """A writer of twenty thousand workflows holds no more at the end than a cache may."""
        subject.requires(Capability.DURABLE)
        store = subject.open()
        store.save_contexts(a_context(f"first-{number}") for number in range(BATCH))
        gc.collect()
        tracemalloc.start()
        try:
            for first in range(0, WORKFLOWS, BATCH):
                store.save_contexts(a_context(f"w{first + number}") for number in range(BATCH))
            gc.collect()
            held_bytes, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert store.count_contexts() == BATCH + WORKFLOWS
        assert held_bytes < HELD_BYTES
