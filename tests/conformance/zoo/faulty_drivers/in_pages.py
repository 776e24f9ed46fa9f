"""Faults of pages that begin behind a row."""

from typing import Any

import attrs

from context_core.query import total_order
from context_core.records import QueryRequest, Selection, VersionHeader, Want
from context_core_memory import MemoryBackend
from faulty_drivers.fault import breaks


class _OwnPlaces(MemoryBackend):
    """A page begins at the first row of which `is_after` is true."""

    def query(self, request: QueryRequest) -> Selection:
        if request.after is None or request.want is Want.COUNT:
            return super().query(request)
        found = super().query(attrs.evolve(request, after=None, limit=None, want=Want.RECORDS))
        pairs = zip(found.headers, found.documents, strict=True)
        page = [pair for pair in pairs if self.is_after(pair[0], request)][: request.limit]
        return Selection(
            headers=() if request.want is Want.DOCUMENTS else [header for header, _ in page],
            documents=() if request.want is Want.HEADERS else [document for _, document in page],
            count=len(page),
        )

    def is_after(self, header: VersionHeader, request: QueryRequest) -> bool:
        terms, place = total_order(request.order), request.after or ()
        for term, value in zip(terms, place, strict=True):
            own = getattr(header, term.field)
            if own != value:
                return bool(own < value if term.descending else own > value)
        return False


@breaks("PA01", "PA03")
class PagesSkipTies(_OwnPlaces):
    """A page begins behind all rows of the last one's time."""

    def is_after(self, header: VersionHeader, request: QueryRequest) -> bool:
        (term, *_), (value, *_) = total_order(request.order), request.after or ()
        own = getattr(header, term.field)
        return bool(own < value if term.descending else own > value)


@breaks("PA01", "PA03")
class PagesRepeatARow(_OwnPlaces):
    """A page begins with the row where the last one ended, at every tie."""

    def is_after(self, header: VersionHeader, request: QueryRequest) -> bool:
        place: tuple[Any, ...] = request.after or ()
        own = tuple(getattr(header, term.field) for term in total_order(request.order))
        is_tied = own == place and sum(header.workflow_id.encode()) % 2 == 0
        return is_tied or super().is_after(header, request)


@breaks("PA01")
class TiesOfAPageGoUp(_OwnPlaces):
    """Within one time a page goes on upwards by id, where the list goes down."""

    def is_after(self, header: VersionHeader, request: QueryRequest) -> bool:
        terms, place = total_order(request.order), request.after or ()
        own = tuple(getattr(header, term.field) for term in terms)
        return own > place if own[0] == place[0] else super().is_after(header, request)


@breaks("PA05")
class PlaceMustExist(_OwnPlaces):
    """A page that begins behind a row that is gone is empty."""

    def query(self, request: QueryRequest) -> Selection:
        if request.after is not None:
            terms = total_order(request.order)
            rows = MemoryBackend.query(self, QueryRequest(want=Want.HEADERS)).headers
            if request.after not in [tuple(getattr(row, term.field) for term in terms) for row in rows]:
                return Selection()
        return super().query(request)


@breaks("PA02")
class PlacesAreCounted(MemoryBackend):
    """A page begins at as many rows as were read before, whatever came or went meanwhile."""

    def __init__(self, name: str = "", **options: Any) -> None:
        super().__init__(name, **options)
        self._read: dict[tuple[Any, ...], int] = {}

    def query(self, request: QueryRequest) -> Selection:
        start = self._read.get(request.after or (), 0) if request.after is not None else 0
        found = super().query(attrs.evolve(request, after=None, offset=request.offset + start))
        if request.limit and request.want is not Want.COUNT:
            headers = super().query(attrs.evolve(request, after=None, offset=start, want=Want.HEADERS)).headers
            for position, header in enumerate(headers, start + 1):
                self._read[tuple(getattr(header, term.field) for term in total_order(request.order))] = position
        return found


@breaks("PA01", "QU09")
class PageForgetsItsFilter(MemoryBackend):
    """Behind the first page conditions no longer count."""

    def query(self, request: QueryRequest) -> Selection:
        return super().query(attrs.evolve(request, conditions=()) if request.after is not None else request)


@breaks("PA01")
class PageEndsOneEarly(MemoryBackend):
    """A later page is one row shorter than it was asked to be, and seems to be the last."""

    def query(self, request: QueryRequest) -> Selection:
        if request.after is not None and request.limit is not None and request.limit > 1:
            request = attrs.evolve(request, limit=request.limit - 1)
        return super().query(request)


@breaks("PA05", "PA02")
class PlaceIsWhereItsRowIsNow(_OwnPlaces):
    """A page begins behind the row of the cursor's id, wherever that stands now."""

    def query(self, request: QueryRequest) -> Selection:
        if request.after is not None:
            terms = total_order(request.order)
            workflow_id = dict(zip([term.field for term in terms], request.after, strict=True)).get("workflow_id")
            for row in MemoryBackend.query(self, QueryRequest(want=Want.HEADERS)).headers:
                if row.workflow_id == workflow_id:
                    place = tuple(getattr(row, term.field) for term in terms)
                    return super().query(attrs.evolve(request, after=place))
        return super().query(request)
