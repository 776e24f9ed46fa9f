"""Commands that other packages bring, the conformance suite for one: by entry point, imported when they are called.

A command comes in by the same kind of door as a driver. So the core names no package that stands above it, and a
command whose packages are missing says what to install, and breaks no other.
"""

import re
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, NoReturn

import click

GROUP: Final = "context_core.commands"
"""The entry-point group: the name is the command's, the value a click command."""


def installed_names() -> list[str]:
    """The names of all installed commands, none of them imported."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def find_command(name: str) -> click.Command | None:
    """Import and return the command of that name; one that cannot be imported says so when it is called."""
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
    except Exception as error:  # noqa: BLE001  # whatever a stranger's module raises, the other commands go on
        return _Unavailable(name, f"the command {name!r} cannot be imported: {type(error).__name__}: {error}")
    if not isinstance(command, click.Command):
        return _Unavailable(name, f"the entry point {name!r} names {point.value}, which is no click command")
    return command


class _UnavailableError(click.ClickException):
    """A command that is installed cannot be run here."""

    exit_code = 2


class _Unavailable(click.Command):
    """Stands for a command that cannot be run, and says why."""

    def __init__(self, name: str, problem: str) -> None:
        # Options too end in the same message, whatever they are.
        super().__init__(name, short_help="(cannot be run: call it to learn why)", add_help_option=False)
        self._problem = problem

    def parse_args(self, ctx: click.Context, args: list[str]) -> NoReturn:
        del ctx, args
        raise _UnavailableError(self._problem)

    def invoke(self, ctx: click.Context) -> Any:
        """Never called: its arguments are refused."""


def _hint(point: EntryPoint, missing: str) -> str:
    """What to install: the smallest extra of the command's distribution that brings the missing package."""
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
