"""Pages that go on past damaged rows, for drivers: what cannot be read is told beside what was found (CR06)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Generic, TypeAlias, TypeVar

import attrs

from context_core.errors import CorruptDocumentError, DamagedHistoryError
from context_core.records import DamagedRow

__all__ = ["Found", "RowError", "collected", "filled", "outcomes"]

R = TypeVar("R")
T = TypeVar("T")

RowError: TypeAlias = CorruptDocumentError | DamagedHistoryError

FEWEST_ROWS: Final = 100
"""How many rows a further round asks for at least: many damaged rows in a row must not cost a round each."""


@attrs.frozen
class Found(Generic[T]):
    """The items of a page, and the damaged rows among them."""

    items: list[T] = attrs.Factory(list)
    damaged: list[DamagedRow] = attrs.Factory(list)

    def add(self, outcome: T | RowError) -> None:
        """Take one more row."""
        if isinstance(outcome, RowError):
            self.damaged.append(DamagedRow(error=outcome, position=len(self.items)))
        else:
            self.items.append(outcome)


def outcomes(rows: Iterable[R], read: Callable[[R], T | None]) -> Iterator[T | RowError]:
    """Read each row; what *read* raises for a damaged one takes its place. None leaves a row out."""
    for row in rows:
        try:
            item = read(row)
        except (CorruptDocumentError, DamagedHistoryError) as error:
            yield error
        else:
            if item is not None:
                yield item


def collected(rows: Iterable[T | RowError], limit: int | None, offset: int) -> Found[T]:
    """Leave out *offset* rows, damaged or not, and take what follows up to *limit* items. It reads no further."""
    found: Found[T] = Found()
    if limit == 0:
        return found
    for place, outcome in enumerate(rows):
        if place < offset:
            continue
        found.add(outcome)
        if len(found.items) == limit:
            break
    return found


def filled(
    fetch: Callable[[int | None, int], Sequence[R]], read: Callable[[R], T], limit: int | None, offset: int
) -> Found[T]:
    """Return *limit* items although some rows are damaged.

    Args:
        fetch: Returns at most so many rows, behind so many; all calls must be answered from one consistent view.
        read: Builds an item of a row, or raises CorruptDocumentError or DamagedHistoryError.
        limit: How many items are wanted; None for all.
        offset: How many rows to leave out first, damaged or not.
    """
    asked, seen = limit, offset
    rows = fetch(asked, seen)
    found: Found[T] = Found()
    _take(rows, read, found, limit)
    # A further round begins behind the rows seen. It ends at the latest with the rows of the view.
    while asked is not None and limit is not None and len(found.items) < limit and len(rows) >= asked:
        seen += len(rows)
        asked = max(limit - len(found.items), FEWEST_ROWS)
        rows = fetch(asked, seen)
        _take(rows, read, found, limit)
    return found


def _take(rows: Sequence[R], read: Callable[[R], T], found: Found[T], limit: int | None) -> None:
    items = found.items
    for row in rows:
        if len(items) == limit:
            return
        try:
            items.append(read(row))
        except (CorruptDocumentError, DamagedHistoryError) as error:
            found.damaged.append(DamagedRow(error=error, position=len(items)))
