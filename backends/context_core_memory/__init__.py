"""The in-memory driver: the test double, held to the same promises as the drivers that keep.

PYTEST_DONT_REWRITE: pytest would warn where this package was imported before it (ER09).
"""

from context_core_memory._backend import MemoryBackend, drop

__all__ = ["MemoryBackend", "drop"]
