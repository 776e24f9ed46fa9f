"""`pytest --promise VE05,CA06`: only the laws about these promises, the others not even collected."""

import attrs
import pytest

from context_core_conformance.contract import promises_of
from context_core_conformance.promises import PROMISES


def add_option(parser: pytest.Parser) -> None:
    """Add the option to pytest's command line."""
    group = parser.getgroup("context-core conformance")
    group.addoption("--promise", metavar="IDS", default="", help="run only the laws about these promises: VE05,CA06")


def asked(config: pytest.Config) -> frozenset[str]:
    """The promises that the command line names; empty for all.

    Raises:
        pytest.UsageError: One of them does not exist.
    """
    named = frozenset(filter(None, config.getoption("promise").split(",")))
    unknown = sorted(named - PROMISES.keys())
    if unknown:
        raise pytest.UsageError(f"there is no promise {', '.join(unknown)}; known are {', '.join(PROMISES)}")
    return named


@attrs.frozen
class Selection:
    """The plugin, for a run that names promises."""

    promises: frozenset[str]

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makeitem(self, collector: object, name: str, obj: object) -> list[pytest.Item] | None:
        """Leave out laws about other promises before they are made into hundreds of items."""
        del collector
        laws_promises = promises_of(obj) if name.startswith("test_") else frozenset()
        return [] if laws_promises and not laws_promises & self.promises else None
