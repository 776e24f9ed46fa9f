"""The integrity of the laws: a run reports every law that was changed, left out or excused.

- A class that redefines or hides a law is refused when Python creates the class. A law that is replaced or marked later
  fails an extra test item of its class, `the_laws_are_whole`. So does a law that anything but the command line removes.
- Only the suite skips a law, because a capability or a storage access hook is missing. Any other skip fails.
- A declared deviation is reported as a deviation, and its promise counts as not held. If every law that the deviation
  excuses passes, the run fails.
- A run that the command line narrowed says at its end how many laws it left out.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Self

import attrs
import pytest

from context_core_conformance import options
from context_core_conformance.contract import LAWS, BackendContract, deviation_of

INTEGRITY_ITEM: Final = "the_laws_are_whole"
_SUITE: Final = Path(__file__).parent
_EXCUSES: Final = frozenset({"skip", "skipif", "xfail"})
_NARROWING: Final = ("keyword", "markexpr", "deselect", "lf", "context_promise", "maxfail")


@attrs.define(eq=False)  # pluggy keeps plugins in sets
class IntegrityCheck:
    """The pytest plugin; each run has one."""

    config: pytest.Config
    left_out: dict[str, list[str]] = attrs.Factory(dict)
    """By class, the laws that the command line left out."""
    excused: dict[tuple[str, str, str], list[bool]] = attrs.Factory(dict)
    """By class, name and reason of a deviation: whether each law that it excuses passed."""

    @classmethod
    def registered(cls, config: pytest.Config) -> Self:
        """Add the plugin to a run."""
        check = cls(config)
        config.pluginmanager.register(check, "context_core_integrity")
        return check

    @property
    def is_narrowed(self) -> bool:
        """Whether the command line asked for less than everything."""
        options = (self.config.getoption(name, None) for name in _NARROWING)
        return any(options) or any("::test_" in argument for argument in self.config.args)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, None, None]:
        """Compare the laws before and after all other plugins changed the list of items."""
        collectors = {law.cls: law.parent for law in _laws(items)}
        yield
        for cls, collector in collectors.items():
            remaining = [law for law in _laws(items) if law.cls is cls]
            faults = list(_changes(remaining))
            missing = sorted(LAWS.keys() - {_name(law) for law in remaining})
            if missing and self.is_narrowed:
                self.left_out[collector.nodeid] = missing
            elif missing:
                faults.append(f"left out: {', '.join(missing)}")
            if faults:
                items.append(_IntegrityFailure.of(collector, faults))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
        """Turn a skip from outside the suite into a failure, and a declared failure into a deviation."""
        report: pytest.TestReport = yield
        if not isinstance(item, pytest.Function) or not _is_law(item):
            return report
        if hasattr(report, "wasxfail") or (report.skipped and not _is_skipped_by_suite(call)):
            report.outcome = "failed"
            report.longrepr = f"{_name(item)} was skipped or excused from outside the suite: {report.longrepr}"
        deviation = deviation_of(item.cls, _name(item))
        if deviation is not None and not report.skipped and (report.failed or report.when == "call"):
            report.user_properties.append(
                (options.DEVIATION, [item.nodeid.rpartition("::")[0], *deviation, report.passed])
            )
            if report.failed:
                report.outcome = "skipped"
                report.wasxfail = f"declared deviation: {deviation[1]}"
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the outcomes of laws that a deviation excuses. The reports of worker processes arrive here too."""
        for name, value in report.user_properties:
            if name == options.DEVIATION and isinstance(value, list):
                where, what, reason, passed = value
                self.excused.setdefault((where, what, reason), []).append(passed)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a run in which every law that a deviation excuses passed."""
        if self.unneeded and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @property
    def unneeded(self) -> list[tuple[str, str, str]]:
        """Deviations whose laws all passed. A narrowed run returns none, because it did not run every law."""
        return [] if self.is_narrowed else [each for each, passed in self.excused.items() if all(passed)]

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """List the laws that the run did not show to hold."""
        lines = [
            f"INCOMPLETE {where}: {len(laws)} of {len(LAWS)} laws were left out; this run shows nothing about them"
            for where, laws in self.left_out.items()
        ]
        for (where, what, reason), passed in self.excused.items():
            is_over = (where, what, reason) in self.unneeded
            word = "DEVIATES NO MORE, remove it" if is_over else "DEVIATES"
            lines.append(f"{word} {where}: {what}: {reason} ({passed.count(False)} of {len(passed)} fail)")
        if lines:
            terminalreporter.section("laws that were not shown to hold")
            for line in lines:
                terminalreporter.line(line)


class _IntegrityFailure(pytest.Item):
    """A test item that fails and lists the changes to the laws of its class."""

    faults: Sequence[str] = ()

    @classmethod
    def of(cls, collector: pytest.Collector, faults: Sequence[str]) -> "_IntegrityFailure":
        """The item of a class. Its parent is the session, so that marks on the class or its module do not apply."""
        nodeid = f"{collector.nodeid}::{INTEGRITY_ITEM}"
        item: _IntegrityFailure = cls.from_parent(collector.session, name=INTEGRITY_ITEM, nodeid=nodeid)
        item.path, item.faults = collector.path, faults
        return item

    def runtest(self) -> None:
        pytest.fail(f"the laws of the contract are locked: {'; '.join(self.faults)}", pytrace=False)

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, INTEGRITY_ITEM


def _is_law(item: object) -> bool:
    return isinstance(item, pytest.Function) and item.cls is not None and issubclass(item.cls, BackendContract)


def _laws(items: Iterable[pytest.Item]) -> Iterator[Any]:
    return (item for item in items if _is_law(item) and _name(item) in LAWS)


def _name(law: Any) -> str:
    return str(law.originalname)


def _changes(laws: list[Any]) -> Iterator[str]:
    """The changes to laws that are still in the run."""
    replaced = sorted({_name(law) for law in laws if law.function is not LAWS[_name(law)]})
    if replaced:
        yield f"replaced: {', '.join(replaced)}"
    marked = sorted({_name(law) for law in laws if any(mark.name in _EXCUSES for mark in law.iter_markers())})
    if marked:
        yield f"marked to be skipped or to fail: {', '.join(marked)}"


def _is_skipped_by_suite(call: pytest.CallInfo[Any]) -> bool:
    """Whether the suite itself skipped the law, and not a test class or a conftest."""
    if call.excinfo is None:
        return False
    frames = [Path(entry.path) for entry in call.excinfo.traceback]
    own = [path for path in frames if "_pytest" not in path.parts]
    return bool(own) and own[-1].is_relative_to(_SUITE)
