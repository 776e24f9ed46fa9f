"""Finding workflows by what they hold, whole, by pages, or as a stream."""

from collections.abc import Iterator, Sequence
from typing import Final

import attrs

from context_core._facade.arguments import check_page
from context_core._facade.opening import C, OpenedStore
from context_core.cursors import Page, Place, after, is_stable, read_cursor, write_cursor
from context_core.errors import InvalidQueryError, UnsupportedOperationError
from context_core.model import Status
from context_core.query import Filters, parse_filters, parse_order
from context_core.records import QueryRequest, Selection, VersionHeader, Want

PAGE_SIZE: Final = 100


@attrs.frozen(kw_only=True)
class _FoundPage:
    """What a page found, one item too many where there is a next page."""

    found: Selection
    next_cursor: str | None
    is_stable: bool


class Searching(OpenedStore[C]):
    """The searching verbs."""

    def get_contexts_by_epic(self, epic_num: int) -> list[C]:
        """Return all workflows of an epic, its stories and the epic level, newest first."""
        return self.search_contexts({"epic_num": epic_num})

    def get_contexts_by_feature(self, feature: str) -> list[C]:
        """Return all workflows of a feature, newest first."""
        return self.search_contexts({"feature": feature})

    def get_active_contexts(self) -> list[C]:
        """Return all workflows that are running, newest first."""
        return self.search_contexts({"status": Status.RUNNING})

    def get_failed_contexts(self) -> list[C]:
        """Return all workflows that failed, newest first."""
        return self.search_contexts({"status": Status.FAILED})

    def search_contexts(
        self,
        filters: Filters | None = None,
        limit: int | None = None,
        offset: int | None = None,
        *,
        order_by: str | Sequence[str] | None = None,
    ) -> list[C]:
        """Return the newest versions of all workflows that meet *filters*, newest first unless ordered otherwise.

        Args:
            filters: `{"status__in": ["failed", "paused"], "created_at__gte": t, "decisions.db.choice": "sqlite"}`;
                see `context_core.query`. `{"story_num": None}` is the epic level.
            limit: At most so many; 0 gives none.
            offset: Leave out so many first.
            order_by: A field or several, "-" before those that sort descending.

        Raises:
            InvalidQueryError: An unknown field or operator, named with the known ones, or a value that does not fit.
        """
        return self._contexts(self._query(Want.DOCUMENTS, filters, order_by, limit, offset).documents)

    def count_contexts(self, filters: Filters | None = None) -> int:
        """Return how many workflows `search_contexts` would give (QU09)."""
        return self._query(Want.COUNT, filters).count

    def list_headers(
        self,
        filters: Filters | None = None,
        limit: int | None = None,
        offset: int | None = None,
        *,
        order_by: str | Sequence[str] | None = None,
    ) -> list[VersionHeader]:
        """As `search_contexts`, without reading documents (QU12): ids, versions, statuses and times."""
        return list(self._query(Want.HEADERS, filters, order_by, limit, offset).headers)

    def search_page(
        self,
        filters: Filters | None = None,
        *,
        limit: int = PAGE_SIZE,
        cursor: str | None = None,
        order_by: str | Sequence[str] | None = None,
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

        Raises:
            InvalidQueryError: As for `search_contexts`, or the cursor is of another query (PA04).
        """
        page = self._page(Want.DOCUMENTS, filters, limit, cursor, order_by)
        items = tuple(self._contexts(page.found.documents[:limit]))
        return Page(items=items, next_cursor=page.next_cursor, is_stable=page.is_stable)

    def headers_page(
        self,
        filters: Filters | None = None,
        *,
        limit: int = PAGE_SIZE,
        cursor: str | None = None,
        order_by: str | Sequence[str] | None = None,
    ) -> Page[VersionHeader]:
        """As `search_page`, without reading documents (QU12): one page of `list_headers`, and the cursor of the next.

        A cursor of `search_page` goes on here, and the other way round: both stand on the same row.
        """
        page = self._page(Want.HEADERS, filters, limit, cursor, order_by)
        return Page(items=tuple(page.found.headers[:limit]), next_cursor=page.next_cursor, is_stable=page.is_stable)

    def iter_contexts(
        self,
        filters: Filters | None = None,
        *,
        order_by: str | Sequence[str] | None = None,
        page_size: int = PAGE_SIZE,
    ) -> Iterator[C]:
        """Stream what `search_contexts` would give, holding one page in memory (PA06).

        Nothing is held open between pages: no writer waits, and the stream may be abandoned at any time. As for
        `search_page`, orders by fields that can change are stable only while nobody writes.
        """
        cursor = None
        while True:
            page = self.search_page(filters, limit=page_size, cursor=cursor, order_by=order_by)
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
    ) -> Iterator[VersionHeader]:
        """As `iter_contexts`, without reading documents: stream what `list_headers` would give."""
        cursor = None
        while True:
            page = self.headers_page(filters, limit=page_size, cursor=cursor, order_by=order_by)
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

    def _page(
        self, want: Want, filters: Filters | None, limit: int, cursor: str | None, order_by: str | Sequence[str] | None
    ) -> "_FoundPage":
        check_page(limit, None)
        if not limit:
            raise InvalidQueryError("limit must be 1 or more: an empty page leads nowhere")
        conditions, order = parse_filters(filters), parse_order(order_by)
        place = Place() if cursor is None else read_cursor(cursor, conditions, order)
        stable = is_stable(order)
        found = self._run(
            QueryRequest(
                conditions=conditions,
                order=order,
                want=Want.RECORDS if stable and want is Want.DOCUMENTS else want,
                limit=min(limit + 1, 2**63 - 1),  # one more tells whether there is a next page
                offset=place.offset,
                after=place.after,
            )
        )
        next_cursor = None
        if len(found.headers or found.documents) > limit:
            last = after(found.headers[limit - 1], order) if stable else Place(offset=place.offset + limit)
            next_cursor = write_cursor(last, conditions, order)
        return _FoundPage(found=found, next_cursor=next_cursor, is_stable=stable)

    def _query(
        self,
        want: Want,
        filters: Filters | None,
        order_by: str | Sequence[str] | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Selection:
        check_page(limit, offset)
        request = QueryRequest(
            conditions=parse_filters(filters),
            order=parse_order(order_by),
            want=want,
            limit=limit,
            offset=offset or 0,
        )
        return self._run(request)

    def _run(self, request: QueryRequest) -> Selection:
        if self._serializer.is_opaque and not all(condition.is_indexed for condition in request.conditions):
            raise UnsupportedOperationError(
                operation="filters on free-form fields",
                backend=self.describe().name,
                hint="this store's document codec hides them; filter on indexed fields or tags",
            )
        return self._verbs.query(request)

    def _first(self, filters: Filters) -> C | None:
        return next(iter(self.search_contexts(filters, limit=1)), None)
