"""The seal on the laws: whatever was changed, left out or excused is told, and no run claims more than it showed.

- A law that is redefined or hidden is refused when the class is made; one that is replaced later, that got a mark, or
  that was taken out of the run by anything but the command line, makes the class's *seal* fail, an item of its own.
- A law skips only by the suite's own word: a capability or a side door that is not there. Any other skip fails.
- A declared deviation is reported as one and counts as not held; when all that it excuses passes, the run fails.
- A run that was narrowed on the command line says so at its end, and how many laws it left out.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
import pytest

from context_core_conformance import options
from context_core_conformance.contract import LAWS, BackendContract, deviation_of

SEAL: Final = "the_laws_are_whole"
_SUITE: Final = Path(__file__).parent
_EXCUSES: Final = frozenset({"skip", "skipif", "xfail"})
_NARROWING: Final = ("keyword", "markexpr", "deselect", "lf", "context_promise", "maxfail")


@attrs.define(eq=False)  # pluggy keeps plugins in sets
class Sealing:
    """The plugin: one a run."""

    config: pytest.Config
    left_out: dict[str, list[str]] = attrs.Factory(dict)
    """By class, the laws that the command line left out."""
    excused: dict[tuple[str, str, str], list[bool]] = attrs.Factory(dict)
    """By class, name and reason of a deviation: whether each law that it excuses passed."""

    @property
    def is_narrowed(self) -> bool:
        """Whether the command line asked for less than everything."""
        options = (self.config.getoption(name, None) for name in _NARROWING)
        return any(options) or any("::test_" in argument for argument in self.config.args)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, None, None]:
        """Compare what is left with what there was, after everybody else had a word."""
        collectors = {law.cls: law.parent for law in _laws(items)}
        yield
        for cls, collector in collectors.items():
            remaining = [law for law in _laws(items) if law.cls is cls]
            faults = list(_tampering(remaining))
            missing = sorted(LAWS.keys() - {_name(law) for law in remaining})
            if missing and self.is_narrowed:
                self.left_out[collector.nodeid] = missing
            elif missing:
                faults.append(f"left out: {', '.join(missing)}")
            if faults:
                items.append(_Seal.of(collector, faults))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
        """Judge skips, and file failures that were declared."""
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
        """Remember what deviations excused; the reports of other processes come by here too."""
        for name, value in report.user_properties:
            if name == options.DEVIATION and isinstance(value, list):
                where, what, reason, passed = value
                self.excused.setdefault((where, what, reason), []).append(passed)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a run in which a deviation has nothing left to excuse."""
        if self.outlived and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @property
    def outlived(self) -> list[tuple[str, str, str]]:
        """Deviations of which everything passes. A narrowed run does not know."""
        return [] if self.is_narrowed else [each for each, passed in self.excused.items() if all(passed)]

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say what the run did not show."""
        lines = [
            f"INCOMPLETE {where}: {len(laws)} of {len(LAWS)} laws were left out; this run shows nothing about them"
            for where, laws in self.left_out.items()
        ]
        for (where, what, reason), passed in self.excused.items():
            is_over = (where, what, reason) in self.outlived
            word = "DEVIATES NO MORE, remove it" if is_over else "DEVIATES"
            lines.append(f"{word} {where}: {what}: {reason} ({passed.count(False)} of {len(passed)} fail)")
        if lines:
            terminalreporter.section("laws that were not shown to hold")
            for line in lines:
                terminalreporter.line(line)


class _Seal(pytest.Item):
    """Fails, and tells what was done to the laws of its class."""

    faults: Sequence[str] = ()

    @classmethod
    def of(cls, collector: pytest.Collector, faults: Sequence[str]) -> "_Seal":
        """The seal of a class. It stands below the session: marks on the class or its module do not reach it."""
        seal: _Seal = cls.from_parent(collector.session, name=SEAL, nodeid=f"{collector.nodeid}::{SEAL}")
        seal.path, seal.faults = collector.path, faults
        return seal

    def runtest(self) -> None:
        pytest.fail(f"the laws of the contract are sealed: {'; '.join(self.faults)}", pytrace=False)

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, SEAL


def _is_law(item: object) -> bool:
    return isinstance(item, pytest.Function) and item.cls is not None and issubclass(item.cls, BackendContract)


def _laws(items: Iterable[pytest.Item]) -> Iterator[Any]:
    return (item for item in items if _is_law(item) and _name(item) in LAWS)


def _name(law: Any) -> str:
    return str(law.originalname)


def _tampering(laws: list[Any]) -> Iterator[str]:
    """What was done to laws that are still there."""
    replaced = sorted({_name(law) for law in laws if law.function is not LAWS[_name(law)]})
    if replaced:
        yield f"replaced: {', '.join(replaced)}"
    marked = sorted({_name(law) for law in laws if any(mark.name in _EXCUSES for mark in law.iter_markers())})
    if marked:
        yield f"marked to be skipped or to fail: {', '.join(marked)}"


def _is_skipped_by_suite(call: pytest.CallInfo[Any]) -> bool:
    """Whether the call that skips stands in the suite, and not in what a test class or a conftest brought."""
    if call.excinfo is None:
        return False
    frames = [Path(entry.path) for entry in call.excinfo.traceback]
    own = [path for path in frames if "_pytest" not in path.parts]
    return bool(own) and own[-1].is_relative_to(_SUITE)


def register(config: pytest.Config) -> Sealing:
    """Take part in a run."""
    sealing = Sealing(config)
    config.pluginmanager.register(sealing, "context_core_sealing")
    return sealing
