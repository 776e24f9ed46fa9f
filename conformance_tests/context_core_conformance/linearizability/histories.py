"""What was asked of a store, by whom, when, and what came of it: the record that `linearizability` judges.

Times are of CLOCK_MONOTONIC, which all processes of a machine share. Records are plain values and travel between
processes.
"""

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Final, TypeAlias

import attrs

EVER: Final = float("inf")
"""When a call ended that never returned."""


@attrs.frozen
class Saving:
    """Save what is called *label*; no two saves of a history have the same."""

    workflow_id: str
    label: str
    expected: int | None = attrs.field(default=None, kw_only=True)
    must_exist: bool = attrs.field(default=False, kw_only=True)
    has_key: bool = attrs.field(default=False, kw_only=True)
    """Whether its label is its idempotency key too."""

    def __str__(self) -> str:
        words = [("update" if self.must_exist else "save"), self.workflow_id, f"as {self.label}"]
        return " ".join([*words, *_expecting(self.expected)])


@attrs.frozen
class Deleting:
    """Delete a workflow. A delete has no number of its own: *expected*, or a save beside it in its batch, tells it."""

    workflow_id: str
    expected: int | None = attrs.field(default=None, kw_only=True)

    def __str__(self) -> str:
        return " ".join(["delete", self.workflow_id, *_expecting(self.expected)])


@attrs.frozen
class Loading:
    """Load a workflow's head, or exactly one version."""

    workflow_id: str
    version: int | None = None

    def __str__(self) -> str:
        return f"load {self.workflow_id}" + ("" if self.version is None else f" at {self.version}")


@attrs.frozen
class Listing:
    """List every version of a workflow."""

    workflow_id: str

    def __str__(self) -> str:
        return f"list {self.workflow_id}"


@attrs.frozen
class Pruning:
    """Remove all but the newest versions of every workflow."""

    keep_last: int

    def __str__(self) -> str:
        return f"prune to {self.keep_last}"


Writing: TypeAlias = Saving | Deleting
Item: TypeAlias = Writing | Loading | Listing | Pruning


@attrs.frozen
class Seen:
    """A version as it was read: its number, and the label of its content."""

    version: int
    label: str

    def __str__(self) -> str:
        return f"version {self.version}, {self.label}"


Result: TypeAlias = int | bool | Seen | tuple[Seen, ...] | None
"""Of a save its version, of a delete whether there was something, of a load what was seen or None, of a list all that
was seen, of a prune how many versions went."""


class Outcome(Enum):
    """How a call ended."""

    DONE = "done"
    REFUSED = "refused, so that nothing was written"
    UNKNOWN = "unknown: what was to be written was written, or not"


@attrs.frozen(kw_only=True)
class Call:
    """One call: its items are done in one transaction.

    Attributes:
        results: One for each item, where it is DONE.
        stood_at: Where it is REFUSED, the head of the one workflow that the refusal told of, 0 for none.
        reason: What was raised.
    """

    who: str
    items: tuple[Item, ...]
    began_ns: int
    ended_ns: float = EVER
    outcome: Outcome = Outcome.UNKNOWN
    results: tuple[Result, ...] = ()
    stood_at: tuple[str, int] | None = None
    reason: str = ""

    @property
    def writes(self) -> bool:
        """Whether it was to write anything."""
        return any(isinstance(item, Saving | Deleting) for item in self.items)

    @property
    def asked(self) -> str:
        """The items, in words."""
        return "; ".join(map(str, self.items))

    @property
    def got(self) -> str:
        """What came of them, in words."""
        if self.outcome is Outcome.DONE:
            return "; ".join(_result_in_words(result) for result in self.results)
        if self.stood_at is not None:
            workflow_id, head = self.stood_at
            return f"{self.reason}: {workflow_id} {f'is at version {head}' if head else 'does not exist'}"
        return self.reason or "no answer"


History: TypeAlias = Sequence[Call]
"""Calls of any number of threads and processes on one store that was empty before the first of them."""


def sightings(history: History) -> Iterator[tuple[Call, str, Seen]]:
    """Every version that somebody read: in which call, of which workflow, what."""
    for call in history:
        for item, result in zip(call.items, call.results, strict=False):
            if isinstance(item, Loading | Listing):
                for seen in result if isinstance(result, tuple) else (result,):
                    if isinstance(seen, Seen):
                        yield call, item.workflow_id, seen


def _result_in_words(result: Result) -> str:
    if result is None or result == ():
        return "nothing"
    if isinstance(result, bool):
        return "deleted" if result else "nothing to delete"
    if isinstance(result, tuple):
        return f"versions {result[0].version} to {result[-1].version}"
    return f"version {result}" if isinstance(result, int) else str(result)


def _expecting(expected: int | None) -> list[str]:
    return [] if expected is None else [f"expecting {expected}"]
