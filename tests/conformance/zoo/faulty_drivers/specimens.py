"""A test class for each fault: `pytest …/specimens.py::TestNumbersStartAgain` shows how the suite reports it."""

from typing import Final

from builtin_doors import MemoryDoors, SqliteDoors

from context_core_conformance import BackendContract
from context_core_memory import MemoryBackend
from faulty_drivers import FAULTS, Fault


def _specimen(fault: Fault) -> type[BackendContract]:
    doors = MemoryDoors if issubclass(fault.driver, MemoryBackend) else SqliteDoors
    return type(f"Test{fault.name}", (doors, BackendContract), {"scheme": fault.driver.scheme, "__module__": __name__})


SPECIMENS: Final = {fault.name: _specimen(fault) for fault in FAULTS.values()}
globals().update({specimen.__name__: specimen for specimen in SPECIMENS.values()})
