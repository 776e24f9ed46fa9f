"""Loading, listing and searching: each is one statement, so that it sees one state of the database."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any, Final

import orjson

from context_core.columns import HEADER_COLUMNS, VERSION_COLUMNS
from context_core.conditions import Condition
from context_core.history_codec import PackedVersion, Unpacker
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
    time_to_text,
)
from context_core_sqlite._history import one_view
from context_core_sqlite._rows import DOCUMENT_COLUMNS, PACKED_COLUMNS, header
from context_core_sqlite._sql import HEAD, order_by, where

_DOCUMENT: Final = ", ".join(DOCUMENT_COLUMNS)
_PACKED: Final = ", ".join(PACKED_COLUMNS)
_VERSION: Final = ", ".join(VERSION_COLUMNS)
_HEADER_WIDTH: Final = len(VERSION_COLUMNS)

_LOAD_HEAD: Final = f"SELECT {_DOCUMENT} FROM workflow_context WHERE workflow_id = ?"
_LOAD_VERSION: Final = f"SELECT {_PACKED} FROM workflow_context_versions WHERE workflow_id = ? AND version = ?"
_LOAD_AS_OF: Final = f"""
    SELECT {_PACKED} FROM workflow_context_versions
    WHERE workflow_id = ? AND saved_at <= ? ORDER BY version DESC LIMIT 1"""
# Many ids travel as one JSON array: there is a limit to bound parameters, and one statement sees one state.
_LOAD_HEADS: Final = f"""
    SELECT {_DOCUMENT} FROM workflow_context WHERE workflow_id IN (SELECT value FROM json_each(?))"""
_LOAD_VERSIONS: Final = f"""
    SELECT {_PACKED} FROM workflow_context_versions
    WHERE workflow_id IN (SELECT value FROM json_each(?)) AND version = ?"""
_LOAD_MANY_AS_OF: Final = f"""
    SELECT {_PACKED} FROM workflow_context_versions AS stored
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


def load(connection: sqlite3.Connection, request: LoadRequest) -> list[StoredDocument]:
    """Read documents by id."""
    ids = request.workflow_ids
    if request.version is None and request.as_of is None:
        if len(ids) == 1:
            row = connection.execute(_LOAD_HEAD, ids).fetchone()
            return [] if row is None else [StoredDocument(*row)]
        documents = [StoredDocument(*row) for row in _run(connection, _LOAD_HEADS, (_array(ids),))]
    else:
        with one_view(connection) as unpacker:
            documents = [unpacked(unpacker, row) for row in _run(connection, *_load_versions(ids, request))]
    if len(ids) == 1:
        return documents
    found = {document.workflow_id: document for document in documents}
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
        sql = f"SELECT count(*) FROM workflow_context_versions WHERE {condition}"
        return Selection(count=_run(connection, sql, parameters)[0][0])
    direction = " DESC" if request.newest_first else ""
    sql = f"""
        SELECT {_columns(request.want, _VERSION, _PACKED)} FROM workflow_context_versions WHERE {condition}
        ORDER BY {", ".join(column + direction for column in order)} LIMIT ? OFFSET ?"""
    values = (*parameters, _limit(request.limit), request.offset)
    if request.want is Want.HEADERS:
        return _selection(request.want, _run(connection, sql, values))
    with one_view(connection) as unpacker:
        return _selection(request.want, _run(connection, sql, values), partial(unpacked, unpacker))


def _history_of(of: str | Story) -> tuple[str, Sequence[str], tuple[Any, ...]]:
    if isinstance(of, Story):
        order = ("version", "created_at", "workflow_id")
        return "epic_num = ? AND story_num IS ?", order, (of.epic_num, of.story_num)
    return "workflow_id = ?", ("version",), (of,)


