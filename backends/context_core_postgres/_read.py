"""Loading, listing and searching: each is one statement, so that it sees one state of the database."""

from collections.abc import Sequence
from contextlib import closing, suppress
from itertools import islice
from typing import Any, Final

from context_core.columns import HEADER_COLUMNS, LINEAGE_COLUMNS, VERSION_COLUMNS
from context_core.conditions import Condition
from context_core.errors import CorruptDocumentError
from context_core.query import matches
from context_core.records import (
    LoadRequest,
    QueryRequest,
    Selection,
    StoredDocument,
    Story,
    Tombstone,
    VersionRequest,
    Want,
)
from context_core_postgres import _history
from context_core_postgres._rows import head_document_columns, header, read_columns, utc
from context_core_postgres._session import Parameters, Session
from context_core_postgres._sql import HEAD, order_by, where

_FURTHER_ATTEMPTS: Final = 2
_DOCUMENT: Final = ", ".join(_history.DOCUMENT_COLUMNS)
_HEADER: Final = read_columns(VERSION_COLUMNS)
_HEADER_WIDTH: Final = len(VERSION_COLUMNS)
_HEAD_DOCUMENT: Final = head_document_columns(HEAD)
_HEAD_HEADER: Final = f"{read_columns(HEADER_COLUMNS, HEAD)}, {read_columns(LINEAGE_COLUMNS, 'stored')}"

_LOAD_HEAD: Final = f"SELECT {_HEAD_DOCUMENT} FROM our.workflow_context AS {HEAD} WHERE workflow_id = %s"
_LOAD_VERSION: Final = _history.with_bases("SELECT %s::text, %s::bigint")
_LOAD_AS_OF: Final = _history.with_bases("""
    (SELECT workflow_id, version FROM our.workflow_context_versions
    WHERE workflow_id = %s AND saved_at <= %s ORDER BY version DESC LIMIT 1)""")
# Many ids travel as one array: there is a limit to parameters, and one statement sees one state.
_LOAD_HEADS: Final = f"""
    SELECT {_HEAD_DOCUMENT} FROM our.workflow_context AS {HEAD} WHERE workflow_id = ANY(%s::text[])"""
_LOAD_VERSIONS: Final = _history.with_bases("SELECT workflow_id, %s::bigint FROM unnest(%s::text[]) AS workflow_id")
_LOAD_MANY_AS_OF: Final = _history.with_bases("""
    SELECT workflow_id, version FROM our.workflow_context_versions AS stored
    WHERE workflow_id = ANY(%s::text[]) AND version = (
        SELECT version FROM our.workflow_context_versions
        WHERE workflow_id = stored.workflow_id AND saved_at <= %s ORDER BY version DESC LIMIT 1)""")

_TOMBSTONES: Final = f"""
    SELECT workflow_id, last_version, deleted_at AT TIME ZONE 'UTC' FROM our.workflow_context_tombstones AS gone
    WHERE NOT EXISTS (SELECT FROM our.workflow_context AS {HEAD} WHERE {HEAD}.workflow_id = gone.workflow_id)
    ORDER BY workflow_id"""
_HEADS: Final = f"our.workflow_context AS {HEAD}"
_LINEAGE: Final = f"""LEFT JOIN our.workflow_context_versions AS stored
    ON stored.workflow_id = {HEAD}.workflow_id AND stored.version = {HEAD}.version"""


def load(session: Session, request: LoadRequest) -> list[StoredDocument]:
    """Read documents by id."""
    ids = request.workflow_ids
    if len(ids) == 1:
        return _load_one(session, ids[0], request)
    # PostgreSQL's text holds no NUL, and neither does the id of anything stored.
    array = [workflow_id for workflow_id in ids if "\0" not in workflow_id]
    if request.version is not None:
        documents = _history.newest_of_each(_run(session, _LOAD_VERSIONS, (request.version, array)))
    elif request.as_of is not None:
        documents = _history.newest_of_each(_run(session, _LOAD_MANY_AS_OF, (array, request.as_of)))
    else:
        documents = [StoredDocument(*row) for row in _run(session, _LOAD_HEADS, (array,))]
    found = {document.workflow_id: document for document in documents}
    return [found[workflow_id] for workflow_id in ids if workflow_id in found]


def _load_one(session: Session, workflow_id: str, request: LoadRequest) -> list[StoredDocument]:
    if "\0" in workflow_id:
        return []
    if request.version is not None:
        return _history.newest_of_each(_run(session, _LOAD_VERSION, (workflow_id, request.version)))
    if request.as_of is not None:
        return _history.newest_of_each(_run(session, _LOAD_AS_OF, (workflow_id, request.as_of)))
    return [StoredDocument(*row) for row in _run(session, _LOAD_HEAD, (workflow_id,))]


