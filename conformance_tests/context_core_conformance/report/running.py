"""Running the suite in a process of its own, and making a report of what it tells.

A driver may crash the interpreter, or hang: then the law that ran is named as broken, and the rest as not reached.
The process loads no other plugin, no conftest and no settings of the folder it is started in, so that the same suite
runs everywhere.
"""

import contextlib
import json
import os
import platform
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import attrs

from context_core_conformance import options
from context_core_conformance.promises import PROMISES
from context_core_conformance.report.events import case_of, driver_of
from context_core_conformance.report.judging import judged
from context_core_conformance.report.redaction import printable
from context_core_conformance.report.results import Case, CaseOutcome, Driver, Failure, Run
from context_core_conformance.report.targets import Address, TestClass

LIBRARIES: Final = ("context-core", "attrs", "cattrs", "orjson", "pluggy", "pytest", "hypothesis")
SETTINGS: Final = "[pytest]\ntmp_path_retention_policy = none\n"
ENDING_S: Final = 10.0
"""How long a process may take to end, or to say where it hangs."""


@attrs.frozen(kw_only=True)
class RunRequest:
    """What is to be run.

    Attributes:
        promises: The ids of those asked about; empty for all.
        law_timeout_s: After so many seconds without news, a law counts as hanging.
    """

    target: Address | TestClass
    seed: int
    promises: tuple[str, ...] = ()
    law_timeout_s: float = 300.0


Listener = Callable[[Case, int, int], None]
"""Called after each case, with how many have ended and how many there are."""


class _Progress:
    """What the events told so far."""

    def __init__(self) -> None:
        self.driver: Driver | None = None
        self.cases: dict[str, Case] = {}
        self.ended = 0
        self.running = ""
        self.stopped = ""
        self.is_over = False

    def take(self, event: dict[str, Any], listener: Listener) -> None:
        match event:
            case {"event": "plan", "cases": cases}:
                self.cases = {fields["name"]: case_of(fields) for fields in cases}
            case {"event": "driver", "driver": fields}:
                self.driver = driver_of(fields)
            case {"event": "failed", "message": message}:
                self.stopped = message
            case {"event": "start", "name": name}:
                self.running = name
            case {"event": "case", "case": fields}:
                self.end(case_of(fields), listener)
            case {"event": "end"}:
                self.is_over = True

    def end(self, case: Case, listener: Listener) -> None:
        self.cases[case.name] = case
        self.ended += 1
        self.running = ""
        listener(case, self.ended, len(self.cases))

    def fail_running(self, problem: str, listener: Listener) -> None:
        """The process ended: the law that ran, if one did, is broken."""
        law = self.cases.get(self.running)
        if law is None:
            return
        failure = Failure(did=f"{law.name}()", came=problem, place="")
        self.end(attrs.evolve(law, outcome=CaseOutcome.FAILED, failure=failure), listener)


def run(request: RunRequest, listener: Listener) -> Run:
    """Run the suite, telling *listener* of each case; whatever happens, the result says what was reached."""
    started_at, start = datetime.now(UTC), time.monotonic()
    progress = _Progress()
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        child = _Child(request, Path(folder))
        try:
            for event in child.events():
                progress.take(event, listener)
        except _SilenceError:
            said = child.abort()
            problem = f"nothing was heard of it for {request.law_timeout_s:g} s"
            progress.stopped = f"{problem}, and the process was killed"
            if progress.running:
                progress.stopped = f"{progress.running} hung, and the process was killed"
            progress.fail_running(f"{problem}\n{said}".strip(), listener)
        except KeyboardInterrupt:
            progress.stopped = "it was interrupted"
        finally:
            child.kill()
        if not progress.stopped and progress.driver is None:
            progress.stopped = child.complaint()
        elif not progress.stopped and not progress.is_over:
            problem = f"the process {child.death}"
            progress.stopped = f"{problem} in {progress.running}" if progress.running else problem
            progress.fail_running(f"{problem}\n{child.said()}".strip(), listener)
    return _result(request, progress, started_at, time.monotonic() - start)


