"""What a fault is, and the list of them all."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final, TypeVar

import attrs
import pytest

from context_core import ContextBackend
from context_core_conformance import PROMISES

D = TypeVar("D", bound=type[ContextBackend])


@attrs.frozen(kw_only=True)
class Fault:
    """One thing that is wrong with an otherwise good driver.

    Attributes:
        promises: Those by which the suite may fittingly catch it.
        driver: The driver that has it.
        infection: What makes the core itself faulty while it is entered; nothing, for most.
    """

    name: str
    sentence: str
    promises: frozenset[str]
    driver: type[ContextBackend]
    infection: Callable[[], AbstractContextManager[object]]


FAULTS: Final[dict[str, Fault]] = {}
"""By name, in the order of the modules."""


def breaks(*promises: str) -> Callable[[D], D]:
    """Enter a driver into the list, as one that breaks one of *promises* or all."""

    def enter(driver: D) -> D:
        _enter(driver.__name__, driver, promises, no_infection)
        return driver

    return enter


def infects(driver: type[ContextBackend], *promises: str) -> Callable[[Callable[[pytest.MonkeyPatch], None]], None]:
    """Enter a good *driver* on a core that the decorated function makes faulty."""

    def enter(infect: Callable[[pytest.MonkeyPatch], None]) -> None:
        @contextmanager
        def infection() -> Iterator[None]:
            with pytest.MonkeyPatch.context() as patch:
                infect(patch)
                yield

        name = "".join(word.capitalize() for word in infect.__name__.split("_"))
        host = type(name, (driver,), {"__doc__": infect.__doc__, "__module__": infect.__module__})
        setattr(sys.modules[infect.__module__], name, host)  # for its entry point
        _enter(name, host, promises, infection)

    return enter


@contextmanager
def no_infection() -> Iterator[None]:
    """Leave the core as it is."""
    yield


def _enter(
    name: str,
    driver: type[ContextBackend],
    promises: tuple[str, ...],
    infection: Callable[[], AbstractContextManager[object]],
) -> None:
    driver.scheme = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    assert name not in FAULTS, name
    assert promises, name
    assert set(promises) <= PROMISES.keys(), name
    sentence = driver.__dict__["__doc__"]
    assert sentence, name
    FAULTS[name] = Fault(name=name, sentence=sentence, promises=frozenset(promises), driver=driver, infection=infection)
