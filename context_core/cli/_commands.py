"""The commands. Each command reads its options, calls another module of this package, and sets the exit code."""

import tempfile
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from context_core.cli._demo import DATABASE, DemoError, run_demo
from context_core.cli._demo_view import show_demo
from context_core.cli._installed import find_command, installed_names
from context_core.errors import ContextCoreError


class _Commands(click.Group):
    """The commands of this package and of installed packages; an expected error is a message and exit code 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *installed_names()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or find_command(cmd_name)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except (ContextCoreError, DemoError) as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="context-core", prog_name="context-core")
def commands() -> None:
    """Store and inspect durable, versioned workflow contexts."""


@commands.command(short_help="Kill a workflow, resume it, show its versions.")
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder of the database. By default a new temporary folder. The demo does not delete it.",
)
def demo(directory: Path | None) -> None:
    """Kill a workflow in the middle of a step, resume it, and show its versions.

    The demo checks each claim that it prints, and fails if one is not true.
    """
    if directory is None:
        directory = Path(tempfile.mkdtemp(prefix="context-core-demo-"))
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.FileError(str(directory), hint=error.strerror) from error
    database = (directory / DATABASE).absolute()
    if database.exists():
        raise click.UsageError(f"{database} exists already: choose another directory, or remove the file")
    result = run_demo(database)
    show_demo(Console(highlight=False), result)
    if not result.holds:
        raise click.ClickException("a check of the demo failed")
