"""Saving and deleting: at once where one statement can do it, else in a transaction that locks, judges and writes.

The statement is right whenever it writes, and where it does not write it tells nothing: what there is to say, a
conflict for one, is found out in the transaction. Both run under READ COMMITTED, where each statement sees what was
committed before it, and locked rows as they are now.
"""

import functools
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, cast

import attrs

from context_core import write_rules
from context_core.columns import RECORD_COLUMNS
from context_core.conditions import INDEXED_KINDS, FieldKind
from context_core.errors import DamagedHistoryError
from context_core.records import Clock, DeleteRequest, Operation, Outcome, RestoreRequest, SavedVersion, SaveRequest
from context_core.write_rules import KnownKey
from context_core_postgres._damage import STANDINGS
from context_core_postgres._ledger import Ledger, PlannedWorkflow, version_values
from context_core_postgres._packing import ITSELF, Packer, alone
from context_core_postgres._rows import known_time, read_time, utc, utc_of
from context_core_postgres._session import Session

# Said each time, since a database or a role may have another default: under REPEATABLE READ a statement would not see
# what was committed while it waited for a lock.
BEGIN: Final = "BEGIN ISOLATION LEVEL READ COMMITTED"
COMMIT: Final = "COMMIT"
ALLOW_CHANGING: Final = "SELECT set_config('context_core.changing', 'on', true)"
"""Lets this transaction delete versions, and pack them anew, which a trigger forbids to all others."""

_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
"""When a workflow without a head was made, of which only its deletion is left to do."""

# In the order of the ids, so that two batches that want the same workflows wait for each other in turn (CO07).
_LOCK: Final = f"""
    SELECT workflow_id, version, {read_time("saved_at")}, {read_time("created_at")}, oldest_version
    FROM our.workflow_context WHERE workflow_id = ANY(%s::text[]) ORDER BY workflow_id FOR UPDATE"""
_TOMBSTONES: Final = f"""
    SELECT workflow_id, last_version, {read_time("deleted_at")} FROM our.workflow_context_tombstones
    WHERE workflow_id = ANY(%s::text[])"""
_KEYS: Final = f"""
    SELECT stored.workflow_id, idempotency_key, version, {read_time("saved_at")}, content_hash
    FROM unnest(%s::text[], %s::text[]) AS asked (workflow_id, key) JOIN our.workflow_context_versions AS stored
        ON stored.workflow_id = asked.workflow_id AND idempotency_key = asked.key"""

_FOLLOWING: Final = tuple(column for column in RECORD_COLUMNS if column not in ("created_at", "saved_at"))
"""The columns of a head that follow the newest version whatever they were."""
_BINARY: Final = frozenset({"save_id", "content_hash"})
_HEAD_COLUMNS: Final = ("workflow_id", "version", "oldest_version", *RECORD_COLUMNS, "document", "document_bytes")
_DOCUMENTS: Final = {
    "document": "CASE WHEN %(is_text)s::boolean THEN convert_from(%(document)b::bytea, 'UTF8') END",
    "document_bytes": "CASE WHEN %(is_text)s::boolean THEN NULL ELSE %(document)b::bytea END",
}
_VERSION_COLUMNS: Final = (
    "workflow_id",
    "version",
    *RECORD_COLUMNS,
    "idempotency_key",
    "content_hash",
    "origin_workflow_id",
    "origin_version",
)


def _value(column: str) -> str:
    return _DOCUMENTS.get(column) or f"%({column}){'b' if column in _BINARY else 's'}"


def _of_head(column: str) -> str:
    return "%(workflow_created_at)s" if column == "created_at" else _value(column)


def _assigned(columns: Sequence[str]) -> str:
    return ", ".join(f"{column} = {_of_head(column)}" for column in columns)


def _append(saved: str, columns: Iterable[str], may_lean: str) -> str:
    """The statement that appends the version of the row *saved*, packed unless what it was packed for does not hold."""
    return f"""
        INSERT INTO our.workflow_context_versions ({", ".join(_VERSION_COLUMNS)}, base_version, document)
        SELECT {", ".join(columns)},
            CASE WHEN is_packed THEN coalesce(nullif(%(base_version)s::bigint, {ITSELF}), version) END,
            CASE WHEN is_packed THEN %(packed)b::bytea ELSE %(document)b::bytea END
        FROM (
            SELECT *, CASE
                WHEN %(base_version)s::bigint IS NULL THEN false
                WHEN %(base_version)s::bigint = {ITSELF} THEN true
                ELSE {may_lean} AND EXISTS (
                    SELECT FROM our.workflow_context_versions AS base
                    WHERE base.workflow_id = %(workflow_id)s AND base.version = %(base_version)s::bigint
                        AND base.saved_at = %(base_saved_at)s::timestamptz)
            END AS is_packed FROM {saved}) AS saved"""


