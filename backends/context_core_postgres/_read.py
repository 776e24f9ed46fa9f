"""Loading, listing and searching: each is one statement, so that it sees one state of the database."""

from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from typing import Any, Final, TypeAlias

from context_core.columns import HEADER_COLUMNS, LINEAGE_COLUMNS, VERSION_COLUMNS
from context_core.conditions import Condition
from context_core.errors import CorruptDocumentError, DamagedHistoryError
from context_core.pages import Found, collected, filled, outcomes
from context_core.query import matches
from context_core.records import (
    LoadRequest,
    QueryRequest,
    Selection,
    StoredDocument,
    Story,
    Tombstone,
    VersionHeader,
    VersionRequest,
    Want,
)
from context_core.sql_conditions import HEAD
from context_core_postgres import _history
from context_core_postgres._damage import (
    HEAD_OF_VERSION,
    NEWEST_OF_HEAD,
    NEWEST_OF_VERSION,
    ORPHANS,
    check_histories,
    of_head,
    of_version,
)
from context_core_postgres._rows import head_document_columns, header, read_columns, read_time, utc_of
from context_core_postgres._session import Parameters, Session
from context_core_postgres._sql import order_by, where

_FURTHER_ATTEMPTS: Final = 2
_DOCUMENT: Final = ", ".join(_history.DOCUMENT_COLUMNS)
_HEADER: Final = read_columns(VERSION_COLUMNS)
_HEADER_WIDTH: Final = len(VERSION_COLUMNS)
_HEAD_DOCUMENT: Final = head_document_columns(HEAD)
_HEAD_HEADER: Final = f"{read_columns(HEADER_COLUMNS, HEAD)}, {read_columns(LINEAGE_COLUMNS, 'stored')}"

_LOAD_HEAD: Final = (
    f"SELECT {_HEAD_DOCUMENT}, {NEWEST_OF_HEAD} FROM our.workflow_context AS {HEAD} WHERE workflow_id = %s"
)
_STANDING: Final = f"{HEAD_OF_VERSION} AS standing_head, {NEWEST_OF_VERSION} AS standing_newest"
# The first name takes the table's own; what follows it is taken as it is.
_with_bases: Final = partial(_history.with_bases, columns=(*_history.DOCUMENT_COLUMNS, f"workflow_id, {_STANDING}"))
_LOAD_VERSION: Final = _with_bases("SELECT %s::text, %s::bigint")
_LOAD_AS_OF: Final = _with_bases("""
    (SELECT workflow_id, version FROM our.workflow_context_versions
    WHERE workflow_id = %s AND saved_at <= %s ORDER BY version DESC LIMIT 1)""")
# Many ids travel as one array: there is a limit to parameters, and one statement sees one state.
_LOAD_HEADS: Final = f"""
    SELECT {_HEAD_DOCUMENT}, {NEWEST_OF_HEAD} FROM our.workflow_context AS {HEAD} WHERE workflow_id = ANY(%s::text[])"""
_LOAD_VERSIONS: Final = _with_bases("SELECT workflow_id, %s::bigint FROM unnest(%s::text[]) AS workflow_id")
_LOAD_MANY_AS_OF: Final = _with_bases("""
    SELECT workflow_id, version FROM our.workflow_context_versions AS stored
    WHERE workflow_id = ANY(%s::text[]) AND version = (
        SELECT version FROM our.workflow_context_versions
        WHERE workflow_id = stored.workflow_id AND saved_at <= %s ORDER BY version DESC LIMIT 1)""")

_TOMBSTONES: Final = f"""
    SELECT workflow_id, last_version, {read_time("deleted_at")} FROM our.workflow_context_tombstones AS gone
    WHERE NOT EXISTS (SELECT FROM our.workflow_context AS {HEAD} WHERE {HEAD}.workflow_id = gone.workflow_id)
    ORDER BY workflow_id"""
_HEADS: Final = f"our.workflow_context AS {HEAD}"
_LINEAGE: Final = f"""LEFT JOIN our.workflow_context_versions AS stored
    ON stored.workflow_id = {HEAD}.workflow_id AND stored.version = {HEAD}.version"""


def load(session: Session, request: LoadRequest) -> list[StoredDocument]:
    """Read documents by id."""
    # PostgreSQL's text holds no NUL, and neither does the id of anything stored.
    ids = [workflow_id for workflow_id in request.workflow_ids if "\0" not in workflow_id]
    documents = _load(session, ids, request) if ids else []
    found = {document.workflow_id: document for document in documents}
    missing = [workflow_id for workflow_id in ids if workflow_id not in found]
    if missing:
        check_histories(session, missing)
    return [found[workflow_id] for workflow_id in request.workflow_ids if workflow_id in found]


