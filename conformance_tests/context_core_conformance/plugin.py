"""The pytest plugin of the suite: it takes the address of a backend, and failures name the promise that was broken."""

import argparse
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import Phase, settings

from context_core import ConfigurationError
from context_core_conformance import sealing, selection, test_backend
from context_core_conformance.promises import PROMISES
from context_core_conformance.redaction import Redactor
from context_core_conformance.report.events import EventWriter
from context_core_conformance.report.marks import promises_of
from context_core_conformance.report.recording import Recorder
from context_core_conformance.url_template import PLACEHOLDERS, UrlTemplate

OPTION: Final = "--context-backend"
EVENTS_OPTION: Final = "--context-events"
_REDACTOR: Final = pytest.StashKey[Redactor]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names the backend."""
    group = parser.getgroup("context-core", "conformance of a context backend")
    placeholders = "; ".join(f"{{{name}}} is {meaning}" for name, meaning in PLACEHOLDERS.items())
    group.addoption(
        OPTION,
        metavar="URL",
        help=f"with --pyargs context_core_conformance: check the backend whose stores have such URLs. {placeholders}. "
        "Write at least one of them: every law writes and deletes in a store of its own",
    )
    selection.add_option(group)
    # For `context-core conformance`, which reads what it says from a pipe.
    group.addoption(EVENTS_OPTION, metavar="FD", type=int, help=argparse.SUPPRESS)


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known, and check the address before anything runs."""
    sealing.register(config)
    config.addinivalue_line("markers", "promise(*ids): the promises of a context backend that this law checks")
    config.addinivalue_line("markers", "refuses(*capabilities): this law checks the refusal of what is not declared")
    url = config.getoption(OPTION)
    config.stash[_REDACTOR] = Redactor.of(url or "")
    if url is not None:
        try:
            test_backend.TestBackend.template = UrlTemplate.parse(url)
        except ConfigurationError as error:
            raise pytest.UsageError(f"{OPTION}: {error}") from error
    events = config.getoption(EVENTS_OPTION)
    if events is not None:
        # To explain a failing sequence of steps took hypothesis five minutes, to find and shorten it ten seconds.
        settings.register_profile("report", phases=[phase for phase in Phase if phase is not Phase.explain])
        settings.load_profile("report")
        os.set_inheritable(events, False)  # noqa: FBT003  # what the laws start must not keep it open
        stream = open(events, "w", encoding="utf-8")  # noqa: PTH123, SIM115  # a descriptor, open until the process ends
        config.pluginmanager.register(Recorder(EventWriter(stream), config.stash[_REDACTOR]))


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> None:
    """Refuse to collect the contract of a backend that nobody named."""
    if file_path == Path(test_backend.__file__) and parent.config.getoption(OPTION) is None:
        raise pytest.UsageError(f"say which backend: {OPTION}=URL, sqlite:///{{tmp_path}}/store.db for one")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Put the promises of a law among its properties, where the JUnit report shows them."""
    item.user_properties += [("promise", promise_id) for promise_id in promises_of(item)]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Put the sentences of the promises beside a failure, and take the password out of it."""
    report = yield
    if report.failed:
        for promise_id in promises_of(item):
            report.sections.append((f"broken promise {promise_id}", PROMISES[promise_id].sentence))
        redact = item.config.stash[_REDACTOR]
        shown = str(report.longrepr)
        if redact(shown) != shown:
            report.longrepr = redact(shown)
        report.sections = [(name, redact(text)) for name, text in report.sections]
    return report
