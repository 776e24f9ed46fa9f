"""The pytest plugin of a run that is reported: it looks before the laws run, and tells of each what became of it."""

import inspect
import textwrap
import traceback
from collections import defaultdict
from collections.abc import Generator
from typing import Any, Final

import attrs
import pytest

from context_core_conformance.contract import BackendContract
from context_core_conformance.report.causes import cause_of, crash_in, values_of
from context_core_conformance.report.events import EventWriter
from context_core_conformance.report.marks import promises_of, refusals_of
from context_core_conformance.report.preflight import PreflightError, examine
from context_core_conformance.report.redaction import Redactor, printable
from context_core_conformance.report.results import Case, CaseOutcome, Failure
from context_core_conformance.skipping import Skip

MOST_LINES: Final = 30
MOST_CHARACTERS: Final = 3_000


class Recorder:
    """Writes an event for whatever happens; texts are fit to be shown."""

    def __init__(self, events: EventWriter, redact: Redactor) -> None:
        self._events = events
        self._redact = redact
        self._problems: list[str] = []
        self._phases: dict[str, list[tuple[pytest.TestReport, Case]]] = defaultdict(list)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep why a module could not be imported."""
        if report.failed:
            lines = str(report.longrepr).strip().splitlines()
            told = [line.removeprefix("E").strip() for line in lines if line.startswith("E ")]
            self._problems.append("\n".join(told or lines[-3:]))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Tell what is going to run."""
        self._events.plan([self._case(item) for item in session.items])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Look at the backend first; where it cannot be opened, no law runs."""
        try:
            self._events.driver(examine(self._contract(session)))
        except PreflightError as error:
            self._events.failed(self._shown(str(error)))
            return True
        return None

    def _contract(self, session: pytest.Session) -> BackendContract:
        contracts = {item.cls for item in session.items if isinstance(item, pytest.Function)}
        if len(contracts) != 1:
            raise PreflightError(f"{len(contracts)} test classes were found, and a run is about one")
        contract: type[Any] | None = contracts.pop()
        if contract is None or not issubclass(contract, BackendContract):
            raise PreflightError(f"{getattr(contract, '__name__', 'this')} is no subclass of BackendContract")
        return contract()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Tell what runs now: should the process die, that is the one."""
        self._events.start(_name(nodeid))

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # around all others: what they make of a report counts
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
        """Look at what was raised, while it is there."""
        report = yield
        self._phases[item.nodeid].append((report, self._after(item, call, report)))
        return report

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Tell what became of a case: its first phase that says more than "passed" decides."""
        phases = self._phases.pop(nodeid)
        said = [case for _, case in phases if case.outcome is not CaseOutcome.PASSED]
        failed = [case for case in said if case.outcome is CaseOutcome.FAILED]
        duration_s = sum(report.duration for report, _ in phases)
        self._events.case(attrs.evolve((failed or said or [phases[-1][1]])[0], duration_s=round(duration_s, 6)))

    def pytest_sessionfinish(self) -> None:
        """Tell that this was all, or why there was nothing."""
        if self._problems:
            self._events.failed(self._shown(self._problems[0]))
        self._events.end()

    def _case(self, item: pytest.Item) -> Case:
        return Case(
            name=item.name,
            law=getattr(item, "originalname", item.name),
            sentence=inspect.cleandoc(getattr(getattr(item, "obj", None), "__doc__", "") or "").replace("\n", " "),
            promises=promises_of(item),
            refuses=refusals_of(item),
        )

    def _after(self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> Case:
        case = self._case(item)
        if report.passed:
            return attrs.evolve(case, outcome=CaseOutcome.PASSED)
        if report.failed:
            return attrs.evolve(case, outcome=CaseOutcome.FAILED, failure=self._failure(item, call, report))
        if hasattr(report, "wasxfail"):
            reason = report.wasxfail.removeprefix("reason: ").removeprefix("declared deviation: ")
            return attrs.evolve(case, outcome=CaseOutcome.DEVIATED, reason=self._shown(reason))
        skip = Skip.of(call.excinfo.value) if call.excinfo else Skip.of(Exception(report.longreprtext))
        return attrs.evolve(
            case,
            outcome=CaseOutcome.SKIPPED,
            reason=self._shown(skip.reason),
            skip=skip.kind,
            capability=skip.capability and skip.capability.value,
        )

    def _failure(self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> Failure:
        if call.excinfo is None:
            return Failure(did=self._shown(item.name), came=self._shown(report.longreprtext), place="")
        code = getattr(getattr(item, "obj", None), "__code__", None)
        frames = list(call.excinfo.traceback)
        # A law may run in a wrapper of hypothesis: then it is the innermost frame of the suite that tells most.
        own = [entry for entry in frames if code is not None and entry.frame.code.raw is code]
        suite = [entry for entry in frames if "context_core_conformance" in str(entry.path)]
        entry = (own or suite or frames)[-1]
        path = str(entry.path).rpartition("context_core_conformance/")[2]
        error, statement, crash = call.excinfo.value, _statement(entry), crash_in(report.capstderr)
        came = [_what_came(error), *([f"a process of the law printed:\n{_short(crash)}"] if crash else [])]
        return Failure(
            did=self._shown(statement),
            came=self._shown("\n".join(came)),
            place=self._shown(f"{path}:{entry.lineno + 1}"),
            values=tuple(map(self._shown, values_of(statement, entry.frame.f_locals, error))),
            cause=self._shown(cause_of(error, crash if isinstance(error, ChildProcessError) else "")),
        )

    def _shown(self, text: str) -> str:
        return _short(printable(self._redact(text)))


def _statement(entry: Any) -> str:
    """The statement of a frame; where it opens a block, with the block: the call that should have failed stands there."""
    lines = str(entry.statement).rstrip("\n").splitlines()
    if lines[-1].rstrip().endswith(":"):
        source = entry.frame.code.fullsource or []
        depth = len(lines[0]) - len(lines[0].lstrip())
        first = entry.lineno + len(lines)
        for line in map(str, source[first : first + MOST_LINES]):
            if line.strip() and len(line) - len(line.lstrip()) <= depth:
                break
            lines.append(line)
    return textwrap.dedent("\n".join(lines)).strip()


def _what_came(error: BaseException) -> str:
    """The error as Python tells it, with the example that hypothesis found; of several errors each."""
    if isinstance(error, BaseExceptionGroup):
        return "\n\n".join(map(_what_came, error.exceptions))
    told = "".join(traceback.format_exception_only(error)).strip()
    if error.__cause__ is not None:
        told += f"\ncaused by {type(error.__cause__).__name__}: {error.__cause__}"
    return told


def _short(text: str) -> str:
    lines = text.splitlines()
    if len(lines) > MOST_LINES:
        lines[MOST_LINES // 2 : -MOST_LINES // 2] = ["…"]
    shortened = "\n".join(lines)
    return shortened if len(shortened) <= MOST_CHARACTERS else f"{shortened[:MOST_CHARACTERS]}…"


def _name(nodeid: str) -> str:
    """The name of an item, whose parameters may hold any characters."""
    path, bracket, parameters = nodeid.partition("[")
    return f"{path.rpartition('::')[2]}{bracket}{parameters}"
