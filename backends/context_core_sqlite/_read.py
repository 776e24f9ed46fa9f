"""Loading, listing and searching: each is one statement, so that it sees one state of the database."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from typing import Any, Final

import orjson

from context_core.columns import HEADER_COLUMNS, VERSION_COLUMNS, exact_text
from context_core.conditions import Condition
from context_core.errors import CorruptDocumentError, DamagedHistoryError
from context_core.history_codec import PackedVersion, Unpacker
from context_core.pages import collected, filled, outcomes
from context_core.query import matches
from context_core.records import (
    DamagedRow,
    LoadRequest,
    QueryRequest,
    Selection,
    StoredDocument,
    Story,
    Tombstone,
    VersionHeader,
    VersionRequest,
    Want,
    time_to_text,
)
from context_core.sql_conditions import HEAD
from context_core_sqlite._damage import (
    HEAD_OF_VERSION,
    NEWEST_OF_HEAD,
    NEWEST_OF_VERSION,
    ORPHANS,
    check_histories,
    lenient,
    rows,
    shown_text,
)
from context_core_sqlite._history import one_view
from context_core_sqlite._rows import DOCUMENT_COLUMNS, PACKED_COLUMNS, header, read_time
from context_core_sqlite._sql import order_by, where

_DOCUMENT: Final = ", ".join(DOCUMENT_COLUMNS)
_PACKED: Final = ", ".join(PACKED_COLUMNS)
_STANDING: Final = """
    (SELECT version FROM workflow_context WHERE workflow_id = ?),
    (SELECT max(version) FROM workflow_context_versions WHERE workflow_id = ?)"""
"""Where the head of the only workflow asked for stands, and its newest version: looked up once for all rows."""
_PACKED_AND_STANDING: Final = f"{_PACKED}, {HEAD_OF_VERSION}, {NEWEST_OF_VERSION}"
_VERSION: Final = ", ".join(VERSION_COLUMNS)
_HEADER_WIDTH: Final = len(VERSION_COLUMNS)

_LOAD_HEAD: Final = f"SELECT {_DOCUMENT}, {NEWEST_OF_HEAD} FROM workflow_context AS head WHERE workflow_id = ?"
_LOAD_VERSION: Final = f"""
    SELECT {_PACKED_AND_STANDING} FROM workflow_context_versions AS stored WHERE workflow_id = ? AND version = ?"""
_LOAD_AS_OF: Final = f"""
    SELECT {_PACKED_AND_STANDING} FROM workflow_context_versions AS stored
    WHERE workflow_id = ? AND saved_at <= ? ORDER BY version DESC LIMIT 1"""
# Many ids travel as one JSON array: there is a limit to bound parameters, and one statement sees one state.
_LOAD_HEADS: Final = f"""
    SELECT {_DOCUMENT}, {NEWEST_OF_HEAD} FROM workflow_context AS head
    WHERE workflow_id IN (SELECT value FROM json_each(?))"""
_LOAD_VERSIONS: Final = f"""
    SELECT {_PACKED_AND_STANDING} FROM workflow_context_versions AS stored
    WHERE workflow_id IN (SELECT value FROM json_each(?)) AND version = ?"""
_LOAD_MANY_AS_OF: Final = f"""
    SELECT {_PACKED_AND_STANDING} FROM workflow_context_versions AS stored
    WHERE workflow_id IN (SELECT value FROM json_each(?)) AND version = (
        SELECT version FROM workflow_context_versions
        WHERE workflow_id = stored.workflow_id AND saved_at <= ? ORDER BY version DESC LIMIT 1)"""

_HEAD_DOCUMENT: Final = f"{HEAD}.workflow_id, {HEAD}.version, CAST({HEAD}.document AS BLOB), {HEAD}.save_id"
_HEAD_HEADER: Final = (
    ", ".join(f"{HEAD}.{column}" for column in HEADER_COLUMNS)
    + ", stored.idempotency_key, stored.origin_workflow_id, stored.origin_version"
)
_TOMBSTONES: Final = """
    SELECT workflow_id, last_version, deleted_at FROM workflow_context_tombstones AS gone
    WHERE NOT EXISTS (SELECT 1 FROM workflow_context WHERE workflow_id = gone.workflow_id) ORDER BY workflow_id"""
_HEADS: Final = f"workflow_context AS {HEAD}"
_HEADS_WITH_LINEAGE: Final = f"""{_HEADS} LEFT JOIN workflow_context_versions AS stored
    ON stored.workflow_id = {HEAD}.workflow_id AND stored.version = {HEAD}.version"""


_tuple: Final = tuple.__new__
"""Makes a NamedTuple in two thirds of the time: a list of documents makes one for each."""


def load(connection: sqlite3.Connection, request: LoadRequest) -> list[StoredDocument]:
    """Read documents by id."""
    ids = request.workflow_ids
    if request.version is None and request.as_of is None:
        if len(ids) == 1:
            row = connection.execute(_LOAD_HEAD, ids).fetchone()
            if row is not None:
                return [head_document(row)]
            check_histories(connection, ids)
            return []
        documents = [head_document(row) for row in connection.execute(_LOAD_HEADS, (_array(ids),)).fetchall()]
    else:
        with one_view(connection) as unpacker:
            found_rows = connection.execute(*_load_versions(ids, request)).fetchall()
            documents = [_standing_version(unpacker, row) for row in found_rows]
    found = {document.workflow_id: document for document in documents}
    missing = [workflow_id for workflow_id in ids if workflow_id not in found]
    if missing:
        check_histories(connection, missing)
    return [found[workflow_id] for workflow_id in ids if workflow_id in found]


def _load_versions(ids: Sequence[str], request: LoadRequest) -> tuple[str, Sequence[Any]]:
    """One id travels by itself, many as one array."""
    is_one = len(ids) == 1
    wanted = ids[0] if is_one else _array(ids)
    if request.as_of is not None:
        return _LOAD_AS_OF if is_one else _LOAD_MANY_AS_OF, (wanted, time_to_text(request.as_of))
    return _LOAD_VERSION if is_one else _LOAD_VERSIONS, (wanted, request.version)


def _array(ids: Sequence[str]) -> str:
    return orjson.dumps(list(ids)).decode()


def version(connection: sqlite3.Connection, request: VersionRequest) -> Selection:
    """Read the history of a workflow, or of a story in the order of its index."""
    condition, order, parameters = _history_of(request.of)
    if request.want is Want.COUNT:
        return _count_versions(connection, request.of, condition, parameters)
    direction = " DESC" if request.newest_first else ""
    columns = _columns(request.want, _VERSION, _PACKED)
    source = f"FROM workflow_context_versions AS stored WHERE {condition}"
    order_and_page = f"ORDER BY {', '.join(column + direction for column in order)} LIMIT ? OFFSET ?"
    if isinstance(request.of, str):
        sql = f"SELECT {columns}, {_STANDING} {source} {order_and_page}"
        fetch = partial(_page_of_one, connection, sql, request.of)
    else:
        sql = f"SELECT {columns}, {HEAD_OF_VERSION}, {NEWEST_OF_VERSION} {source} {order_and_page}"
        fetch = partial(_page, connection, sql, parameters)
    if request.want is Want.HEADERS:
        return _selection(connection, request, fetch, _standing_header)
    with one_view(connection) as unpacker:
        document = partial(_standing_version, unpacker)
        return _selection(connection, request, fetch, _reader(request.want, document, _standing_header))


def _count_versions(
    connection: sqlite3.Connection, of: str | Story, condition: str, parameters: Sequence[Any]
) -> Selection:
    with one_view(connection):
        if isinstance(of, str):
            check_histories(connection, (of,))
        sql = f"SELECT count(*) FROM workflow_context_versions AS stored WHERE {condition}"
        return Selection(count=rows(connection, sql, parameters)[0][0])


def _page_of_one(
    connection: sqlite3.Connection, sql: str, workflow_id: str, limit: int | None, offset: int
) -> list[tuple[Any, ...]]:
    """A page of the history of one workflow, each row with `_STANDING`; raise where it is one that no verb reads."""
    # Twice for `_STANDING` and once for the condition: Python takes no numbered parameters from a sequence.
    found = _page(connection, sql, (workflow_id,) * 3, limit, offset)
    if found:
        DamagedHistoryError.check(workflow_id, *found[0][-2:])
    else:
        check_histories(connection, (workflow_id,))
    return found


def _history_of(of: str | Story) -> tuple[str, Sequence[str], tuple[Any, ...]]:
    if isinstance(of, Story):
        order = ("version", "created_at", "workflow_id")
        return "epic_num = ? AND story_num IS ?", order, (of.epic_num, of.story_num)
    return "workflow_id = ?", ("version",), (of,)


def query(connection: sqlite3.Connection, request: QueryRequest) -> Selection:
    """Find heads: SQL decides what columns can tell, the evaluator what only documents can."""
    if request.want is Want.TOMBSTONES:
        return _left_over(connection)
    sql, parameters, residual = statement(request)
    if not residual and request.want is Want.COUNT:
        return Selection(count=rows(connection, sql, parameters)[0][0])
    if not residual:
        read = _reader(request.want, head_document, _head_header)
        return _selection(connection, request, partial(_page, connection, sql, parameters[:-2]), read)  # the page's own
    candidate = partial(_candidate, residual)
    with lenient(connection), closing(connection.execute(sql, parameters)) as cursor:
        if request.want is Want.COUNT:
            everything = collected(outcomes(cursor, candidate), None, 0)
            return Selection(count=len(everything.items), damaged=everything.damaged)
        found = collected(outcomes(cursor, candidate), request.limit, request.offset)
    return Selection(
        headers=() if request.want is Want.DOCUMENTS else tuple(item for item, _ in found.items),
        documents=() if request.want is Want.HEADERS else tuple(document for _, document in found.items),
        count=len(found.items),
        damaged=found.damaged,
    )


def _candidate(residual: Sequence[Condition], row: Sequence[Any]) -> tuple[VersionHeader, StoredDocument] | None:
    """Read a row of a query that the evaluator decides; None where it does not meet the conditions."""
    found = header(row[:_HEADER_WIDTH]), head_document(row[_HEADER_WIDTH:])
    return found if matches(residual, *found) else None


def _left_over(connection: sqlite3.Connection) -> Selection:
    """Tombstones; and histories without a head, which no tombstone explains."""
    with one_view(connection):
        found = collected(outcomes(rows(connection, _TOMBSTONES, ()), _tombstone), None, 0)
        for workflow_id, newest in rows(connection, ORPHANS, ()):
            found.add(DamagedHistoryError.between(workflow_id, None, newest))
    return Selection(tombstones=tuple(found.items), damaged=found.damaged)


def _tombstone(row: tuple[Any, ...]) -> Tombstone:
    workflow_id, last_version, deleted_at = row
    try:
        return Tombstone(
            workflow_id=exact_text(workflow_id),
            last_version=last_version,
            deleted_at=read_time(deleted_at),
        )
    except (TypeError, ValueError) as error:
        raise CorruptDocumentError(
            workflow_id=shown_text(workflow_id), version=last_version, problem="its tombstone's time is none"
        ) from error


def statement(request: QueryRequest) -> tuple[str, tuple[Any, ...], Sequence[Condition]]:
    """Return the SQL of a query, its parameters, and the conditions that it leaves for the evaluator.

    Where it leaves some, it gives all candidates in order, each as a header and a document.
    """
    chosen = where(request)
    order = order_by(request.order)
    if chosen.residual:
        columns = f"{_HEAD_HEADER}, {_HEAD_DOCUMENT}, {NEWEST_OF_HEAD}"
        sql = f"SELECT {columns} FROM {_HEADS_WITH_LINEAGE} WHERE {chosen.sql} ORDER BY {order}"
        return sql, chosen.parameters, chosen.residual
    if request.want is Want.COUNT:
        return f"SELECT count(*) FROM {_HEADS} WHERE {chosen.sql}", chosen.parameters, ()
    columns = f"{_columns(request.want, _HEAD_HEADER, _HEAD_DOCUMENT)}, {NEWEST_OF_HEAD}"
    source = _HEADS if request.want is Want.DOCUMENTS else _HEADS_WITH_LINEAGE
    sql = f"SELECT {columns} FROM {source} WHERE {chosen.sql} ORDER BY {order} LIMIT ? OFFSET ?"
    return sql, (*chosen.parameters, _limit(request.limit), request.offset), ()


def explain(connection: sqlite3.Connection, request: QueryRequest) -> str:
    """Return SQLite's plan of a query, a line a step."""
    sql, parameters, _ = statement(request)
    return "\n".join(row[3] for row in rows(connection, f"EXPLAIN QUERY PLAN {sql}", parameters))


