"""Finds the commands of other packages, for example the conformance suite, through their entry points.

Commands are found as drivers are. The core therefore names no package of a higher layer. A command is imported only
when it is called. A command whose packages are missing says what to install, and does not affect the other commands.
"""

import re
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, NoReturn

import click

GROUP: Final = "context_core.commands"
"""The entry-point group. The name is the name of the command; the value is a click command."""


def installed_names() -> list[str]:
    """Return the names of all installed commands without importing them."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def find_command(name: str) -> click.Command | None:
    """Import and return the command of that name; if the import fails, the command says so when it is called."""
    found = {(point.value, _owner(point)): point for point in entry_points(group=GROUP, name=name)}
    if not found:
        return None
    if len(found) > 1:
        owners = ", ".join(sorted(owner for _, owner in found))
        return _Unavailable(name, f"the command {name!r} is claimed by more than one distribution: {owners}")
    (point,) = found.values()
    try:
        command = point.load()
    except ModuleNotFoundError as error:
        return _Unavailable(
            name, f"the command {name!r} needs the package {error.name!r}{_hint(point, error.name or '')}"
        )
    except Exception as error:  # noqa: BLE001  # another package may raise anything; the other commands must work
        return _Unavailable(name, f"the command {name!r} cannot be imported: {type(error).__name__}: {error}")
    if not isinstance(command, click.Command):
        return _Unavailable(name, f"the entry point {name!r} names {point.value}, which is not a click command")
    return command


class _UnavailableError(click.ClickException):
    """An installed command cannot be run."""

    exit_code = 2


class _Unavailable(click.Command):
    """Replaces a command that cannot be run; calling it reports why."""

    def __init__(self, name: str, problem: str) -> None:
        # Without a help option, `--help` prints the same message as any other call.
        super().__init__(name, short_help="(cannot be run; call it to see why)", add_help_option=False)
        self._problem = problem

    def parse_args(self, ctx: click.Context, args: list[str]) -> NoReturn:
        del ctx, args
        raise _UnavailableError(self._problem)

    def invoke(self, ctx: click.Context) -> Any:
        """Do nothing; never called, since `parse_args` raises first."""


def _hint(point: EntryPoint, missing: str) -> str:
    """Return the install command of the smallest extra of the distribution that installs the missing package."""
    extras: dict[str, set[str]] = {}
    for requirement in (point.dist.requires if point.dist is not None else None) or ():
        name, extra = re.match(r"[\w.-]+", requirement), re.search(r"extra\s*==\s*['\"]([^'\"]+)['\"]", requirement)
        if name and extra:
            extras.setdefault(extra[1], set()).add(re.sub(r"[-_.]+", "_", name[0]).lower())
    bringing = [extra for extra, names in extras.items() if missing.partition(".")[0].lower() in names]
    if point.dist is None or not bringing:
        return ""
    smallest = min(bringing, key=lambda extra: len(extras[extra]))
    return f'; install it with:\n    python -m pip install "{point.dist.name}[{smallest}]"'


def _owner(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unknown distribution"
