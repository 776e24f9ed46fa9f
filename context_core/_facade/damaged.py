"""What a list does with a row that cannot be read: raise the error, or leave the row out and report it (CR06)."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Literal, TypeAlias, TypeVar

import attrs

from context_core.errors import (
    CorruptDocumentError,
    DamagedHistoryError,
    InvalidQueryError,
    PersistenceError,
    UnsupportedSchemaError,
    shown,
)
from context_core.records import DamagedRow, LoadRequest, StoredDocument

T = TypeVar("T")

Damaged: TypeAlias = Literal["raise", "skip"]
"""What to do with a row that cannot be read."""

OnDamaged: TypeAlias = Callable[[PersistenceError], object]
"""Is called with the error of each row that was left out."""

UNREADABLE: Final = (CorruptDocumentError, DamagedHistoryError, UnsupportedSchemaError)
"""The errors that concern one row alone."""


@attrs.frozen
class DamagePolicy:
    """What to do with rows that cannot be read.

    Attributes:
        skips: Leave them out. Otherwise the first one is raised.
        on_damaged: Called with the error of each row that is left out.
    """

    skips: bool
    on_damaged: OnDamaged | None

    def handle(self, error: PersistenceError) -> None:
        """Raise *error*, or report it and return."""
        if not self.skips:
            raise error
        import logging  # noqa: PLC0415  # a tenth of what importing context_core costs, and damage is rare

        logging.getLogger("context_core").warning("left out of a list: %s", error)
        if self.on_damaged is not None:
            self.on_damaged(error)

    def handle_all(self, rows: Sequence[DamagedRow]) -> None:
        """Handle each row that a driver passed over."""
        for row in rows:
            self.handle(row.error)


def damage_policy(damaged: Damaged, on_damaged: OnDamaged | None) -> DamagePolicy:
    """Return the policy that two arguments ask for; refuse arguments that do not fit."""
    if not isinstance(damaged, str) or damaged not in ("raise", "skip"):
        raise InvalidQueryError(f'damaged must be "raise" or "skip", not {shown(damaged)}')
    if on_damaged is not None and not callable(on_damaged):
        raise InvalidQueryError(f"on_damaged must be callable, not {type(on_damaged).__name__}")
    if on_damaged is not None and damaged == "raise":
        raise InvalidQueryError('on_damaged is called for rows that are left out: give damaged="skip" too')
    return DamagePolicy(damaged == "skip", on_damaged)


def in_order(items: Iterable[T], damaged: Sequence[DamagedRow]) -> Iterator[T | DamagedRow]:
    """Yield the items of a page with the damaged rows between them."""
    place, total = 0, len(damaged)
    for position, item in enumerate(items):
        while place < total and damaged[place].position <= position:
            yield damaged[place]
            place += 1
        yield item
    yield from damaged[place:]


def readable(
    read: Callable[[StoredDocument], T],
    documents: Sequence[StoredDocument],
    damaged: Sequence[DamagedRow],
    policy: DamagePolicy,
) -> list[T]:
    """Read *documents* in the order of their rows; *policy* handles each row that cannot be read."""
    if not damaged:
        with contextlib.suppress(*UNREADABLE):  # if one cannot be read, all are read again, one after the other
            return list(map(read, documents))
    found: list[T] = []
    for row in in_order(documents, damaged) if damaged else documents:
        if isinstance(row, DamagedRow):
            policy.handle(row.error)
        else:
            _add_readable(found, read, row, policy)
    return found


def _add_readable(
    found: list[T], read: Callable[[StoredDocument], T], stored: StoredDocument, policy: DamagePolicy
) -> None:
    try:
        found.append(read(stored))
    except UNREADABLE as error:
        policy.handle(error)


def load_readable(
    load: Callable[[LoadRequest], list[StoredDocument]], workflow_ids: list[str], policy: DamagePolicy
) -> list[StoredDocument]:
    """Load the heads that the backend can read. Each round leaves out one that it cannot read, or is the last."""
    wanted = workflow_ids
    for _ in range(len(wanted) + 1):
        try:
            return load(LoadRequest(workflow_ids=wanted))
        except (CorruptDocumentError, DamagedHistoryError) as error:
            policy.handle(error)
            left = [workflow_id for workflow_id in wanted if workflow_id != error.workflow_id]
            if len(left) == len(wanted):
                raise
            wanted = left
    return []