def _page(
    connection: sqlite3.Connection, sql: str, parameters: Sequence[Any], limit: int | None, offset: int
) -> list[tuple[Any, ...]]:
    return rows(connection, sql, (*parameters, _limit(limit), offset))


def _columns(want: Want, of_header: str, of_document: str) -> str:
    if want is Want.DOCUMENTS:
        return of_document
    return of_header if want is Want.HEADERS else f"{of_header}, {of_document}"


def head_document(row: Sequence[Any]) -> StoredDocument:
    """Build a document from a row of DOCUMENT_COLUMNS and the number of the newest version."""
    if row[4] != row[1]:
        DamagedHistoryError.check(row[0], row[1], row[4])
    if type(row[0]) is not str:
        raise CorruptDocumentError(workflow_id=shown_text(row[0]), version=row[1], problem="its id is no text")
    return _tuple(StoredDocument, row[:4])


def _head_header(row: Sequence[Any]) -> VersionHeader:
    """Build a header from a row of VERSION_COLUMNS, what else there is, and the number of the newest version."""
    if row[-1] != row[1]:
        DamagedHistoryError.check(row[0], row[1], row[-1])
    return header(row[:_HEADER_WIDTH])


def _standing_version(unpacker: Unpacker, row: Sequence[Any]) -> StoredDocument:
    """Build a document from a row of PACKED_COLUMNS, where the head stands, and the newest version."""
    workflow_id, version, stored, save_id, base, head, newest = row
    if head != newest:
        DamagedHistoryError.check(workflow_id, head, newest)
    return StoredDocument(
        workflow_id, version, unpacker.plain(workflow_id, version, PackedVersion(base, stored)), save_id
    )


