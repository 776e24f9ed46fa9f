"""A process that hangs; in a module of its own, which a new process can import."""

import threading
from typing import Any

from context_core_conformance.faults import deadlocks


def wait_for_ever(start: Any, number: int) -> None:
    """Begin with the others, and never end."""
    del number
    deadlocks.STILL_S = 0.4
    start.wait()
    threading.Event().wait()
