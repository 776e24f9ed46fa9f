"""Pruning and verifying."""

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from typing import Any, Final

from context_core.columns import RECORD_COLUMNS, VERSION_COLUMNS
from context_core.history_codec import BLOCK, PackedVersion, Unpacker
from context_core.maintenance import Examination, PrunedRange, PruneRequest, VerifyReport
from context_core_postgres import _schema
from context_core_postgres._rows import header, known_time, read_columns, read_time
from context_core_postgres._session import Session

# In an order in which what a version leans on was just read; beside the newest one stands its head's document.
_VERSIONS: Final = f"""
    SELECT {read_columns(VERSION_COLUMNS, "stored")},
        stored.base_version, stored.document, stored.save_id,
        coalesce(convert_to(head.document, 'UTF8'), head.document_bytes)
    FROM our.workflow_context_versions AS stored LEFT JOIN our.workflow_context AS head
        ON head.workflow_id = stored.workflow_id AND head.version = stored.version
    ORDER BY stored.workflow_id, stored.version"""
_ADRIFT: Final = " OR ".join(
    f"head.{column} IS DISTINCT FROM newest.{column}" for column in RECORD_COLUMNS if column != "created_at"
)
_HEADS_ADRIFT: Final = f"""
    SELECT head.workflow_id, newest.version FROM our.workflow_context AS head
    LEFT JOIN our.workflow_context_versions AS newest ON newest.workflow_id = head.workflow_id
        AND newest.version = (
            SELECT max(version) FROM our.workflow_context_versions WHERE workflow_id = head.workflow_id)
    WHERE newest.version IS DISTINCT FROM head.version OR {_ADRIFT}"""
_ORPHANS: Final = """
    SELECT DISTINCT workflow_id FROM our.workflow_context_versions AS stored
    WHERE NOT EXISTS (SELECT FROM our.workflow_context AS head WHERE head.workflow_id = stored.workflow_id)"""
_GAPS: Final = """
    SELECT workflow_id, max(version) FROM our.workflow_context_versions
    GROUP BY workflow_id HAVING max(version) - min(version) + 1 <> count(*)"""


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


_TOMBSTONES: Final = f"SELECT workflow_id, last_version, {read_time('deleted_at')} FROM our.workflow_context_tombstones"
_HEAD_TIMES: Final = f"SELECT workflow_id, version FROM our.workflow_context WHERE {known_time('created_at')} IS NULL"


def verify(session: Session, _: None) -> VerifyReport:
    """Check each row by itself, then how rows stand to each other."""
    found = Examination()
    for name in _schema.missing(session):
        found.storage(f"{name} is missing, an index, a trigger or a key: store.repair() restores it")
    for name, table in _schema.foreign_triggers(session):
        found.storage(f"the trigger {name} on {table} is not of context-core")
    for workflow_id, version in session.execute(_HEADS_ADRIFT).fetchall():
        found.head_differs(workflow_id, version)
    block = _Block()
    with closing(session.candidates(_VERSIONS, ())) as rows:
        for *columns, base, stored, save_id, head_document in rows:
            workflow_id, version = columns[:2]
            read = partial(_read, found, block, columns, PackedVersion(base, stored))
            found.version(workflow_id, version, read, is_encoded=save_id is not None, head_document=head_document)
    for workflow_id, version in session.execute(_HEAD_TIMES).fetchall():
        found.damage(workflow_id, version, "the current state's created_at is no time")
    for (workflow_id,) in session.execute(_ORPHANS).fetchall():
        found.without_head(workflow_id)
    for workflow_id, newest in session.execute(_GAPS).fetchall():
        found.gap(workflow_id, newest)
    for workflow_id, _version, deleted_at in session.execute(_TOMBSTONES).fetchall():
        if deleted_at is None:
            found.damage(workflow_id, None, "its tombstone has an id or a time that is none")
    return found.report()


def _read(found: Examination, block: "_Block", columns: Sequence[Any], packed: PackedVersion) -> bytes:
    document = block.plain(columns[0], columns[1], packed)  # first, as others lean on it whatever its header says
    described = header(columns)
    found.saved(described.workflow_id, described.version, described.saved_at)
    return document


class _Block:
    """Unpacks versions that come in their order: what one leans on is among the last few."""

    def __init__(self) -> None:
        self._stored: OrderedDict[tuple[str, int], PackedVersion] = OrderedDict()
        self._unpacker = Unpacker(lambda workflow_id, version: self._stored.get((workflow_id, version)))

    def plain(self, workflow_id: str, version: int, packed: PackedVersion) -> bytes:
        """Return the document of the next version."""
        self._stored[workflow_id, version] = packed
        if len(self._stored) > BLOCK:
            self._stored.popitem(last=False)
        return self._unpacker.plain(workflow_id, version, packed)
