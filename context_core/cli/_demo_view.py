"""Prints the demo: the two processes, the version history with the kill, a diff, the rollback and the database."""

import json
import shlex
from collections.abc import Iterable
from typing import Any, Final

from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from context_core.cli._demo import KILLED_DURING, QUERY, Check, DemoResult, Run
from context_core.cli._workflow import WORKFLOW_ID
from context_core.diff import ABSENT, Change, ContextDiff

MAX_WIDTH: Final = 88
STATUS_STYLES: Final = {"running": "cyan", "completed": "green", "failed": "red", "paused": "yellow"}
CLOCK_FIELDS: Final = ("updated_at", "phase_history")
"""Fields that change with every step or phase; the table of the history leaves them out."""


def show_demo(console: Console, result: DemoResult) -> None:
    """Print *result*, in at most MAX_WIDTH columns."""
    console.width = min(console.width, MAX_WIDTH)
    marks = "+x" if console.options.ascii_only else "✔✘"
    before, after = result.killed_at, result.completed_at
    changes = ContextDiff.between(result.contexts[before], result.contexts[after]).changes
    for title, content in (
        (
            "A workflow is killed and resumed",
            Group(_runs(result), "", *(_check(check, marks) for check in result.crash_checks)),
        ),
        (f"History of {WORKFLOW_ID}", _history(result)),
        (
            f"What changed from version {before} to version {after}",
            _difference(changes, is_ascii=console.options.ascii_only),
        ),
        (f"Rollback to version {before}", _check(result.rollback_check, marks)),
    ):
        console.print(_panel(title, content))
    _show_database(console, result, marks)


def _panel(title: str, content: RenderableType) -> Panel:
    return Panel(
        content, title=Text(f" {title} ", "bold not dim"), title_align="left", border_style="dim", padding=(0, 1)
    )


def _runs(result: DemoResult) -> Table:
    grid = Table.grid(padding=(0, 2))
    killed, finished = result.killed, result.finished
    grid.add_row(
        Text(f"process {killed.process_id}"),
        Text.assemble(f"saved {_versions(killed)}; ", ("SIGKILL", "bold red"), f' inside step "{KILLED_DURING}"'),
    )
    grid.add_row(
        Text(f"process {finished.process_id}"),
        Text(f"loaded version {result.killed_at}, continued, saved {_versions(finished)}"),
    )
    return grid


def _versions(run: Run) -> str:
    return f"versions {min(run.acknowledged)} to {max(run.acknowledged)}"


def _check(check: Check, marks: str) -> Text:
    mark = (f"{marks[0]} ", "bold green") if check.holds else (f"{marks[1]} NOT TRUE: ", "bold red")
    return Text.assemble(mark, check.claim)


def _history(result: DemoResult) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD, expand=True, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0), header_style="dim"
    )
    table.add_column("version", justify="right")
    table.add_column("phase")
    table.add_column("status")
    table.add_column("saved (UTC)", style="dim")
    table.add_column("changed", ratio=1)
    for header in result.history:
        table.add_row(
            Text(f"{header.version}"),
            Text(header.current_phase),
            Text(header.status, STATUS_STYLES[header.status]),
            Text(header.saved_at.strftime("%H:%M:%S.%f")[:-3]),
            _what_was_done(result, header.version),
        )
        if header.version == result.killed_at:
            lost = f'step "{KILLED_DURING}" was not saved'
            table.add_row("", Text("SIGKILL", "bold red"), "", "", Text(lost, "red"))
    return table


def _what_was_done(result: DemoResult, version: int) -> Text:
    if version - 1 not in result.contexts:
        return Text("created")
    if version > result.completed_at:
        return Text(f"rolled back to version {result.killed_at}")
    changes = ContextDiff.between(result.contexts[version - 1], result.contexts[version]).changes
    told = [change for change in changes if not change.path.startswith(CLOCK_FIELDS)]
    return Text(", ".join(f"+{c.path}" if c.before is ABSENT else f"{c.path} = {c.after}" for c in told))


def _difference(changes: Iterable[Change], *, is_ascii: bool) -> Table:
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column()
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, ratio=1, overflow="crop" if is_ascii else "ellipsis")
    for change in changes:
        for sign, style, value in (("-", "red", change.before), ("+", "green", change.after)):
            if value is not ABSENT:
                grid.add_row(Text(sign, style), Text(change.path, style), Text(_as_json(value), style))
    return grid


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _show_database(console: Console, result: DemoResult, marks: str) -> None:
    """Print the command so that it can be copied: its only line break is one that the shell accepts."""
    console.print(_check(result.database_check, marks))
    console.print()
    for line in (f"  sqlite3 {shlex.quote(str(result.database))} \\", f'    "{QUERY}"'):
        console.print(Text(line, "cyan"), soft_wrap=True)
    console.print(Text("  " + "|".join(map(str, result.row)), "dim"))
