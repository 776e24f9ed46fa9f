"""A test class for each fault: `pytest …/specimens.py::TestNumbersStartAgain` shows how the suite reports it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from builtin_doors import MemoryDoors, SqliteDoors

from context_core_conformance import BackendContract, SilentPeer
from context_core_memory import MemoryBackend
from faulty_drivers import FAULTS, Fault
from faulty_drivers.in_calls import Remote, answering


class RemoteDoors(MemoryDoors):
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


def _specimen(fault: Fault) -> type[BackendContract]:
    memory = RemoteDoors if issubclass(fault.driver, Remote) else MemoryDoors
    doors = memory if issubclass(fault.driver, MemoryBackend) else SqliteDoors
    own: dict[str, object] = {"scheme": fault.driver.scheme, "__module__": __name__}
    if hasattr(fault.driver, "small_url"):
        own["small_url"] = fault.driver.small_url
    return type(f"Test{fault.name}", (doors, BackendContract), own)


SPECIMENS: Final = {fault.name: _specimen(fault) for fault in FAULTS.values()}
globals().update({specimen.__name__: specimen for specimen in SPECIMENS.values()})