_INSERT_VERSION: Final = _append(
    "(SELECT %(version)s::bigint AS version) AS judged", map(_value, _VERSION_COLUMNS), may_lean="true"
)
# A version and its head in one statement: half the messages of a batch.
_MAKE: Final = f"""
    WITH made AS (
        INSERT INTO our.workflow_context ({", ".join(_HEAD_COLUMNS)}) VALUES ({", ".join(map(_of_head, _HEAD_COLUMNS))}))
    {_INSERT_VERSION}"""
_CHANGE: Final = f"""
    WITH changed AS (
        UPDATE our.workflow_context SET {_assigned(_HEAD_COLUMNS[1:])} WHERE workflow_id = %(workflow_id)s)
    {_INSERT_VERSION}"""
_DELETE_VERSIONS: Final = "DELETE FROM our.workflow_context_versions WHERE workflow_id = ANY(%s::text[])"
_DELETE_HEADS: Final = "DELETE FROM our.workflow_context WHERE workflow_id = ANY(%s::text[])"
_WRITE_TOMBSTONE: Final = """
    INSERT INTO our.workflow_context_tombstones (workflow_id, last_version, deleted_at) VALUES (%s, %s, %s)
    ON CONFLICT (workflow_id) DO UPDATE SET last_version = excluded.last_version, deleted_at = excluded.deleted_at"""
# A row that nobody else sees: with it the id is ours to the end of the transaction, as a lock makes a row that exists.
_NOTHING: Final = {FieldKind.TEXT: "''", FieldKind.NUMBER: "1", FieldKind.TIME: "'epoch'", FieldKind.TAGS: "'[]'"}
_CLAIMED: Final = {name: _NOTHING[kind] for name, kind in INDEXED_KINDS.items() if name != "workflow_id"}
_CLAIM: Final = f"""
    INSERT INTO our.workflow_context (workflow_id, version, oldest_version, saved_at, document, {", ".join(_CLAIMED)})
    VALUES (%s, 0, 0, 'epoch', '', {", ".join(_CLAIMED.values())})"""
# A workflow may have been made and deleted by others after its absence was looked at. Its id is ours now, so these looks
# are the last; where a number would be used again, they fail by a division, and the transaction begins anew (VE05).
_IS_HIGHER: Final = """
    SELECT 1 / (NOT EXISTS (
        SELECT FROM our.workflow_context_tombstones AS gone JOIN our.workflow_context AS head
            ON head.workflow_id = gone.workflow_id
        WHERE gone.workflow_id = %s AND gone.last_version >= head.version))::int"""
_STILL_UNUSED: Final = """
    SELECT 1 / (NOT EXISTS (
        SELECT FROM our.workflow_context_tombstones AS gone
        JOIN unnest(%s::text[], %s::bigint[]) AS ours (workflow_id, seen) ON ours.workflow_id = gone.workflow_id
        WHERE gone.last_version > ours.seen))::int"""


_KEY_IS_NEW: Final = """NOT EXISTS (
    SELECT FROM our.workflow_context_versions AS stored
    WHERE stored.workflow_id = %(workflow_id)s AND stored.idempotency_key = %(idempotency_key)s)"""
# Whether head and history belong together, as cheaply as it can be asked (CR07). Each is of the moment at which the
# statement began, where both were committed together: not of the head's row as it is after a wait for its lock, beside
# which the statement would not see the version that others appended with it.
_HAS_VERSION: Final = """EXISTS (
    SELECT FROM our.workflow_context_versions AS stored
    WHERE stored.workflow_id = %(workflow_id)s AND stored.version = {})"""
_HAS_EXPECTED: Final = _HAS_VERSION.format("%(expected_version)s::bigint")
_HAS_NEWEST: Final = _HAS_VERSION.format(
    "(SELECT seen.version FROM our.workflow_context AS seen WHERE seen.workflow_id = %(workflow_id)s)"
)
_HAS_NONE: Final = """NOT EXISTS (
    SELECT FROM our.workflow_context_versions AS stored WHERE stored.workflow_id = %(workflow_id)s)"""
_HAS_NEWEST_OR_NONE: Final = """(
    SELECT seen.version FROM our.workflow_context AS seen WHERE seen.workflow_id = %(workflow_id)s
    ) IS NOT DISTINCT FROM (
    SELECT max(stored.version) FROM our.workflow_context_versions AS stored
    WHERE stored.workflow_id = %(workflow_id)s)"""
