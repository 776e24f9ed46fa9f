"""Scans of a whole store: every head, every version history, one page at a time."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final, TypeAlias

from context_core.conditions import OrderTerm
from context_core.hookspecs import ContextBackend
from context_core.plugins import BoundVerbs
from context_core.records import (
    Capability,
    QueryRequest,
    Selection,
    VersionRequest,
    Want,
)

PAGE_SIZE: Final = 200
"""How many versions one request reads, or one transaction writes."""

Reader: TypeAlias = ContextBackend | BoundVerbs
"""An object that answers load, version and query."""

_BY_ID: Final = (OrderTerm(field="workflow_id"),)


@contextmanager
def view_of(backend: ContextBackend) -> Iterator[ContextBackend]:
    """Open a consistent view if the backend has snapshots; otherwise give the backend itself."""
    if Capability.SNAPSHOT not in backend.describe().capabilities:
        yield backend
        return
    with closing(backend.snapshot()) as view:
        yield view


def ids(view: Reader) -> Iterator[str]:
    """Yield every workflow's id, also if its header cannot be read or no verb loads it."""
    for page in pages(view, Want.DOCUMENTS):
        yield from (stored.workflow_id for stored in page.documents)
        yield from (row.error.workflow_id for row in page.damaged)


def pages(view: Reader, want: Want) -> Iterator[Selection]:
    """Yield the heads in the order of their ids, one page at a time."""
    place: tuple[str] | None = None
    while True:  # ends with the rows: each page begins behind the one before
        page = view.query(QueryRequest(order=_BY_ID, want=want, limit=PAGE_SIZE, after=place))
        yield page
        if page.count < PAGE_SIZE:
            return
        place = ((page.headers or page.documents)[-1].workflow_id,)


def history(view: Reader, workflow_id: str, want: Want, *, newest_first: bool = False) -> Iterator[Selection]:
    """Yield a workflow's versions one page at a time, oldest first by default."""
    offset = 0
    while True:  # ends with the rows: each page begins behind the one before
        page = view.version(
            VersionRequest(of=workflow_id, want=want, limit=PAGE_SIZE, offset=offset, newest_first=newest_first)
        )
        yield page
        offset += page.count + len(page.damaged)
        if page.count < PAGE_SIZE:
            return
