"""Loading, listing and searching: each is one statement, so that it sees one state of the database."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from typing import Any, Final, TypeAlias

import orjson

from context_core.columns import HEADER_COLUMNS, VERSION_COLUMNS, exact_text
from context_core.conditions import Condition
from context_core.errors import CorruptDocumentError
from context_core.history_codec import PackedVersion, Unpacker
from context_core.pages import collected, filled, outcomes
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
    time_to_text,
)
from context_core_sqlite._damage import (
    HEAD_OF_VERSION,
    NEWEST_OF_HEAD,
    NEWEST_OF_VERSION,
    ORPHANS,
    check_histories,
    check_standing,
    history_problem,
    lenient,
    rows,
    shown_text,
)
from context_core_sqlite._history import one_view
from context_core_sqlite._rows import DOCUMENT_COLUMNS, PACKED_COLUMNS, header, read_time
from context_core_sqlite._sql import HEAD, order_by, where

_Item: TypeAlias = tuple[VersionHeader | None, StoredDocument | None]
"""A row of a page: what was wanted of it."""

_DOCUMENT: Final = ", ".join(DOCUMENT_COLUMNS)
_PACKED: Final = ", ".join(PACKED_COLUMNS)
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
    direction = " DESC" if request.newest_first else ""
    columns = "count(*)" if request.want is Want.COUNT else _columns(request.want, _VERSION, _PACKED)
    with one_view(connection) as unpacker:
        if isinstance(request.of, str):
            check_histories(connection, (request.of,))
        elif request.want is not Want.COUNT:
            columns = f"{columns}, {HEAD_OF_VERSION}, {NEWEST_OF_VERSION}"
        sql = f"SELECT {columns} FROM workflow_context_versions AS stored WHERE {condition}"
        if request.want is Want.COUNT:
            return Selection(count=rows(connection, sql, parameters)[0][0])
        sql += f" ORDER BY {', '.join(column + direction for column in order)} LIMIT ? OFFSET ?"
        read = _reader(request.want, partial(unpacked, unpacker))
        if not isinstance(request.of, str):
            read = partial(_with_head, read)
        return _selection(request, partial(_page, connection, sql, parameters), read)


def _with_head(read: Callable[[Sequence[Any]], _Item], row: Sequence[Any]) -> _Item:
    """Read a version of a story, unless its workflow is one that no verb reads."""
    check_standing(row[0], *row[-2:])
    return read(row[:-2])


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
        with one_view(connection):
            read = partial(_of_head, _reader(request.want, _as_it_is))
            return _selection(request, partial(_page, connection, sql, parameters[:-2]), read)  # the page's own
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


def _of_head(read: Callable[[Sequence[Any]], _Item], row: Sequence[Any]) -> _Item:
    """Read a head, unless its workflow is one that no verb reads."""
    check_standing(row[0], row[1], row[-1])
    return read(row[:-1])


def _candidate(residual: Sequence[Condition], row: Sequence[Any]) -> tuple[VersionHeader, StoredDocument] | None:
    """Read a row of a query that the evaluator decides; None where it does not meet the conditions."""
    found = header(row[:_HEADER_WIDTH]), head_document(row[_HEADER_WIDTH:])
    return found if matches(residual, *found) else None


def _left_over(connection: sqlite3.Connection) -> Selection:
    """Tombstones; and histories without a head, which no tombstone explains."""
    with one_view(connection):
        found = collected(outcomes(rows(connection, _TOMBSTONES, ()), _tombstone), None, 0)
        for workflow_id, newest in rows(connection, ORPHANS, ()):
            found.add(history_problem(workflow_id, None, newest))
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


def unpacked(unpacker: Unpacker, row: Sequence[Any]) -> StoredDocument:
    """Build a document from a row of PACKED_COLUMNS."""
    workflow_id, version, stored, save_id, base = row
    return StoredDocument(
        workflow_id, version, unpacker.plain(workflow_id, version, PackedVersion(base, stored)), save_id
    )


def head_document(row: Sequence[Any]) -> StoredDocument:
    """Build a document from a row of DOCUMENT_COLUMNS and the number of the newest version."""
    workflow_id, version, document, save_id, newest = row
    if newest != version:
        check_standing(workflow_id, version, newest)
    return StoredDocument(workflow_id, version, document, save_id)


def _standing_version(unpacker: Unpacker, row: Sequence[Any]) -> StoredDocument:
    """Build a document from a row of PACKED_COLUMNS, where the head stands, and the newest version."""
    check_standing(row[0], *row[-2:])
    return unpacked(unpacker, row[:-2])


def _as_it_is(row: Sequence[Any]) -> StoredDocument:
    workflow_id, version, document, save_id = row
    return StoredDocument(exact_text(workflow_id), version, document, save_id)


def _reader(want: Want, document: Callable[[Sequence[Any]], StoredDocument]) -> Callable[[Sequence[Any]], _Item]:
    """What reads a row of a page: a header, a document, or both; None for what is not wanted."""
    if want is Want.HEADERS:
        return lambda row: (header(row[:_HEADER_WIDTH]), None)
    if want is Want.DOCUMENTS:
        return lambda row: (None, document(row))
    return lambda row: (header(row[:_HEADER_WIDTH]), document(row[_HEADER_WIDTH:]))


def _selection(
    request: VersionRequest | QueryRequest,
    fetch: Callable[[int | None, int], Sequence[tuple[Any, ...]]],
    read: Callable[[Sequence[Any]], _Item],
) -> Selection:
    found = filled(fetch, read, request.limit, request.offset)
    return Selection(
        headers=tuple(item[0] for item in found.items if item[0] is not None),
        documents=tuple(item[1] for item in found.items if item[1] is not None),
        count=len(found.items),
        damaged=found.damaged,
    )


def _limit(limit: int | None) -> int:
    return -1 if limit is None else limit