def _standing_header(row: Sequence[Any]) -> VersionHeader:
    """Build a header from a row of VERSION_COLUMNS, what else there is, where the head stands, and the newest version."""
    if row[-1] != row[-2]:
        DamagedHistoryError.check(row[0], *row[-2:])
    return header(row[:_HEADER_WIDTH])


def _reader(
    want: Want,
    document: Callable[[Sequence[Any]], StoredDocument],
    header_of: Callable[[Sequence[Any]], VersionHeader],
) -> Callable[[Sequence[Any]], Any]:
    """What reads a row of a page: a header, a document, or a pair of both."""
    if want is Want.HEADERS:
        return header_of
    if want is Want.DOCUMENTS:
        return document
    return lambda row: (header_of(row), document(row[_HEADER_WIDTH:]))


def _selection(
    connection: sqlite3.Connection,
    request: VersionRequest | QueryRequest,
    fetch: Callable[[int | None, int], Sequence[tuple[Any, ...]]],
    read: Callable[[Sequence[Any]], Any],
) -> Selection:
    """A page: one statement where no row is damaged; else it is read again, by as many as it takes, in one view."""
    try:
        return _selected(request.want, list(map(read, fetch(request.limit, request.offset))))
    except (CorruptDocumentError, DamagedHistoryError):
        with one_view(connection):
            found = filled(fetch, read, request.limit, request.offset)
            return _selected(request.want, found.items, found.damaged)


def _selected(want: Want, items: Sequence[Any], damaged: Sequence[DamagedRow] = ()) -> Selection:
    if want is Want.HEADERS:
        return Selection(headers=items, count=len(items), damaged=damaged)
    if want is Want.DOCUMENTS:
        return Selection(documents=items, count=len(items), damaged=damaged)
    return Selection(
        headers=[found for found, _ in items],
        documents=[document for _, document in items],
        count=len(items),
        damaged=damaged,
    )


def _limit(limit: int | None) -> int:
    return -1 if limit is None else limit
