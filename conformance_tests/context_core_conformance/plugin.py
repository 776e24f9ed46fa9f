"""The pytest plugin that every pytest run loads where context-core is installed (ER09).

It names the options and markers of the suite, and imports nothing of it: no hypothesis, no context_core. The suite
takes part in a run once the run asks for it: by one of the options, or by a test class that is a `BackendContract`.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import pytest

from context_core_conformance import options

if TYPE_CHECKING:
    from context_core_conformance.suite_plugin import Suite

_SUITE: Final = "context_core_suite"
_CONTRACT: Final = "context_core_conformance.contract"
_BY_URL: Final = Path(__file__).with_name("test_backend.py")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names the backend."""
    group = parser.getgroup("context-core", "conformance of a context backend")
    placeholders = "; ".join(f"{{{name}}} is {meaning}" for name, meaning in options.PLACEHOLDERS.items())
    group.addoption(
        options.BACKEND,
        metavar="URL",
        help=f"with --pyargs context_core_conformance: check the backend whose stores have such URLs. {placeholders}. "
        "Write at least one of them: every law writes and deletes in a store of its own",
    )
    group.addoption(
        options.PROMISE,
        metavar="ID",
        action="append",
        default=[],
        help="run only the laws of this promise, VE01 for one; may be repeated",
    )
    group.addoption(options.PREFIX, metavar="NAME", help=argparse.SUPPRESS)
    group.addoption(options.EVENTS, metavar="FD", type=int, help=argparse.SUPPRESS)


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known; with an option of ours, check it before anything runs."""
    config.addinivalue_line("markers", "promise(*ids): the promises of a context backend that this law checks")
    config.addinivalue_line("markers", "refuses(*capabilities): this law checks the refusal of what is not declared")
    asked = (config.getoption(options.BACKEND), config.getoption(options.PROMISE), config.getoption(options.EVENTS))
    if asked != (None, [], None):
        _suite(config)
    config.pluginmanager.register(_Watch(config), "context_core_watch")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> None:
    """Refuse to collect the contract if no backend is named."""
    if file_path == _BY_URL and parent.config.getoption(options.BACKEND) is None:
        raise pytest.UsageError(f"say which backend: {options.BACKEND}=URL, sqlite:///{{tmp_path}}/store.db for one")


class _Watch:
    """Notices that a run holds laws: in this process, or in another one whose reports come by here."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_collectstart(self, collector: pytest.Collector) -> None:
        """Bring the suite in before the first law is collected."""
        contract = sys.modules.get(_CONTRACT)
        if contract is not None and isinstance(collector, pytest.Class):
            tests = collector.obj
            if isinstance(tests, type) and issubclass(tests, contract.BackendContract):
                _suite(self._config)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Bring the suite in where only the reports tell of laws, as in the process that leads those of pytest-xdist."""
        if any(name == options.DEVIATION for name, _ in report.user_properties) and not _has_suite(self._config):
            _suite(self._config).integrity.pytest_runtest_logreport(report)


def _has_suite(config: pytest.Config) -> bool:
    return config.pluginmanager.has_plugin(_SUITE)


def _suite(config: pytest.Config) -> "Suite":
    """The suite, which takes part in this run from here on.

    Raises:
        pytest.UsageError: It cannot be imported, as what it needs is not installed; or an option of it is wrong.
    """
    if not _has_suite(config):
        try:
            from context_core_conformance.suite_plugin import Suite  # noqa: PLC0415  # 0.7 s, and needs hypothesis
        except ModuleNotFoundError as error:
            raise pytest.UsageError(
                f'the conformance suite needs {error.name}: python -m pip install "context-core[conformance]"'
            ) from error
        config.pluginmanager.register(Suite.joining(config), _SUITE)
    return cast("Suite", config.pluginmanager.get_plugin(_SUITE))