def _result(request: RunRequest, progress: _Progress, started_at: datetime, duration_s: float) -> Run:
    cases = tuple(
        attrs.evolve(case, reason=progress.stopped or "the run ended before it")
        if case.outcome is CaseOutcome.NOT_REACHED
        else case
        for case in progress.cases.values()
    )
    driver = progress.driver
    return Run(
        target=str(request.target),
        driver=driver,
        versions={"Python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
        seed=request.seed,
        started_at=started_at,
        duration_s=duration_s,
        promises=judged(
            cases,
            capabilities=None if driver is None else driver.capabilities,
            chosen=request.promises or tuple(PROMISES),
        ),
        cases=cases,
        stopped=progress.stopped,
        left=request.target.left if driver else "",
    )


@contextlib.contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGINT raise KeyboardInterrupt once in this block; after the first, both are ignored.

    So a run that is ended from outside still writes its reports. Only the main thread can change signal handlers.
    """

    def interrupt(*_: object) -> None:
        for number in previous:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    previous = {}
    if threading.current_thread() is threading.main_thread():
        previous = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler or signal.SIG_DFL)


class _SilenceError(Exception):
    """Nothing came for longer than a law may take."""


class _Child:
    """The process that runs the laws."""

    def __init__(self, request: RunRequest, folder: Path) -> None:
        (folder / "pytest.ini").write_text(SETTINGS, encoding="utf-8")
        self._log = folder / "log"
        self._redact = request.target.redact
        self._timeout_s = request.law_timeout_s
        self._events, theirs = os.pipe()
        command = [
            *(sys.executable, "-m", "pytest", "--pyargs", request.target.node, *request.target.options),
            *(option for promise_id in request.promises for option in ("--context-promise", promise_id)),
            *(() if request.target.prefix is None else (options.PREFIX, request.target.prefix)),
            *(f"--hypothesis-seed={request.seed}", f"--context-events={theirs}"),
            *("-p", "hypothesispytest", "-p", "context_core_conformance.plugin", "-p", "no:cacheprovider"),
            *("-c", str(folder / "pytest.ini"), "--rootdir", str(folder), "--basetemp", str(folder / "stores")),
            *("--noconftest", "-q", "--tb=short"),
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603  # this interpreter, with options of our own
                command,
                env=_environment(folder),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(theirs,),
                start_new_session=True,  # so that whatever the laws start ends with it
            )
        os.close(theirs)

    def events(self) -> Iterator[dict[str, Any]]:
        """Everything it tells, until it says that nothing more comes, or ends."""
        for line in self._lines():
            event = json.loads(line)
            yield event
            if event["event"] == "end":
                break
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(ENDING_S)

    def _lines(self) -> Iterator[bytes]:
        with selectors.DefaultSelector() as selector, os.fdopen(self._events, "rb", buffering=0) as stream:
            selector.register(stream, selectors.EVENT_READ)
            rest = b""
            while selector.select(self._timeout_s):
                chunk = stream.read(65_536)
                if not chunk:
                    return
                *lines, rest = (rest + chunk).split(b"\n")
                yield from lines
        raise _SilenceError

    def abort(self) -> str:
        """Kill it, and return where it was."""
        self._process.send_signal(signal.SIGABRT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(ENDING_S)
        return self.said()

    def kill(self) -> None:
        """Kill it with all that it started; one that has ended is left alone."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    @property
    def death(self) -> str:
        """How it ended, in words."""
        code = self._process.returncode
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"

    def complaint(self) -> str:
        """Why it did not begin."""
        said = self.said()
        errors = [line.removeprefix("ERROR:").strip() for line in said.splitlines() if line.startswith("ERROR:")]
        return "\n".join(errors) or f"the process {self.death} before any law ran: {said}"

    def said(self) -> str:
        """The end of what it printed: a crash, where there was one."""
        text = self._log.read_text(encoding="utf-8", errors="replace")
        _, crash, trace = text.rpartition("Fatal Python error")
        lines = (crash + trace if crash else text).strip().splitlines()
        return printable(self._redact("\n".join(lines[:15] if crash else lines[-15:])))


def _environment(folder: Path) -> dict[str, str]:
    """What the process inherits: nothing that changes what pytest runs, and no place to write to but *folder*."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS")}
    own = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / "hypothesis")}
    return kept | own
