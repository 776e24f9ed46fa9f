"""The memory backend keeps the contract."""

from builtin_access import MemoryAccess

from context_core_conformance import BackendContract


class TestMemory(MemoryAccess, BackendContract):
    pass
