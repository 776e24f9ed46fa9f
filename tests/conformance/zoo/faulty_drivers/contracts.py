"""A test class for each fault: `pytest …/contracts.py::TestNumbersStartAgain` shows how the suite reports it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from builtin_access import MemoryAccess, SqliteAccess

from context_core_conformance import BackendContract, SilentPeer
from context_core_memory import MemoryBackend
from faulty_drivers import FAULTS, Fault
from faulty_drivers.in_calls import Remote, answering


class RemoteAccess(MemoryAccess):
    """Of drivers whose peer can fall silent."""

    @contextmanager
    def silent_peer(self, url: str, limit_s: float) -> Iterator[SilentPeer]:
        yield SilentPeer(url=f"{url}?call_timeout={limit_s}", silenced=_silenced)


@contextmanager
def _silenced() -> Iterator[None]:
    answering.clear()
    try:
        yield
    finally:
        answering.set()


def _contract(fault: Fault) -> type[BackendContract]:
    memory = RemoteAccess if issubclass(fault.driver, Remote) else MemoryAccess
    access = memory if issubclass(fault.driver, MemoryBackend) else SqliteAccess
    own: dict[str, object] = {"scheme": fault.driver.scheme, "__module__": __name__}
    if hasattr(fault.driver, "small_url"):
        own["small_url"] = fault.driver.small_url
    return type(f"Test{fault.name}", (access, BackendContract), own)


CONTRACTS: Final = {fault.name: _contract(fault) for fault in FAULTS.values()}
globals().update({contract.__name__: contract for contract in CONTRACTS.values()})
