"""The reading steps: loads, histories, searches, and pages that are turned while others write."""

import itertools
from datetime import timedelta
from typing import Any

import attrs
from hypothesis import strategies as st
from hypothesis.stateful import rule

from context_core_conformance.outcomes import exact
from context_core_conformance.stateful import strategies as drawn
from context_core_conformance.stateful.machine_base import ModelledStore
from context_core_conformance.stateful.query_strategies import STATUSES, Query
from context_core_conformance.stateful.reference_query import Clause, Head


@attrs.frozen
class OpenPage:
    """Where someone stopped reading: a cursor, and the row it stands on."""

    cursor: str
    order: tuple[str, ...]
    clauses: tuple[Clause, ...]
    workflow_id: str
    created_at: Any

    @property
    def filters(self) -> dict[Any, Any]:
        """The clauses as `search_page` takes them."""
        return {clause.filter_key: clause.value for clause in self.clauses}

    def is_before(self, head: Head) -> bool:
        """Whether the row comes after the one that the cursor stands on."""
        for term in self.order or ("-created_at", "-workflow_id"):
            field = term.removeprefix("-")
            own, place = head.value(field), getattr(self, field)
            if own != place:
                return bool(own > place) != term.startswith("-")
        # Equal so far: ids decide, ascending, where the order does not name them.
        return head.context.workflow_id > self.workflow_id


class ReadingRules(ModelledStore):
    """Steps that change nothing."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._open_page: OpenPage | None = None

    @rule(
        by=drawn.handles,
        workflow_ids=st.lists(drawn.known_ids, min_size=1, max_size=4),
        seconds=drawn.seconds,
        page=st.fixed_dictionaries(
            {"limit": st.none() | st.integers(0, 3), "offset": st.integers(0, 2), "newest_first": st.booleans()}
        ),
    )
    def look(self, by: int, workflow_ids: list[str], seconds: float, page: dict[str, Any]) -> None:
        """Many at once, as of some time, a page of a history, the latest; what was loaded is then changed (RT11)."""
        self.both(by, "load_contexts", workflow_ids)
        self.both(by, "load_context", workflow_ids[0], as_of=self.clock.now + timedelta(seconds=seconds))
        self.both(by, "history", workflow_ids[0], **page)
        for story, status in itertools.product(drawn.STORIES, STATUSES):
            self.both(by, "get_latest_context_by_status", *story, status)
        for loaded in self.stores[by].load_contexts(workflow_ids):
            drawn.spoil(loaded)
        self._written |= set(workflow_ids)

    @rule(by=drawn.handles, query=drawn.queries, size=st.integers(1, 4))
    def search(self, by: int, query: Query, size: int) -> None:
        """Documents, headers and the count of what a query finds; and all its pages, one after the other (PA01)."""
        query = attrs.evolve(query, clauses=tuple(clause for clause in query.clauses if self.can_ask(clause)))
        store, everywhere = self.stores[by], attrs.evolve(query, limit=None, offset=0)
        self.agree(lambda: store.search_contexts(**query.arguments), lambda: self.model.search(query))
        self.agree(lambda: store.list_headers(**query.arguments), lambda: self.model.headers(query))
        assert store.count_contexts(query.arguments["filters"]) == len(self.model.find(everywhere))
        arguments = {name: query.arguments[name] for name in ("filters", "order_by")}
        found: list[Any] = []
        cursor = None
        while True:
            page = store.search_page(**arguments, limit=size, cursor=cursor)
            found.extend(page.items)
            cursor = page.next_cursor
            if cursor is None:
                break
            assert len(page.items) == size
        assert exact(found) == exact(self.model.search(everywhere))

    @rule(by=drawn.handles, clauses=drawn.clauses, order=st.sampled_from(drawn.STABLE_ORDERS), size=st.integers(1, 2))
    def read_on(self, by: int, clauses: list[Clause], order: tuple[str, ...], size: int) -> None:
        """Read a first page and keep its cursor; or the page at the cursor that was kept.

        Whatever was written since, also where the cursor's row is gone (PA02, PA05).
        """
        page = self._open_page
        if page is None:
            asked = tuple(clause for clause in clauses if self.can_ask(clause))
            self._read_page(by, attrs.evolve(drawn.ordered(order), clauses=asked), size, None)
        else:
            self._read_page(by, attrs.evolve(drawn.ordered(page.order), clauses=page.clauses), size, page)

    def _read_page(self, by: int, query: Query, size: int, place: OpenPage | None) -> None:
        behind = {head.context.workflow_id for head in self.model.heads() if place is None or place.is_before(head)}
        expected = [workflow_id for workflow_id in self.model.find(query) if workflow_id in behind]
        page = self.stores[by].search_page(
            query.arguments["filters"],
            limit=size,
            cursor=None if place is None else place.cursor,
            order_by=query.order or None,
        )
        assert page.is_stable
        assert exact(page.items) == exact(self.model.load_contexts(expected[:size]))
        assert (page.next_cursor is not None) == (len(expected) > size)
        self._open_page = None
        if page.next_cursor is not None:
            last = expected[size - 1]
            self._open_page = OpenPage(page.next_cursor, query.order, query.clauses, last, self.model.created_at[last])
