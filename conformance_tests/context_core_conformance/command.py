"""`context-core conformance`: the suite as a command. Needs the extra `cli` beside `conformance`.

The command line finds this command through the entry-point group `context_core.commands`, like the command of any
other package. The core does not name the suite, and imports it only when the command is called.
"""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click
from rich.console import Console

from context_core import ConfigurationError, StorageError
from context_core.files import whole_file
from context_core_conformance.promises import PROMISES
from context_core_conformance.report import html, json_format, junit
from context_core_conformance.report.results import EXIT_CODES, Run
from context_core_conformance.report.running import RunRequest, interrupted_by_signals, run
from context_core_conformance.report.targets import Target, parse_target
from context_core_conformance.report.terminal import Bar, show

WRITERS: Final[dict[str, Callable[[Run, Target], bytes]]] = {
    "json": lambda result, target: json_format.to_json(result, target).encode(),
    "junit": junit.to_junit,
    "html": lambda result, target: html.to_html(result, target).encode(),
}

EXIT_CODES_HELP: Final = """\b
Exit codes:
  0  the driver keeps every checked promise, or refuses it as declared
  1  a promise is broken
  2  the arguments are wrong, or an extra is not installed
  3  the backend does not open, nothing ran, or the run did not finish
"""
"""What `--help` prints below the options; click keeps the line breaks of a paragraph that starts with a backspace."""

_file: Final = click.Path(dir_okay=False, writable=True, path_type=Path)


@click.command(epilog=EXIT_CODES_HELP)
@click.argument("target")
@click.option("--json", "json_file", type=_file, help="Write the report as JSON.")
@click.option("--junit", "junit_file", type=_file, help="Write the report as JUnit XML.")
@click.option("--html", "html_file", type=_file, help="Write the report as one page of HTML.")
@click.option("--seed", type=click.IntRange(0), help="Use the random values of the run that printed this seed.")
@click.option(
    "--promise", "promises", multiple=True, metavar="ID", help="Check only this promise. Can be given more than once."
)
@click.option(
    "--law-timeout",
    type=click.FloatRange(0, min_open=True),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="A law that takes longer counts as broken and ends the run.",
)
@click.pass_context
def conformance(  # noqa: PLR0913  # one a name of the command line
    context: click.Context,
    *,
    target: str,
    json_file: Path | None,
    junit_file: Path | None,
    html_file: Path | None,
    seed: int | None,
    promises: tuple[str, ...],
    law_timeout: float,
) -> None:
    """Check which promises a driver keeps.

    TARGET is the URL of the driver's stores, for example 'sqlite:///{tmp_path}/store.db'. In the URL, {tmp_path} is
    replaced with a new folder, and {unique} with a new name, for each store. TARGET can also be a test class that
    subclasses BackendContract, for example my_package.tests:TestMine.
    """
    try:
        checked = parse_target(target)
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from error
    unknown = sorted(set(promises) - PROMISES.keys())
    if unknown:
        raise click.UsageError(f"there is no promise {', '.join(unknown)}; they are {', '.join(PROMISES)}")
    console = Console(highlight=False)
    request = RunRequest(
        target=checked,
        seed=secrets.randbelow(10**6) if seed is None else seed,
        promises=promises,
        law_timeout_s=law_timeout,
    )
    with interrupted_by_signals():
        with Bar(console) as bar:
            result = run(request, bar)
        show(console, result, checked)
        for form, file in {"json": json_file, "junit": junit_file, "html": html_file}.items():
            if file is not None:
                _write(file, WRITERS[form](result, checked))
    context.exit(EXIT_CODES[result.verdict])


def _write(file: Path, content: bytes) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(file, overwrite=True) as draft:
            draft.write_bytes(content)
    except OSError as error:
        raise click.FileError(str(file), hint=error.strerror) from error
    except (ConfigurationError, StorageError) as error:
        raise click.FileError(str(file), hint=str(error)) from error
