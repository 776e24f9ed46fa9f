"""The pytest plugin of the suite: failures name the promise that was broken."""

from collections.abc import Generator
from typing import Any

import pytest

from context_core_conformance import sealing, selection
from context_core_conformance.promises import PROMISES


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run be narrowed to some promises."""
    selection.add_option(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    sealing.register(config)
    config.addinivalue_line("markers", "promise(*ids): the promises of a context backend that this law checks")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Put the sentences of the promises beside a failure."""
    report = yield
    if report.failed:
        for marker in item.iter_markers("promise"):
            for promise_id in marker.args:
                report.sections.append((f"broken promise {promise_id}", PROMISES[promise_id].sentence))
    return report