def _load(session: Session, ids: list[str], request: LoadRequest) -> list[StoredDocument]:
    is_one = len(ids) == 1
    if request.version is not None:
        values = (ids[0], request.version) if is_one else (request.version, ids)
        return _standing(_run(session, _LOAD_VERSION if is_one else _LOAD_VERSIONS, values))
    if request.as_of is not None:
        sql = _LOAD_AS_OF if is_one else _LOAD_MANY_AS_OF
        return _standing(_run(session, sql, (ids[0] if is_one else ids, request.as_of)))
    rows = _run(session, _LOAD_HEAD, ids) if is_one else _run(session, _LOAD_HEADS, (ids,))
    return [of_head(lambda row: StoredDocument(*row), row) for row in rows]


def _standing(rows: list[tuple[Any, ...]]) -> list[StoredDocument]:
    for row in rows:
        DamagedHistoryError.check(row[0], *row[-2:])
    return _history.newest_of_each(rows)


def version(session: Session, request: VersionRequest) -> Selection:
    """Read the history of a workflow, or of a story in the order of its index."""
    condition, order, parameters = _history_of(request.of)
    if isinstance(request.of, str) and (request.want is Want.COUNT or request.limit == 0):
        check_histories(session, (request.of,))
    if request.want is Want.COUNT:
        sql = f"SELECT count(*) FROM our.workflow_context_versions WHERE {condition}"
        return Selection(count=_run(session, sql, parameters)[0][0])
    direction = " DESC" if request.newest_first else ""
    sql = f"""
        SELECT {_columns(request.want, _HEADER, _DOCUMENT)}, {_STANDING}
        FROM our.workflow_context_versions AS stored WHERE {condition}
        ORDER BY {", ".join(column + direction for column in order)} LIMIT %s OFFSET %s"""

    def fetch(limit: int | None, offset: int) -> list[tuple[Any, ...]]:
        return _run(session, sql, (*parameters, limit, offset))

    if request.want is Want.HEADERS:
        found = _page(session, request, fetch, partial(of_version, _header))
    else:
        place = 0 if request.want is Want.DOCUMENTS else _HEADER_WIDTH
        read = partial(of_version, partial(_decoded, place))
        found = _page(session, request, partial(_documents, session, fetch, place), read)
    if isinstance(request.of, str):
        _check_history(session, request.of, found)
    return found


def _check_history(session: Session, workflow_id: str, found: Selection) -> None:
    """Raise what the rows of a workflow tell of its history as a whole; without rows, look for its head."""
    for row in found.damaged:
        if isinstance(row.error, DamagedHistoryError):
            raise row.error
    if not found.count and not found.damaged:
        check_histories(session, (workflow_id,))


_Item: TypeAlias = tuple[VersionHeader | None, StoredDocument | None]
_Fetch: TypeAlias = Callable[[int | None, int], Sequence[tuple[Any, ...]]]


def _page(
    session: Session, request: VersionRequest | QueryRequest, fetch: _Fetch, read: Callable[[Sequence[Any]], _Item]
) -> Selection:
    """Read a page; where damaged rows are among it, as many more as it takes, all of one moment (CR06)."""
    found: Found[_Item] = collected(outcomes(fetch(request.limit, request.offset), read), request.limit, 0)
    if found.damaged and request.limit is not None:
        with session.one_view():
            found = filled(fetch, read, request.limit, request.offset)
    return Selection(
        headers=tuple(item[0] for item in found.items if item[0] is not None),
        documents=tuple(item[1] for item in found.items if item[1] is not None),
        count=len(found.items),
        damaged=found.damaged,
    )


def _header(row: Sequence[Any]) -> _Item:
    return header(row), None


def _decoded(place: int, row: Sequence[Any]) -> _Item:
    """Read a row of `_documents`, whose last column is its document, or why there is none."""
    if isinstance(row[-1], CorruptDocumentError):
        raise row[-1]
    return header(row[:place]) if place else None, row[-1]


def _stored(place: int, row: Sequence[Any]) -> _Item:
    """Read a row with a plain document at *place*."""
    return header(row[:place]) if place else None, StoredDocument(*row[place:])


def _documents(session: Session, fetch: _Fetch, place: int, limit: int | None, offset: int) -> list[tuple[Any, ...]]:
    """Read rows with a document at *place*, which may lean on versions that only another statement reads.

    Between the two a prune may take those away, having packed anew what leans on them: then all is read again.
    """
    for _ in range(1 + _FURTHER_ATTEMPTS):
        rows = fetch(limit, offset)
        documents = _history.decoded(session, [row[place:-2] for row in rows])
        if not any(isinstance(document, CorruptDocumentError) for document in documents):
            break
    return [(*row[:place], document, *row[-2:]) for row, document in zip(rows, documents, strict=True)]


