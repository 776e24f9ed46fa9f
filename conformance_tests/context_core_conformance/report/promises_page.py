"""docs/promises.md, written from the catalog: ``python -m context_core_conformance.report.promises_page > docs/promises.md``."""

import sys
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from context_core_conformance.promises import PROMISES, Keeper, Promise

COMMAND: Final = "python -m context_core_conformance.report.promises_page > docs/promises.md"

INTRODUCTION: Final = f"""\
# The promises

<!-- Written by `{COMMAND}`: change the catalog, not this page. -->

What every backend promises, one line each. The docstrings of `context_core/hookspecs.py` state them as law, the
conformance suite checks them on every driver, and a failure names the promise by its id:
`context-core conformance URL --promise VE01` runs the laws of one. [Write a driver](drivers.md) tells how.

*Kept by* says who does the work: a promise of the facade is kept by the core for every driver, as long as that gives
back the bytes and fields that it was given. *Needs* names the capability with which a promise holds; a driver that does
not declare it refuses with `UnsupportedOperationError`, and that refusal is checked.
"""


def page() -> str:
    """The page as Markdown."""
    return "\n".join([INTRODUCTION, *_sections()])


def _sections() -> Iterator[str]:
    for group, promises in groupby(PROMISES.values(), key=lambda promise: promise.group):
        yield f"## {group.capitalize()}\n"
        yield "| id | promise | kept by | needs |\n|---|---|---|---|"
        yield from map(_row, promises)
        yield ""


def _row(promise: Promise) -> str:
    needs = f"`{promise.capability.value}`" if promise.capability else ""
    keeper = "the facade" if promise.keeper is Keeper.FACADE else "the driver"
    return f"| {promise.id} | {_cell(promise.sentence)} | {keeper} | {needs} |"


def _cell(text: str) -> str:
    """The text as it may stand in a cell. Outside of code, Markdown would make emphasis of an underscore or a star."""
    parts = text.split("`")
    parts[::2] = [part.replace("|", "\\|").replace("_", "\\_").replace("*", "\\*") for part in parts[::2]]
    return "`".join(parts)


if __name__ == "__main__":
    sys.stdout.write(page())