_FROM_HEAD: Final = frozenset({"version", "saved_at"})
_APPEND_SAVED: Final = (
    # Of the head's row as it is now, where the rest of the statement may see an older moment: a prune, which moves
    # oldest_version, may have gone before while this waited for its lock.
    _append(
        "saved",
        (column if column in _FROM_HEAD else _value(column) for column in _VERSION_COLUMNS),
        may_lean="version = %(packed_version)s::bigint AND oldest_version <= %(base_version)s::bigint",
    )
    + f" RETURNING version, {read_time('saved_at')}, base_version"
)
_FOLLOW: Final = f"""
    version = head.version + 1, saved_at = greatest({known_time("head.saved_at")}, %(saved_at)s),
    {_assigned((*_FOLLOWING, *_DOCUMENTS))}"""
_NEXT_NUMBER: Final = "coalesce((SELECT last_version FROM gone), 0) + 1"
_FIRST: Final = {
    "version": _NEXT_NUMBER,
    "oldest_version": _NEXT_NUMBER,
    "saved_at": f"greatest(%(saved_at)s, (SELECT {known_time('deleted_at')} FROM gone))",
}


@functools.cache
def _continue(*, is_conditional: bool, has_key: bool) -> str:
    """The statement that saves a workflow that exists: its row's lock makes it wait for others and see what they left."""
    conditions = ["head.workflow_id = %(workflow_id)s"]
    conditions += ["head.version = %(expected_version)s", _HAS_EXPECTED] if is_conditional else [_HAS_NEWEST]
    conditions += [_KEY_IS_NEW] if has_key else []
    return f"""
        WITH saved AS (
            UPDATE our.workflow_context AS head SET {_FOLLOW} WHERE {" AND ".join(conditions)}
            RETURNING version, saved_at, oldest_version)
        {_APPEND_SAVED}"""


@functools.cache
def _begin(*, is_conditional: bool, has_key: bool) -> str:
    """The statement that saves a workflow that may not exist; conditional is that it does not."""
    conditions = [_HAS_NONE if is_conditional else _HAS_NEWEST_OR_NONE]
    conditions += [_KEY_IS_NEW] if has_key else []
    return f"""
        WITH gone AS (
            SELECT last_version, deleted_at FROM our.workflow_context_tombstones WHERE workflow_id = %(workflow_id)s
        ), saved AS (
            INSERT INTO our.workflow_context AS head ({", ".join(_HEAD_COLUMNS)})
            SELECT {", ".join(_FIRST.get(column) or _value(column) for column in _HEAD_COLUMNS)}
            WHERE {" AND ".join(conditions)}
            ON CONFLICT (workflow_id) DO {"NOTHING" if is_conditional else f"UPDATE SET {_FOLLOW}"}
            RETURNING version, saved_at, oldest_version)
        {_APPEND_SAVED}"""


@attrs.frozen
class Writer:
    """Writes and commits.

    Attributes:
        clock: Where `saved_at` times come from.
        limit_bytes: How large a document may be.
        packer: How documents of versions are stored.
    """

    clock: Clock
    limit_bytes: int
    packer: Packer = attrs.field(factory=Packer, init=False, repr=False)

    def save(self, session: Session, request: SaveRequest) -> SavedVersion:
        """Append a version and make it the head, in one round trip unless something stands against it.

        It takes another one where the version that it leans on is not at hand.
        """
        write_rules.check_size(request.record, self.limit_bytes)
        # A second attempt looks before it writes: the first may have met a state that no driver makes.
        saved = None if session.is_careful else self._save_at_once(session, request)
        if saved is None:
            self.packer.forget(request.record.workflow_id)
            (outcome,) = self.apply(session, [request])
            return cast("SavedVersion", outcome)
        return saved

    def _save_at_once(self, session: Session, request: SaveRequest) -> SavedVersion | None:
        record, expected = request.record, request.expected_version
        must_exist = request.must_exist or bool(expected) or self.packer.knows(record.workflow_id)
        packing = self.packer.following(session, record, expected) if must_exist else alone(record)
        values = version_values(request) | packing.values
        values["expected_version"] = expected
        values["saved_at"] = self.clock()
        statement = _continue if must_exist else _begin
        sql = statement(is_conditional=expected is not None, has_key=request.idempotency is not None)
        session.has_sent_commit = True
        if must_exist:
            row = session.execute(sql, values).fetchone()
        else:
            with session.pipeline():
                session.execute(BEGIN)
                saved = session.execute(sql, values)
                session.execute(_IS_HIGHER, (record.workflow_id,))
                session.execute(COMMIT)
            row = saved.fetchone()
        session.has_sent_commit = False
        if row is None:
            return None
        version, saved_at, base_version = row[0], utc(row[1]), row[2]
        if packing.base_version is not None and base_version is None and version == packing.packed_version:
            self.packer.lost(record.workflow_id, packing.base_version)
        self.packer.wrote(values, version, saved_at)
        return SavedVersion(version=version, saved_at=saved_at)

    def apply(self, session: Session, operations: Sequence[Operation]) -> list[Outcome]:
        """Do the operations of a batch in order, in one transaction of two round trips, or three."""
        ids = sorted({_workflow_id(operation) for operation in operations})
        ledger = Ledger(self.clock, self.limit_bytes, _look(session, ids, operations))
        outcomes = ledger.judge(operations)
        workflows = list(ledger.workflows.values())
        self.packer.pack_all(session, workflows)
        _write(session, workflows)
        for workflow in workflows:
            for row in workflow.appended:
                self.packer.wrote(row, row["version"], row["saved_at"], workflow.oldest)
        return outcomes


