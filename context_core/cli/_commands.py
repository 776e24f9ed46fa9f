"""The commands. Each is a thin face: it reads its options, calls a room of this package, and sets the exit code."""

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
    """Commands whose expected errors are one line on stderr and exit code 1; installed packages add their own."""

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
    """Durable, versioned workflow contexts."""


@commands.command()
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the database goes; by default a new folder among the temporary files, which is kept.",
)
def demo(directory: Path | None) -> None:
    """Kill a workflow in the middle, resume it, and look at its versions."""
    if directory is None:
        directory = Path(tempfile.mkdtemp(prefix="context-core-demo-"))
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.FileError(str(directory), hint=error.strerror) from error
    database = (directory / DATABASE).absolute()
    if database.exists():
        raise click.UsageError(f"{database} exists already: choose another directory, or remove it")
    result = run_demo(database)
    show_demo(Console(highlight=False), result)
    if not result.holds:
        raise click.ClickException("a check of the demo failed")