def version(session: Session, request: VersionRequest) -> Selection:
    """Read the history of a workflow, or of a story in the order of its index."""
    condition, order, parameters = _history_of(request.of)
    if request.want is Want.COUNT:
        sql = f"SELECT count(*) FROM our.workflow_context_versions WHERE {condition}"
        return Selection(count=_run(session, sql, parameters)[0][0])
    direction = " DESC" if request.newest_first else ""
    sql = f"""
        SELECT {_columns(request.want, _HEADER, _DOCUMENT)} FROM our.workflow_context_versions WHERE {condition}
        ORDER BY {", ".join(column + direction for column in order)} LIMIT %s OFFSET %s"""
    parameters = *parameters, request.limit, request.offset
    if request.want is Want.HEADERS:
        rows = _run(session, sql, parameters)
        return Selection(headers=[header(row) for row in rows], count=len(rows))
    rows, documents = _documents(session, sql, parameters, 0 if request.want is Want.DOCUMENTS else _HEADER_WIDTH)
    headers = [header(row[:_HEADER_WIDTH]) for row in rows] if request.want is not Want.DOCUMENTS else ()
    return Selection(headers=headers, documents=documents, count=len(rows))


def _documents(
    session: Session, sql: str, parameters: Parameters, place: int
) -> tuple[list[tuple[Any, ...]], list[StoredDocument]]:
    """Read rows with a document at *place*, which may lean on versions that only another statement reads.

    Between the two a prune may take those away, having packed anew what leans on them: then all is read again.
    """

    def read() -> tuple[list[tuple[Any, ...]], list[StoredDocument]]:
        rows = _run(session, sql, parameters)
        return rows, _history.decoded(session, [row[place:] for row in rows])

    for _ in range(_FURTHER_ATTEMPTS):
        with suppress(CorruptDocumentError):
            return read()
    return read()


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
        return Selection(tombstones=[_tombstone(*row) for row in _run(session, _TOMBSTONES, ())])
    sql, parameters, residual = statement(request)
    if not residual:
        rows = _run(session, sql, parameters)
        return Selection(count=rows[0][0]) if request.want is Want.COUNT else _selection(request.want, rows)
    with closing(session.candidates(sql, parameters)) as rows_at_once:
        candidates = ((header(row[:_HEADER_WIDTH]), StoredDocument(*row[_HEADER_WIDTH:])) for row in rows_at_once)
        found = (candidate for candidate in candidates if matches(residual, *candidate))
        if request.want is Want.COUNT:
            return Selection(count=sum(1 for _ in found))
        page = list(islice(found, request.offset, _end(request)))
    return Selection(
        headers=() if request.want is Want.DOCUMENTS else [item for item, _ in page],
        documents=() if request.want is Want.HEADERS else [document for _, document in page],
        count=len(page),
    )


def _tombstone(workflow_id: str, last_version: int, deleted_at: Any) -> Tombstone:
    return Tombstone(workflow_id=workflow_id, last_version=last_version, deleted_at=utc(deleted_at))


def statement(request: QueryRequest) -> tuple[str, Parameters, Sequence[Condition]]:
    """Return the SQL of a query, its parameters, and the conditions that it leaves for the evaluator.

    Where it leaves some, it gives all candidates in order, each as a header and a document.
    """
    chosen = where(request)
    order = order_by(request.order)
    if chosen.residual:
        columns = f"{_HEAD_HEADER}, {_HEAD_DOCUMENT}"
        sql = f"SELECT {columns} FROM {_HEADS} {_LINEAGE} WHERE {chosen.sql} ORDER BY {order}"
        return sql, chosen.parameters, chosen.residual
    if request.want is Want.COUNT:
        return f"SELECT count(*) FROM {_HEADS} WHERE {chosen.sql}", chosen.parameters, ()
    # First the page, then what is read of it: where the rows are sorted, only those of the page are to be unpacked.
    page = f"(SELECT * FROM {_HEADS} WHERE {chosen.sql} ORDER BY {order} LIMIT %s OFFSET %s) AS {HEAD}"
    columns = _columns(request.want, _HEAD_HEADER, _HEAD_DOCUMENT)
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


def _selection(want: Want, rows: Sequence[tuple[Any, ...]]) -> Selection:
    width = 0 if want is Want.DOCUMENTS else _HEADER_WIDTH
    return Selection(
        headers=[header(row[:width]) for row in rows] if width else (),
        documents=[StoredDocument(*row[width:]) for row in rows] if want is not Want.HEADERS else (),
        count=len(rows),
    )


def _end(request: QueryRequest) -> int | None:
    return None if request.limit is None else request.offset + request.limit