def _workflow_id(operation: Operation) -> str:
    return (
        operation.record.workflow_id if isinstance(operation, SaveRequest | RestoreRequest) else operation.workflow_id
    )


def _look(session: Session, ids: list[str], operations: Sequence[Operation]) -> dict[str, PlannedWorkflow]:
    """Begin a transaction, lock what exists, and tell where everything stands."""
    keys = [
        (operation.record.workflow_id, operation.idempotency.key)
        for operation in operations
        if isinstance(operation, SaveRequest | RestoreRequest) and operation.idempotency is not None
    ]
    with session.pipeline():
        session.execute(BEGIN)
        heads = session.execute(_LOCK, (ids,))
        # Statements of their own, to see what was committed while the locks were waited for.
        tombstones = session.execute(_TOMBSTONES, (ids,))
        known = session.execute(_KEYS, ([of for of, _ in keys], [key for _, key in keys])) if keys else None
        histories = session.execute(STANDINGS, (ids,))
    workflows = {workflow_id: PlannedWorkflow(workflow_id) for workflow_id in ids}
    for workflow_id, version, deleted_at in tombstones:
        workflows[workflow_id] = PlannedWorkflow(
            workflow_id, version, deleted_at and utc(deleted_at), last_tombstone=version
        )
    for workflow_id, version, saved_at, created_at, oldest in heads:
        began = utc_of(workflow_id, version, created_at)
        last = saved_at and utc(saved_at)  # a save begins afresh from one that is no time
        workflows[workflow_id] = PlannedWorkflow(workflow_id, version, last, began, oldest, had_head=True)
    deleted = {operation.workflow_id for operation in operations if isinstance(operation, DeleteRequest)}
    for workflow_id, head, newest in histories.fetchall():
        if head != newest and workflow_id not in deleted:
            raise DamagedHistoryError.between(workflow_id, head, newest)
        if head is None and newest is not None:  # a delete is to be finished
            workflows[workflow_id] = PlannedWorkflow(workflow_id, newest, created_at=_LONG_AGO, is_orphan=True)
        elif newest is not None and newest > head:
            workflows[workflow_id].version = newest
    for workflow_id, key, version, saved_at, content_hash in known or ():
        workflows[workflow_id].keys[key] = KnownKey(version, utc_of(workflow_id, version, saved_at), content_hash)
    return workflows


def _write(session: Session, workflows: Sequence[PlannedWorkflow]) -> None:
    """Write what has changed, and commit."""
    purged = [workflow.workflow_id for workflow in workflows if workflow.is_purged]
    gone = [workflow.workflow_id for workflow in workflows if workflow.had_head and not workflow.exists]
    made = [workflow.appended[-1] for workflow in workflows if workflow.appended and not workflow.had_head]
    changed = [workflow.appended[-1] for workflow in workflows if workflow.appended and workflow.had_head]
    earlier = [row for workflow in workflows for row in workflow.appended[:-1]]
    tombstones = [(workflow.workflow_id, *workflow.tombstone) for workflow in workflows if workflow.tombstone]
    claimed = [workflow.workflow_id for workflow in workflows if workflow.is_claimed]
    new = [workflow for workflow in workflows if workflow.is_new]
    with session.pipeline():
        if purged:
            session.execute(ALLOW_CHANGING)
            session.execute(_DELETE_VERSIONS, (purged,))
        _each(session, _INSERT_VERSION, earlier)
        _each(session, _MAKE, made)
        _each(session, _CLAIM, [(workflow_id,) for workflow_id in claimed])
        _each(session, _CHANGE, changed)
        if new:
            ids, seen = [workflow.workflow_id for workflow in new], [workflow.last_tombstone for workflow in new]
            session.execute(_STILL_UNUSED, (ids, seen))
        _each(session, _WRITE_TOMBSTONE, tombstones)
        if gone or claimed:
            session.execute(_DELETE_HEADS, (gone + claimed,))
        session.has_sent_commit = True
        session.execute(COMMIT)


def _each(session: Session, sql: str, rows: Sequence[Any]) -> None:
    if rows:
        session.execute_many(sql, rows)
