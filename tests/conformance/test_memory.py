"""The memory backend keeps the contract."""

from builtin_doors import MemoryDoors

from context_core_conformance import BackendContract


class TestMemory(MemoryDoors, BackendContract):
    pass
