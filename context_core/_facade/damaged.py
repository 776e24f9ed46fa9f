"""What a list does with a row that cannot be read: it raises, or goes on without it and tells (CR06)."""

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
from context_core.records import DamagedRow

T = TypeVar("T")

Damaged: TypeAlias = Literal["raise", "skip"]
"""What to do with a row that cannot be read."""

OnDamaged: TypeAlias = Callable[[PersistenceError], object]
"""Is told of each row that was left out."""

UNREADABLE: Final = (CorruptDocumentError, DamagedHistoryError, UnsupportedSchemaError)
"""What is wrong with one row alone."""


@attrs.frozen
class DamagePolicy:
    """What to do with rows that cannot be read.

    Attributes:
        skips: Leave them out; else the first is raised.
        on_damaged: Called for each that is left out.
    """

    skips: bool
    on_damaged: OnDamaged | None

    def met(self, error: PersistenceError) -> None:
        """Raise *error*, or tell of it and return."""
        if not self.skips:
            raise error
        import logging  # noqa: PLC0415  # a tenth of what importing context_core costs, and damage is rare

        logging.getLogger("context_core").warning("left out of a list: %s", error)
        if self.on_damaged is not None:
            self.on_damaged(error)

    def meet(self, rows: Sequence[DamagedRow]) -> None:
        """As `met`, for what a driver passed over."""
        for row in rows:
            self.met(row.error)


def damage_policy(damaged: Damaged, on_damaged: OnDamaged | None) -> DamagePolicy:
    """Return what two arguments mean; refuse those that do not fit."""
    if not isinstance(damaged, str) or damaged not in ("raise", "skip"):
        raise InvalidQueryError(f'damaged must be "raise" or "skip", not {shown(damaged)}')
    if on_damaged is not None and not callable(on_damaged):
        raise InvalidQueryError(f"on_damaged must be callable, not {type(on_damaged).__name__}")
    if on_damaged is not None and damaged == "raise":
        raise InvalidQueryError('on_damaged is called for rows that are left out: give damaged="skip" too')
    return DamagePolicy(damaged == "skip", on_damaged)


def in_order(items: Iterable[T], damaged: Sequence[DamagedRow]) -> Iterator[T | DamagedRow]:
    """The items of a page with the damaged rows between them."""
    place, total = 0, len(damaged)
    for position, item in enumerate(items):
        while place < total and damaged[place].position <= position:
            yield damaged[place]
            place += 1
        yield item
    yield from damaged[place:]
