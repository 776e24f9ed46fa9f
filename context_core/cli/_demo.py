"""Runs the demo: kills a workflow, resumes it, rolls it back, and checks every claim about it."""

import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import attrs

from context_core.cli._workflow import WORKFLOW_ID
from context_core.model import Status, WorkflowContext
from context_core.persistence import ContextPersistence
from context_core.records import VersionHeader
from context_core.url import BackendURL

DATABASE: Final = "demo.db"
KILLED_DURING: Final = "notes"
"""The step in which the first process is killed. It is the second step of its phase, so the phase is half done."""

QUERY: Final = "SELECT workflow_id, version, status, current_phase FROM workflow_context"


class DemoError(Exception):
    """A process of the workflow ended before its first save; its stderr says why."""


@attrs.frozen(kw_only=True)
class Check:
    """A claim of the demo, and whether it is true."""

    claim: str
    holds: bool


@attrs.frozen(kw_only=True)
class Run:
    """What one process of the workflow reported to its parent, and its exit code."""

    process_id: int
    exit_code: int
    resumed: WorkflowContext | None
    """The context that the process loaded and continued from; None for the first process."""
    acknowledged: dict[int, WorkflowContext]
    """By version, the contexts that the process reported as saved."""


@attrs.frozen(kw_only=True)
class DemoResult:
    """Everything that the demo shows."""

    database: Path
    killed: Run
    finished: Run
    history: list[VersionHeader]
    contexts: dict[int, WorkflowContext]
    """Every version at the end of the demo, as loaded."""
    row: tuple[Any, ...]
    """The row that QUERY returns at the end of the demo."""
    crash_checks: list[Check]
    rollback_check: Check
    database_check: Check

    @property
    def killed_at(self) -> int:
        """The last version that was acknowledged before the kill. It is also the target of the rollback."""
        return max(self.killed.acknowledged)

    @property
    def completed_at(self) -> int:
        """The version in which the workflow was completed."""
        return max(self.finished.acknowledged)

    @property
    def holds(self) -> bool:
        """Whether every claim is true."""
        return all(check.holds for check in (*self.crash_checks, self.rollback_check, self.database_check))


def run_demo(database: Path) -> DemoResult:
    """Run the demo on a new database and return its result.

    Raises:
        DemoError: A process of the workflow ended before its first save.
        PersistenceError: The database cannot be used.
    """
    url = str(BackendURL.for_file("sqlite", database))
    killed = _run_workflow(url, kill_during=KILLED_DURING)
    found = _load_all(url)
    finished = _run_workflow(url)
    before = _load_all(url)
    with ContextPersistence(url, context_type=WorkflowContext) as store:
        newest = store.rollback(WORKFLOW_ID, max(killed.acknowledged))
        history = store.history(WORKFLOW_ID)
    after = _load_all(url)
    row = _query(database)
    return DemoResult(
        database=database,
        killed=killed,
        finished=finished,
        history=history,
        contexts=after,
        row=row,
        crash_checks=_check_crash(killed, found, finished, before),
        rollback_check=_check_rollback(max(killed.acknowledged), newest, before, after),
        database_check=_check_database(row, newest, after[newest]),
    )


def _check_crash(
    killed: Run, found: dict[int, WorkflowContext], finished: Run, completed: dict[int, WorkflowContext]
) -> list[Check]:
    count, last = len(killed.acknowledged), max(killed.acknowledged)
    return [
        Check(
            claim=f"acknowledged {count} saves, found {len(found)} after the kill, each equal to what was saved",
            holds=killed.exit_code == -signal.SIGKILL and found == killed.acknowledged,
        ),
        Check(
            claim=f"the second process resumed from version {last}, the last acknowledged one",
            holds=finished.resumed == killed.acknowledged[last] and finished.resumed.version == last,
        ),
        Check(
            claim=f"the second process completed the workflow at version {max(completed)}",
            holds=finished.exit_code == 0
            and completed == killed.acknowledged | finished.acknowledged
            and list(completed) == list(range(1, count + len(finished.acknowledged) + 1))
            and completed[max(completed)].status == Status.COMPLETED,
        ),
    ]


def _check_rollback(
    target: int, newest: int, before: dict[int, WorkflowContext], after: dict[int, WorkflowContext]
) -> Check:
    kept = {version: context for version, context in after.items() if version != newest}
    return Check(
        claim=f"version {newest} equals version {target}; versions 1 to {newest - 1} did not change",
        holds=newest == len(before) + 1 and after[newest] == before[target] and kept == before,
    )


def _check_database(row: tuple[Any, ...], newest: int, head: WorkflowContext) -> Check:
    return Check(
        claim="the database is kept, and plain SQL reads the current state:",
        holds=row == (WORKFLOW_ID, newest, head.status, head.current_phase),
    )


def _run_workflow(url: str, *, kill_during: str | None = None) -> Run:
    """Run the workflow in a new process until it ends, or kill the process in the step *kill_during*."""
    resumed = None
    acknowledged = {}
    command = [sys.executable, "-P", "-m", "context_core.cli._workflow", url]
    with subprocess.Popen(  # noqa: S603  # this very interpreter, with a module of this package
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line in process.stdout:
            report = json.loads(line)
            match report["event"]:
                case "saved":
                    acknowledged[report["version"]] = WorkflowContext.from_dict(report["context"])
                case "resumed":
                    resumed = WorkflowContext.from_dict(report["context"], version=report["version"])
                case "begun" if report["step"] == kill_during:
                    process.kill()
                case "begun":
                    process.stdin.write("go on\n")
                    process.stdin.flush()
    if not acknowledged:
        raise DemoError(f"the workflow's process ended with exit code {process.returncode} and saved nothing")
    return Run(process_id=process.pid, exit_code=process.returncode, resumed=resumed, acknowledged=acknowledged)


def _load_all(url: str) -> dict[int, WorkflowContext]:
    with ContextPersistence(url, context_type=WorkflowContext) as store:
        versions = [header.version for header in store.history(WORKFLOW_ID)]
        return {version: store.load_context(WORKFLOW_ID, version=version) for version in versions}


def _query(database: Path) -> tuple[Any, ...]:
    with closing(sqlite3.connect(database)) as connection:
        row: tuple[Any, ...] = connection.execute(QUERY).fetchone()
    return row
