"""Finding workflows by what they hold, whole, by pages, or as a stream."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

import attrs

from context_core._facade.arguments import check_page
from context_core._facade.damaged import UNREADABLE, Damaged, DamagePolicy, OnDamaged, damage_policy, in_order
from context_core._facade.opening import C, OpenedStore
from context_core.conditions import Condition, OrderTerm
from context_core.cursors import Page, Place, after, is_stable, read_cursor, write_cursor
from context_core.errors import BackendContractError, InvalidQueryError, UnsupportedOperationError
from context_core.model import Status
from context_core.query import Filters, parse_filters, parse_order
from context_core.records import DamagedRow, QueryRequest, Selection, VersionHeader, Want

T = TypeVar("T")

PAGE_SIZE: Final = 100
"""How many contexts a page holds by default."""

FEWEST_ROWS: Final = 20
"""How many rows a further look asks for at least, where some could not be read."""


class Searching(OpenedStore[C]):
    """The searching verbs.

    All that list contexts take `damaged` and `on_damaged`. With "raise" a row that cannot be read is raised: as
    CorruptDocumentError, UnsupportedSchemaError or DamagedHistoryError, which name it. With "skip" it is left out:
    *on_damaged* is called with the error, a warning is logged, and the row does not count towards the limit.
    """

    def get_contexts_by_epic(
        self, epic_num: int, *, damaged: Damaged = "raise", on_damaged: OnDamaged | None = None
    ) -> list[C]:
        """Return all workflows of an epic, its stories and the epic level, newest first."""
        return self.search_contexts({"epic_num": epic_num}, damaged=damaged, on_damaged=on_damaged)

    def get_contexts_by_feature(
        self, feature: str, *, damaged: Damaged = "raise", on_damaged: OnDamaged | None = None
    ) -> list[C]:
        """Return all workflows of a feature, newest first."""
        return self.search_contexts({"feature": feature}, damaged=damaged, on_damaged=on_damaged)

    def get_active_contexts(self, *, damaged: Damaged = "raise", on_damaged: OnDamaged | None = None) -> list[C]:
        """Return all workflows that are running, newest first."""
        return self.search_contexts({"status": Status.RUNNING}, damaged=damaged, on_damaged=on_damaged)

    def get_failed_contexts(self, *, damaged: Damaged = "raise", on_damaged: OnDamaged | None = None) -> list[C]:
        """Return all workflows that failed, newest first."""
        return self.search_contexts({"status": Status.FAILED}, damaged=damaged, on_damaged=on_damaged)

    def search_contexts(  # noqa: PLR0913  # options by name
        self,
        filters: Filters | None = None,
        limit: int | None = None,
        offset: int | None = None,
        *,
        order_by: str | Sequence[str] | None = None,
        damaged: Damaged = "raise",
        on_damaged: OnDamaged | None = None,
    ) -> list[C]:
        """Return the newest versions of all workflows that meet *filters*, newest first unless ordered otherwise.

        Args:
            filters: `{"status__in": ["failed", "paused"], "created_at__gte": t, "decisions.db.choice": "sqlite"}`;
                see `context_core.query`. `{"story_num": None}` is the epic level.
            limit: At most so many; 0 gives none.
            offset: Leave out so many rows first; those that cannot be read count here, so that an offset means the same
                row whatever *damaged* says.
            order_by: A field or several, "-" before those that sort descending.
            damaged: "raise" the first row that cannot be read, or "skip" such rows.
            on_damaged: With "skip": called with the error of each row that is left out.

        Raises:
            InvalidQueryError: An unknown field or operator, named with the known ones, or a value that does not fit.
            CorruptDocumentError: A row cannot be read, and *damaged* is "raise".
        """
        check_page(limit, offset)
        policy = damage_policy(damaged, on_damaged)
        conditions, order = parse_filters(filters), parse_order(order_by)
        if policy.skips and limit:
            request = QueryRequest(conditions=conditions, order=order, want=Want.DOCUMENTS)
            return self._gather(request, self._context_at, Place(offset=offset or 0), limit, policy)[0]
        found = self._query(Want.DOCUMENTS, conditions, order, limit, offset)
        return self._readable_contexts(found.documents, found.damaged, policy)

    def count_contexts(
        self,
        filters: Filters | None = None,
        *,
        damaged: Damaged = "raise",
        on_damaged: OnDamaged | None = None,
    ) -> int:
        """Return how many workflows meet *filters* (QU09), those that cannot be read included.

        Where *filters* look into documents, a row that cannot be read may or may not meet them: it is raised or, with
        "skip", not counted.
        """
        policy = damage_policy(damaged, on_damaged)
        found = self._query(Want.COUNT, parse_filters(filters), ())
        policy.meet(found.damaged)
        return found.count

    def list_headers(  # noqa: PLR0913  # options by name
        self,
        filters: Filters | None = None,
        limit: int | None = None,
        offset: int | None = None,
        *,
        order_by: str | Sequence[str] | None = None,
        damaged: Damaged = "skip",
        on_damaged: OnDamaged | None = None,
    ) -> list[VersionHeader]:
        """As `search_contexts`, without reading documents (QU12): ids, versions, statuses and times.

        A row whose columns cannot be read is left out unless *damaged* is "raise".
        """
        check_page(limit, offset)
        policy = damage_policy(damaged, on_damaged)
        found = self._query(Want.HEADERS, parse_filters(filters), parse_order(order_by), limit, offset)
        policy.meet(found.damaged)
        return list(found.headers)

    def search_page(  # noqa: PLR0913  # options by name
        self,
        filters: Filters | None = None,
        *,
        limit: int = PAGE_SIZE,
        cursor: str | None = None,
        order_by: str | Sequence[str] | None = None,
        damaged: Damaged = "raise",
        on_damaged: OnDamaged | None = None,
    ) -> Page[C]:
        """Return one page of `search_contexts`, and the cursor of the next (PA01).

        In an order by `created_at` and `workflow_id`, the default among them, each workflow that is there throughout
        appears exactly once, whatever others write meanwhile (PA02). Other orders page by counting rows:
        `Page.is_stable` is then False.

        Args:
            filters: As for `search_contexts`.
            limit: At most so many, 1 or more.
            cursor: `next_cursor` of the page before, with the same filters and order; None for the first page.
            order_by: As for `search_contexts`.
            damaged: As for `search_contexts`; each row that is left out is told of by one page.
            on_damaged: As for `search_contexts`.

        Raises:
            InvalidQueryError: As for `search_contexts`, or the cursor is of another query (PA04).
            CorruptDocumentError: A row of the page cannot be read, and *damaged* is "raise".
        """
        policy = damage_policy(damaged, on_damaged)
        return self._page(Want.DOCUMENTS, self._context_at, filters, limit, cursor, order_by, policy)

    def headers_page(  # noqa: PLR0913  # options by name
        self,
        filters: Filters | None = None,
        *,
        limit: int = PAGE_SIZE,
        cursor: str | None = None,
        order_by: str | Sequence[str] | None = None,
        damaged: Damaged = "skip",
        on_damaged: OnDamaged | None = None,
    ) -> Page[VersionHeader]:
        """As `search_page`, without reading documents (QU12): one page of `list_headers`, and the cursor of the next.

        A cursor of `search_page` goes on here, and the other way round: both stand on the same row. A row whose columns
        cannot be read is left out unless *damaged* is "raise".
        """
        policy = damage_policy(damaged, on_damaged)
        return self._page(Want.HEADERS, _header_at, filters, limit, cursor, order_by, policy)

    def iter_contexts(
        self,
        filters: Filters | None = None,
        *,
        order_by: str | Sequence[str] | None = None,
        page_size: int = PAGE_SIZE,
        damaged: Damaged = "raise",
        on_damaged: OnDamaged | None = None,
    ) -> Iterator[C]:
        """Stream what `search_contexts` would give, holding one page in memory (PA06).

        Nothing is held open between pages: no writer waits, and the stream may be abandoned at any time. As for
        `search_page`, orders by fields that can change are stable only while nobody writes.
        """
        cursor = None
        while True:  # each page begins behind the one before
            page = self.search_page(
                filters, limit=page_size, cursor=cursor, order_by=order_by, damaged=damaged, on_damaged=on_damaged
            )
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def iter_headers(
        self,
        filters: Filters | None = None,
        *,
        order_by: str | Sequence[str] | None = None,
        page_size: int = PAGE_SIZE,
        damaged: Damaged = "skip",
        on_damaged: OnDamaged | None = None,
    ) -> Iterator[VersionHeader]:
        """As `iter_contexts`, without reading documents: stream what `list_headers` would give."""
        cursor = None
        while True:  # each page begins behind the one before
            page = self.headers_page(
                filters, limit=page_size, cursor=cursor, order_by=order_by, damaged=damaged, on_damaged=on_damaged
            )
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def explain(self, filters: Filters | None = None, *, order_by: str | Sequence[str] | None = None) -> str:
        """Return the engine's plan of such a search, as text (QU13).

        Raises:
            UnsupportedOperationError: The backend cannot tell.
        """
        return self._backend.explain(QueryRequest(conditions=parse_filters(filters), order=parse_order(order_by)))

    def _page(  # noqa: PLR0913, PLR0917  # the arguments of two verbs
        self,
        want: Want,
        read: Callable[[Selection, int], T],
        filters: Filters | None,
        limit: int,
        cursor: str | None,
        order_by: str | Sequence[str] | None,
        policy: DamagePolicy,
    ) -> Page[T]:
        check_page(limit, None)
        if not limit:
            raise InvalidQueryError("limit must be 1 or more: an empty page leads nowhere")
        conditions, order = parse_filters(filters), parse_order(order_by)
        request = QueryRequest(conditions=conditions, order=order, want=want)
        place = Place() if cursor is None else read_cursor(cursor, conditions, order)
        items, following = self._gather(request, read, place, limit, policy)
        next_cursor = None if following is None else write_cursor(following, conditions, order)
        return Page(items=tuple(items), next_cursor=next_cursor, is_stable=is_stable(order))

    def _query(
        self,
        want: Want,
        conditions: Sequence[Condition],
        order: Sequence[OrderTerm],
        limit: int | None = None,
        offset: int | None = None,
    ) -> Selection:
        return self._run(QueryRequest(conditions=conditions, order=order, want=want, limit=limit, offset=offset or 0))

    def _gather(
        self,
        request: QueryRequest,
        read: Callable[[Selection, int], T],
        place: Place,
        limit: int,
        policy: DamagePolicy,
    ) -> tuple[list[T], Place | None]:
        """Return *limit* items behind *place*, and the place behind them; None at the end.

        A document that cannot be read shows only when it is *read*, so that more rows may have to be asked for. Each
        look begins behind the rows of the one before, and the last finds fewer than it asked for.
        """
        order, stable = request.order, is_stable(request.order)
        want = Want.RECORDS if stable and request.want is Want.DOCUMENTS else request.want
        found: list[T] = []
        asked = min(limit + 1, 2**63 - 1)  # one more tells whether there is a next page
        while True:
            start = place
            page = self._run(attrs.evolve(request, want=want, limit=asked, offset=start.offset, after=start.after))
            total = len(page.headers or page.documents)
            for number, row in enumerate(in_order(range(total), page.damaged), 1):
                if len(found) == limit:
                    return found, place
                if isinstance(row, DamagedRow):
                    policy.met(row.error)
                    continue
                try:
                    found.append(read(page, row))
                except UNREADABLE as error:
                    policy.met(error)
                place = after(page.headers[row], order) if stable else Place(offset=start.offset + number)
            if total < asked:
                return found, None
            if place == start:
                raise BackendContractError("query gave the same rows twice: it ignores after or offset")
            asked = min(max(limit - len(found), FEWEST_ROWS) + 1, 2**63 - 1)

    def _context_at(self, page: Selection, row: int) -> C:
        return self._serializer.to_context(page.documents[row])

    def _run(self, request: QueryRequest) -> Selection:
        if self._serializer.is_opaque and not all(condition.is_indexed for condition in request.conditions):
            raise UnsupportedOperationError(
                operation="filters on free-form fields",
                backend=self.describe().name,
                hint="this store's document codec hides them; filter on indexed fields or tags",
            )
        return self._verbs.query(request)

    def _first(self, filters: Filters, damaged: Damaged, on_damaged: OnDamaged | None) -> C | None:
        found = self.search_contexts(filters, limit=1, damaged=damaged, on_damaged=on_damaged)
        return found[0] if found else None


def _header_at(page: Selection, row: int) -> VersionHeader:
    return page.headers[row]
