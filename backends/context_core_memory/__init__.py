"""The in-memory driver: the test double, held to the same promises as the drivers that keep."""

from context_core_memory._backend import MemoryBackend, drop

__all__ = ["MemoryBackend", "drop"]
