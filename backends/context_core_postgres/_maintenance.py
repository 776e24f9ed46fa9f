"""Pruning and verifying."""

from contextlib import closing
from typing import Any, Final

import orjson

from context_core.errors import CorruptDocumentError
from context_core.maintenance import Damage, PrunedRange, PruneRequest, VerifyReport
from context_core_postgres import _history
from context_core_postgres._rows import HEADER_COLUMNS, LINEAGE_COLUMNS, RECORD_COLUMNS, header, read_columns
from context_core_postgres._session import Session
from context_core_postgres._write import ALLOW_DELETING, BEGIN, COMMIT

_VERSIONS: Final = f"""
    SELECT {read_columns((*HEADER_COLUMNS, *LINEAGE_COLUMNS))}, {", ".join(_history.DOCUMENT_COLUMNS)}
    FROM our.workflow_context_versions"""
_HEADER_WIDTH: Final = len(HEADER_COLUMNS) + len(LINEAGE_COLUMNS)
_ADRIFT: Final = " OR ".join(
    f"head.{column} IS DISTINCT FROM newest.{column}" for column in RECORD_COLUMNS if column != "created_at"
)
_HEADS: Final = f"""
    SELECT head.workflow_id, newest.version, newest.version IS NULL OR {_ADRIFT},
        coalesce(convert_to(head.document, 'UTF8'), head.document_bytes),
        newest.workflow_id, newest.version, newest.document, newest.save_id, newest.keyframe
    FROM our.workflow_context AS head LEFT JOIN our.workflow_context_versions AS newest
        ON newest.workflow_id = head.workflow_id AND newest.version = head.version AND NOT EXISTS (
            SELECT FROM our.workflow_context_versions AS newer
            WHERE newer.workflow_id = head.workflow_id AND newer.version > head.version)"""
_ORPHANS: Final = """
    SELECT DISTINCT workflow_id FROM our.workflow_context_versions AS stored
    WHERE NOT EXISTS (SELECT FROM our.workflow_context AS head WHERE head.workflow_id = stored.workflow_id)"""
_GAPS: Final = """
    SELECT workflow_id, max(version) FROM our.workflow_context_versions
    GROUP BY workflow_id HAVING max(version) - min(version) + 1 <> count(*)"""
_FORGET: Final = """
    DELETE FROM our.workflow_context_versions AS stored USING our.workflow_context AS head
    WHERE stored.workflow_id = %s AND stored.version BETWEEN %s::bigint AND %s::bigint
    AND head.workflow_id = stored.workflow_id AND stored.version < head.version"""


def prunable(session: Session, request: PruneRequest) -> list[PrunedRange]:
    """Name what a prune removes, by workflow id."""
    conditions = ["stored.version <= head.version - %s::bigint"]
    values: list[Any] = [request.keep_last]
    if request.statuses is not None:
        conditions.append("head.status = ANY(%s::text[])")
        values.append(list(request.statuses))
    if request.inactive_since is not None:
        conditions.append("head.saved_at < %s")
        values.append(request.inactive_since)
    sql = f"""
        SELECT head.workflow_id, min(stored.version), max(stored.version)
        FROM our.workflow_context AS head JOIN our.workflow_context_versions AS stored
            ON stored.workflow_id = head.workflow_id
        WHERE {" AND ".join(conditions)} GROUP BY head.workflow_id ORDER BY head.workflow_id"""
    return [
        PrunedRange(workflow_id=workflow_id, first=first, last=last)
        for workflow_id, first, last in session.execute(sql, values).fetchall()
    ]


def forget(session: Session, ranges: list[PrunedRange]) -> None:
    """Remove versions below their heads, in one transaction, through the delete guard.

    The head may have moved on, or the workflow may be gone, since the ranges were named: what is below the head of now
    and within the range goes, nothing else.
    """
    with session.pipeline():
        session.execute(BEGIN)
        session.execute(ALLOW_DELETING)
        session.execute_many(_FORGET, [(pruned.workflow_id, pruned.first, pruned.last) for pruned in ranges])
        session.has_sent_commit = True
        session.execute(COMMIT)


def verify(session: Session, _: None) -> VerifyReport:
    """Check each row by itself, then how rows stand to each other."""
    damages: list[Damage] = []
    checked = 0
    with closing(session.candidates(_VERSIONS, ())) as rows:
        for row in rows:
            checked += 1
            problem = _problem(row)
            if problem is not None:
                damages.append(Damage(workflow_id=row[0], version=row[1], problem=problem))
    with closing(session.candidates(_HEADS, ())) as rows:
        damages += [
            Damage(workflow_id=row[0], version=row[1], problem="the current state is not that of the newest version")
            for row in rows
            if _is_adrift(row)
        ]
    damages += _named(session, _ORPHANS, "has versions but no current state")
    damages += _named(session, _GAPS, "a version in the middle of the history is missing")
    return VerifyReport(checked_versions=checked, damages=tuple(damages))


def _problem(row: tuple[Any, ...]) -> str | None:
    try:
        header(row[:_HEADER_WIDTH])
        (stored,) = _history.decoded([row[_HEADER_WIDTH:]])
    except CorruptDocumentError as error:
        return error.problem
    if stored.save_id is not None:
        return None  # only the store's codec can read it
    try:
        orjson.loads(stored.document)
    except ValueError:
        return "the document is not JSON"
    return None


def _is_adrift(row: tuple[Any, ...]) -> bool:
    _, _, differs, document, *newest = row
    if differs:
        return True
    try:
        (stored,) = _history.decoded([tuple(newest)])
    except CorruptDocumentError:
        return False  # named already
    return bool(stored.document != document)


def _named(session: Session, sql: str, problem: str) -> list[Damage]:
    return [
        Damage(workflow_id=row[0], version=row[1] if len(row) > 1 else None, problem=problem)
        for row in session.execute(sql).fetchall()
    ]