def _history_of(of: str | Story) -> tuple[str, Sequence[str], tuple[Any, ...]]:
    if isinstance(of, Story):
        order = ("version", "created_at", "workflow_id")
        if of.story_num is None:
            return "epic_num = %s::bigint AND story_num IS NULL", order, (of.epic_num,)
        return "epic_num = %s::bigint AND story_num = %s::bigint", order, (of.epic_num, of.story_num)
    if "\0" in of:
        return "false", ("version",), ()
    return "workflow_id = %s", ("version",), (of,)


def query(session: Session, request: QueryRequest) -> Selection:
    """Find heads: SQL decides what columns can tell, the evaluator what only documents can."""
    if request.want is Want.TOMBSTONES:
        with session.one_view():
            left = collected(outcomes(_run(session, _TOMBSTONES, ()), _tombstone), None, 0)
            for workflow_id, newest in _run(session, ORPHANS, ()):
                left.add(DamagedHistoryError.between(workflow_id, None, newest))
        return Selection(tombstones=tuple(left.items), damaged=left.damaged)
    sql, parameters, residual = statement(request)
    if not residual and request.want is Want.COUNT:
        return Selection(count=_run(session, sql, parameters)[0][0])
    if not residual:
        place = 0 if request.want is Want.DOCUMENTS else _HEADER_WIDTH
        read = _header if request.want is Want.HEADERS else partial(_stored, place)
        own = tuple(parameters)[:-2]  # what follows is the page's

        return _page(
            session, request, lambda limit, offset: _run(session, sql, (*own, limit, offset)), partial(of_head, read)
        )
    with closing(session.candidates(sql, parameters)) as rows_at_once:
        candidates = outcomes(rows_at_once, partial(_candidate, residual))
        if request.want is Want.COUNT:
            everything = collected(candidates, None, 0)
            return Selection(count=len(everything.items), damaged=everything.damaged)
        found = collected(candidates, request.limit, request.offset)
    return Selection(
        headers=() if request.want is Want.DOCUMENTS else tuple(item for item, _ in found.items),
        documents=() if request.want is Want.HEADERS else tuple(document for _, document in found.items),
        count=len(found.items),
        damaged=found.damaged,
    )


def _candidate(residual: Sequence[Condition], row: Sequence[Any]) -> tuple[VersionHeader, StoredDocument] | None:
    """Read a row of a query that the evaluator decides; None where it does not meet the conditions."""
    DamagedHistoryError.check(row[0], row[1], row[-1])
    found = header(row[:_HEADER_WIDTH]), StoredDocument(*row[_HEADER_WIDTH:-1])
    return found if matches(residual, *found) else None


def _tombstone(row: Sequence[Any]) -> Tombstone:
    workflow_id, last_version, deleted_at = row
    return Tombstone(
        workflow_id=workflow_id, last_version=last_version, deleted_at=utc_of(workflow_id, last_version, deleted_at)
    )


def statement(request: QueryRequest) -> tuple[str, Parameters, Sequence[Condition]]:
    """Return the SQL of a query, its parameters, and the conditions that it leaves for the evaluator.

    Where it leaves some, it gives all candidates in order, each as a header and a document.
    """
    chosen = where(request)
    order = order_by(request.order)
    if chosen.residual:
        columns = f"{_HEAD_HEADER}, {_HEAD_DOCUMENT}, {NEWEST_OF_HEAD}"
        sql = f"SELECT {columns} FROM {_HEADS} {_LINEAGE} WHERE {chosen.sql} ORDER BY {order}"
        return sql, chosen.parameters, chosen.residual
    if request.want is Want.COUNT:
        return f"SELECT count(*) FROM {_HEADS} WHERE {chosen.sql}", chosen.parameters, ()
    # First the page, then what is read of it: where the rows are sorted, only those of the page are to be unpacked.
    page = f"(SELECT * FROM {_HEADS} WHERE {chosen.sql} ORDER BY {order} LIMIT %s OFFSET %s) AS {HEAD}"
    columns = f"{_columns(request.want, _HEAD_HEADER, _HEAD_DOCUMENT)}, {NEWEST_OF_HEAD}"
    lineage = "" if request.want is Want.DOCUMENTS else _LINEAGE
    sql = f"SELECT {columns} FROM {page} {lineage} ORDER BY {order}"
    return sql, (*chosen.parameters, request.limit, request.offset), ()


def explain(session: Session, request: QueryRequest) -> str:
    """Return PostgreSQL's plan of a query, a line a step."""
    sql, parameters, _ = statement(request)
    return "\n".join(row[0] for row in _run(session, f"EXPLAIN {sql}", parameters))


def _run(session: Session, sql: str, parameters: Parameters) -> list[tuple[Any, ...]]:
    return session.execute(sql, parameters).fetchall()


def _columns(want: Want, of_header: str, of_document: str) -> str:
    if want is Want.DOCUMENTS:
        return of_document
    return of_header if want is Want.HEADERS else f"{of_header}, {of_document}"