def query(connection: sqlite3.Connection, request: QueryRequest) -> Selection:
    """Find heads: SQL decides what columns can tell, the evaluator what only documents can."""
    if request.want is Want.TOMBSTONES:
        return Selection(tombstones=tuple(map(_tombstone, _run(connection, _TOMBSTONES, ()))))
    sql, parameters, residual = statement(request)
    if not residual:
        rows = _run(connection, sql, parameters)
        return Selection(count=rows[0][0]) if request.want is Want.COUNT else _selection(request.want, rows)
    with closing(connection.execute(sql, parameters)) as cursor:
        candidates = ((header(row[:_HEADER_WIDTH]), StoredDocument(*row[_HEADER_WIDTH:])) for row in cursor)
        found = (candidate for candidate in candidates if matches(residual, *candidate))
        if request.want is Want.COUNT:
            return Selection(count=sum(1 for _ in found))
        page = list(islice(found, request.offset, _end(request)))
    return Selection(
        headers=() if request.want is Want.DOCUMENTS else tuple(item for item, _ in page),
        documents=() if request.want is Want.HEADERS else tuple(document for _, document in page),
        count=len(page),
    )


def _tombstone(row: tuple[Any, ...]) -> Tombstone:
    workflow_id, last_version, deleted_at = row
    deleted = datetime.fromisoformat(deleted_at)
    return Tombstone(workflow_id=workflow_id, last_version=last_version, deleted_at=deleted)


def statement(request: QueryRequest) -> tuple[str, tuple[Any, ...], Sequence[Condition]]:
    """Return the SQL of a query, its parameters, and the conditions that it leaves for the evaluator.

    Where it leaves some, it gives all candidates in order, each as a header and a document.
    """
    chosen = where(request)
    order = order_by(request.order)
    if chosen.residual:
        columns = f"{_HEAD_HEADER}, {_HEAD_DOCUMENT}"
        sql = f"SELECT {columns} FROM {_HEADS_WITH_LINEAGE} WHERE {chosen.sql} ORDER BY {order}"
        return sql, chosen.parameters, chosen.residual
    if request.want is Want.COUNT:
        return f"SELECT count(*) FROM {_HEADS} WHERE {chosen.sql}", chosen.parameters, ()
    columns = _columns(request.want, _HEAD_HEADER, _HEAD_DOCUMENT)
    source = _HEADS if request.want is Want.DOCUMENTS else _HEADS_WITH_LINEAGE
    sql = f"SELECT {columns} FROM {source} WHERE {chosen.sql} ORDER BY {order} LIMIT ? OFFSET ?"
    return sql, (*chosen.parameters, _limit(request.limit), request.offset), ()


def explain(connection: sqlite3.Connection, request: QueryRequest) -> str:
    """Return SQLite's plan of a query, a line a step."""
    sql, parameters, _ = statement(request)
    return "\n".join(row[3] for row in _run(connection, f"EXPLAIN QUERY PLAN {sql}", parameters))


def _run(connection: sqlite3.Connection, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    return connection.execute(sql, parameters).fetchall()


def _columns(want: Want, of_header: str, of_document: str) -> str:
    if want is Want.DOCUMENTS:
        return of_document
    return of_header if want is Want.HEADERS else f"{of_header}, {of_document}"


def unpacked(unpacker: Unpacker, row: Sequence[Any]) -> StoredDocument:
    """Build a document from a row of PACKED_COLUMNS."""
    workflow_id, version, stored, save_id, base = row
    return StoredDocument(
        workflow_id, version, unpacker.plain(workflow_id, version, PackedVersion(base, stored)), save_id
    )


def _as_it_is(row: Sequence[Any]) -> StoredDocument:
    return StoredDocument(*row)


def _selection(
    want: Want,
    rows: Sequence[tuple[Any, ...]],
    document: Callable[[Sequence[Any]], StoredDocument] = _as_it_is,
) -> Selection:
    width = 0 if want is Want.DOCUMENTS else _HEADER_WIDTH
    return Selection(
        headers=tuple(header(row[:width]) for row in rows) if width else (),
        documents=tuple(document(row[width:]) for row in rows) if want is not Want.HEADERS else (),
        count=len(rows),
    )


def _limit(limit: int | None) -> int:
    return -1 if limit is None else limit


def _end(request: QueryRequest) -> int | None:
    return None if request.limit is None else request.offset + request.limit
