"""Writes docs/promises.md from the catalog; COMMAND is the shell command that does it."""

import sys
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from context_core_conformance.promises import PROMISES, Keeper, Promise

COMMAND: Final = "python -m context_core_conformance.report.promises_page > docs/promises.md"

INTRODUCTION: Final = f"""\
# The promises

<!-- Written by `{COMMAND}`: change the catalog, not this page. -->

These are the promises of every backend, one per line. The docstrings of `context_core/hookspecs.py` state them, and the
conformance suite checks them on every driver. A failure names the promise by its id.
`context-core conformance URL --promise VE01` checks one promise; see [Write a driver](drivers.md).

- *Kept by* says which part does the work. The core keeps the promises of the facade for every driver that returns the
  bytes and fields that it stored.
- *Needs* names a capability. A driver that does not declare this capability refuses with `UnsupportedOperationError`.
  The suite checks the refusal.
"""

TITLES: Final = {
    "roundtrip": "Saved and loaded values",
    "version": "Versions",
    "cas": "Conditional saves",
    "idem": "Idempotency",
    "delete": "Deletes",
    "batch": "Batches",
    "query": "Queries",
    "page": "Pages",
    "crash": "Crashes",
    "error and lifecycle": "Errors and lifecycle",
    "time": "Times",
    "move": "Export, import and backup",
    "hooks": "Wrappers and codecs",
}
"""By group, the heading of its table, if it is not the name of the group."""


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join([INTRODUCTION, *_sections()])


def _sections() -> Iterator[str]:
    for group, promises in groupby(PROMISES.values(), key=lambda promise: promise.group):
        yield f"## {TITLES.get(group, group.capitalize())}\n"
        yield "| id | promise | kept by | needs |\n|---|---|---|---|"
        yield from map(_row, promises)
        yield ""


def _row(promise: Promise) -> str:
    needs = f"`{promise.capability.value}`" if promise.capability else ""
    keeper = "the facade" if promise.keeper is Keeper.FACADE else "the driver"
    return f"| {promise.id} | {_cell(promise.sentence)} | {keeper} | {needs} |"


def _cell(text: str) -> str:
    """Return the text of a cell. Outside of code it escapes underscores and stars, which Markdown reads as emphasis."""
    parts = text.split("`")
    parts[::2] = [part.replace("|", "\\|").replace("_", "\\_").replace("*", "\\*") for part in parts[::2]]
    return "`".join(parts)


if __name__ == "__main__":
    sys.stdout.write(page())
