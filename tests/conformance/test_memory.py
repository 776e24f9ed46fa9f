"""The memory backend keeps the contract."""

import uuid
from collections.abc import Iterable
from pathlib import Path

import context_core_memory
from context_core_conformance import BackendContract
from context_core_memory import _backend


class TestMemory(BackendContract):
    def fresh_url(self, tmp_path: Path) -> str:
        del tmp_path
        return f"memory://{uuid.uuid4().hex}"

    def raw_storage(self, url: str) -> Iterable[bytes]:
        state = _backend._named[url.removeprefix("memory://")].state
        yield repr(state.histories).encode()
        yield repr(state.tombstones).encode()

    def dispose(self, url: str) -> None:
        context_core_memory.drop(url.removeprefix("memory://"))
