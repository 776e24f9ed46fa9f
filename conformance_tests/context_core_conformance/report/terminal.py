"""The report on the terminal: a bar while the laws run, then what is broken, and the totals."""

from collections.abc import Sequence
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from context_core_conformance.report.results import Case, CaseOutcome, Cause, CauseGroup, Driver, Outcome, Run, Verdict
from context_core_conformance.report.targets import Target, replay_command
from context_core_conformance.report.wording import MARKS, WORDS, counted, seconds

COLOURS = {
    Outcome.HELD: "green",
    Outcome.HELD_IN_PART: "green",
    Outcome.BROKEN: "red",
    Outcome.IN_DOUBT: "yellow",
    Outcome.DEVIATED: "yellow",
    Outcome.REFUSED: "cyan",
    Outcome.NOT_RUN: "bright_black",
}
SHOWN_IN_FULL = 10
LINES_IN_FULL = 16
NAMES_IN_FULL = 6


class Bar:
    """Shows how far the run is; called after each case. Nothing is drawn where there is no terminal."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[failed]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("laws", total=None, failed="")
        self._failed = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, case: Case, ended: int, total: int) -> None:
        """A case has ended."""
        self._failed += case.outcome is CaseOutcome.FAILED
        failed = f"[red]{self._failed} failed[/red]" if self._failed else ""
        description = case.promises[0] if case.promises else "laws"
        self._progress.update(self._task, completed=ended, total=total, failed=failed, description=description)


def show(console: Console, run: Run, target: Target) -> None:
    """Print the report."""
    if run.driver is None:
        console.print(Text(f"conformance of {run.target} cannot be checked", style="bold"))
        console.print(Text(run.stopped, style="yellow"))
        return
    _show_driver(console, run, run.driver)
    for group in run.causes[:SHOWN_IN_FULL]:
        _show_cause(console, group, replay_command(target, run.seed, group.cases[0].name))
    if len(run.causes) > SHOWN_IN_FULL:
        console.print(f"… and {counted(len(run.causes) - SHOWN_IN_FULL, 'more cause')}: a report names them all\n")
    _show_broken(console, run)
    _show_others(console, run)
    _show_totals(console, run)
    style = {Verdict.KEPT: "bold green", Verdict.BROKEN: "bold red"}.get(run.verdict, "bold yellow")
    console.print(Text(run.headline, style=style))
    if run.left:
        console.print(Text(run.left, style="bright_black"))


def _show_driver(console: Console, run: Run, driver: Driver) -> None:
    brought_by = f" ({driver.distribution})" if driver.distribution else ""
    console.print(Text(f"conformance of {run.target}", style="bold"))
    console.print(Text(f"{driver.name}{brought_by} declares {', '.join(driver.capabilities) or 'no capability'}"))
    console.print(Text(f"{counted(run.ran, 'case')} in {seconds(run.duration_s)}, seed {run.seed}\n"))


def _show_cause(console: Console, group: CauseGroup, replay: str) -> None:
    """One cause, its laws, and its first case as the example."""
    case, laws = group.cases[0], group.laws
    more_cases = [counted(len(group.cases) - 1, "more case")] if len(group.cases) > 1 else []
    title = Text.assemble((f"✘ {_some(group.promises, 'promise')}", "red bold"))
    title.append(f"  {group.cause}" if len(laws) > 1 else f"  {case.name}")
    if len(laws) == 1 and more_cases:
        title.append(f" and {more_cases[0]}", style="bright_black")
    console.print(title)
    table = Table.grid(padding=(0, 1))
    table.add_column(style="bright_black", no_wrap=True)
    table.add_column(overflow="fold")
    if len(laws) > 1:
        table.add_row("broke", Text(_some(laws, "law")))
        table.add_row("such as", Text(case.name))
    table.add_row("expected", Text(case.sentence))
    if case.failure is not None:
        place = f"  ({case.failure.place})" if case.failure.place else ""
        table.add_row("did", Text(f"{case.failure.did}{place}"))
        if case.failure.values:
            table.add_row("with", Text("\n".join(case.failure.values)))
        lines = case.failure.came.splitlines()
        shown = lines if len(lines) <= LINES_IN_FULL else [*lines[: LINES_IN_FULL - 1], "…"]
        table.add_row("came", Text("\n".join(shown)))
        if case.failure.cause and len(laws) == 1:
            table.add_row("cause", Text(case.failure.cause))
    console.print(Padding(table, (0, 0, 0, 2)))
    # On a line of its own and never wrapped: it is there to be pasted.
    console.print(Padding(Text("again", style="bright_black"), (0, 0, 0, 2)))
    console.print(Text(f"    {replay}\n"), soft_wrap=True)


def _some(names: Sequence[str], noun: str) -> str:
    """The first of many names, and how many more there are."""
    more = f" and {counted(len(names) - NAMES_IN_FULL, f'more {noun}')}" if len(names) > NAMES_IN_FULL else ""
    return f"{', '.join(names[:NAMES_IN_FULL])}{more}"


def _show_broken(console: Console, run: Run) -> None:
    """Every promise that is broken, in its own words."""
    table = Table.grid(padding=(0, 1))
    for result in run.promises:
        if result.outcome is Outcome.BROKEN:
            said = f"{escape(result.promise.sentence)} [bright_black]{escape(result.reason)}[/]"
            table.add_row(f"[red]{MARKS[Outcome.BROKEN]} {result.promise.id}[/]", said)
    if table.row_count:
        console.print("[bold]Broken promises[/]")
        console.print(table)
        console.print()


def _show_others(console: Console, run: Run) -> None:
    """Every other promise that the run cannot call held, by reason; those not asked about are left out."""
    table = Table.grid(padding=(0, 1))
    for column in range(3):
        table.add_column(no_wrap=column < 2, overflow="fold")
    for outcome in (Outcome.IN_DOUBT, Outcome.DEVIATED, Outcome.HELD_IN_PART, Outcome.REFUSED, Outcome.NOT_RUN):
        by_reason: dict[str, list[str]] = {}
        for result in run.promises:
            if result.outcome is outcome and result.cause is not Cause.NOT_CHOSEN:
                by_reason.setdefault(result.reason, []).append(result.promise.id)
        for reason, ids in by_reason.items():
            said = f"[{COLOURS[outcome]}]{MARKS[outcome]} {WORDS[outcome]}[/]"
            named = " ".join(ids) if len(ids) <= 20 else counted(len(ids), "promise")
            table.add_row(said, str(len(ids)), f"{named}: [bright_black]{escape(reason)}[/]")
    if table.row_count:
        console.print(table)
        console.print()


def _show_totals(console: Console, run: Run) -> None:
    parts = [
        f"[{COLOURS[outcome]}]{MARKS[outcome]} {count} {WORDS[outcome]}[/]"
        for outcome, count in run.totals.items()
        if count
    ]
    console.print("  ".join(parts), highlight=False)
