"""Pages of what a query finds: a fixed number of readable items, also where some rows are damaged."""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import attrs

from context_core._facade.damaged import UNREADABLE, DamagePolicy, in_order
from context_core.conditions import OrderTerm
from context_core.cursors import Page, Place, after, is_stable, read_cursor, write_cursor
from context_core.errors import BackendContractError
from context_core.records import DamagedRow, QueryRequest, Selection, Want

T = TypeVar("T")

PAGE_SIZE: Final = 100
"""How many contexts a page holds by default."""

FEWEST_ROWS: Final = 20
"""How many rows a further query asks for at least, if some rows could not be read."""


def page_of(
    query: Callable[[QueryRequest], Selection],
    request: QueryRequest,
    read: Callable[[Selection, int], T],
    cursor: str | None,
    policy: DamagePolicy,
) -> Page[T]:
    """Return the page of `request.limit` items that begins at *cursor*, with the cursor of the next page (PA01)."""
    conditions, order = request.conditions, request.order
    place = Place() if cursor is None else read_cursor(cursor, conditions, order)
    items, following = gathered(query, request, read, place, policy)
    next_cursor = None if following is None else write_cursor(following, conditions, order)
    return Page(items=tuple(items), next_cursor=next_cursor, is_stable=is_stable(order))


def gathered(
    query: Callable[[QueryRequest], Selection],
    request: QueryRequest,
    read: Callable[[Selection, int], T],
    place: Place,
    policy: DamagePolicy,
) -> tuple[list[T], Place | None]:
    """Return `request.limit` items from *place* on, and the place behind them; None at the end.

    Whether a document can be read is known only after *read*, so further queries may be needed. Each query begins
    behind the rows of the query before. The last query finds fewer rows than it asked for.
    """
    order, stable = request.order, is_stable(request.order)
    want = Want.RECORDS if stable and request.want is Want.DOCUMENTS else request.want
    limit = request.limit or 0
    found: list[T] = []
    asked = min(limit + 1, 2**63 - 1)  # one more tells whether there is a next page
    while True:
        start, last = place, None
        page = query(attrs.evolve(request, want=want, limit=asked, offset=start.offset, after=start.after))
        total = len(page.headers or page.documents)
        for number, row in enumerate(in_order(range(total), page.damaged) if page.damaged else range(total), 1):
            if len(found) == limit:
                return found, _place_behind(page, last, start, order)
            if isinstance(row, DamagedRow):
                policy.handle(row.error)
                continue
            try:
                found.append(read(page, row))
            except UNREADABLE as error:
                policy.handle(error)
            last = row, number
        if total < asked:
            return found, None
        place = _place_behind(page, last, start, order)
        if place == start:
            raise BackendContractError("query gave the same rows twice: it ignores after or offset")
        asked = min(max(limit - len(found), FEWEST_ROWS) + 1, 2**63 - 1)


def _place_behind(page: Selection, last: tuple[int, int] | None, start: Place, order: Sequence[OrderTerm]) -> Place:
    """Return the place behind a row of a page: its index and its number among all rows; *start* if there is none.

    Only one place of a page is needed: to compute it costs as much as a tenth of a row.
    """
    if last is None:
        return start
    row, number = last
    return after(page.headers[row], order) if is_stable(order) else Place(offset=start.offset + number)
