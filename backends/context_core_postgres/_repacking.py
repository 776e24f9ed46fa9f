"""Versions that are packed anew: since what they leaned on is pruned, or since they were stored as they are.

Both hold the locks of the heads, so that nobody saves, prunes or deletes meanwhile; readers go on.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from context_core.history_codec import BLOCK, base_of, pack_version
from context_core.maintenance import KeptHash, PrunedRange
from context_core_postgres._packing import BASES, STORED_COLUMNS, Base, plain
from context_core_postgres._rows import read_columns
from context_core_postgres._session import Session
from context_core_postgres._write import ALLOW_CHANGING, BEGIN, COMMIT

REPACKED_AT_ONCE: Final = 200
"""How many versions one transaction packs."""

_LOCK: Final = """
    SELECT workflow_id, version FROM our.workflow_context
    WHERE workflow_id = ANY(%s::text[]) ORDER BY workflow_id FOR UPDATE"""
# None leans on a version of another block, so the range is short.
_LEANING: Final = f"""
    SELECT {read_columns(STORED_COLUMNS, "stored")}
    FROM unnest(%s::text[], %s::bigint[]) AS cut (workflow_id, last) JOIN our.workflow_context_versions AS stored
        ON stored.workflow_id = cut.workflow_id AND stored.version > cut.last AND stored.version < cut.last + {BLOCK}
            AND stored.base_version <= cut.last
    ORDER BY stored.workflow_id, stored.version"""
_FORGET: Final = """
    DELETE FROM our.workflow_context_versions
    WHERE workflow_id = %s AND version BETWEEN %s::bigint AND %s::bigint"""
_RAISE_OLDEST: Final = """
    UPDATE our.workflow_context SET oldest_version = %s::bigint + 1
    WHERE workflow_id = %s AND oldest_version <= %s::bigint"""
_REPACK: Final = """
    UPDATE our.workflow_context_versions SET base_version = %s::bigint, document = %b
    WHERE workflow_id = %s AND version = %s::bigint"""
_HAVE_OTHERS: Final = """
    SELECT stored.workflow_id, stored.version FROM our.workflow_context_versions AS stored
    JOIN unnest(%s::text[], %s::bigint[], %s::bytea[]) AS kept (workflow_id, version, content_hash)
        ON stored.workflow_id = kept.workflow_id AND stored.version = kept.version
    WHERE stored.idempotency_key IS NOT NULL AND stored.content_hash IS DISTINCT FROM kept.content_hash"""
_SWITCH_OFF: Final = """
    ALTER TABLE our.workflow_context_versions DISABLE TRIGGER workflow_context_versions_no_change"""
_SWITCH_ON: Final = """
    ALTER TABLE our.workflow_context_versions ENABLE TRIGGER workflow_context_versions_no_change"""
_KEEP: Final = """
    UPDATE our.workflow_context_versions SET content_hash = %s::bytea WHERE workflow_id = %s AND version = %s::bigint"""
_AS_THEY_ARE: Final = """
    SELECT workflow_id, version FROM our.workflow_context_versions
    WHERE (workflow_id, version) > (%s, %s::bigint) AND base_version IS NULL AND save_id IS NULL
    ORDER BY workflow_id, version LIMIT %s"""


def forget(session: Session, ranges: list[PrunedRange]) -> None:
    """Remove versions below their heads, in one transaction, and pack anew what leaned on them.

    The head may have moved on, or the workflow may be gone, since the ranges were named: what is below the head of now
    and within the range goes, nothing else. The oldest version that stays becomes a keyframe, and the few others that
    lean on older ones lean on it instead. What leans on a damaged version is left as it is, for `verify` to name.
    """
    with session.pipeline():
        session.execute(BEGIN)
        heads = session.execute(_LOCK, ([pruned.workflow_id for pruned in ranges],))
    newest: dict[str, int] = dict(heads.fetchall())
    cuts = [
        (pruned.workflow_id, pruned.first, min(pruned.last, newest[pruned.workflow_id] - 1))
        for pruned in ranges
        if pruned.workflow_id in newest
    ]
    leaning = session.execute(_LEANING, ([cut[0] for cut in cuts], [cut[2] for cut in cuts])).fetchall()
    documents = _documents(session, leaning)
    repacked = [
        row
        for workflow_id, rows in groupby(sorted(documents), key=itemgetter(0))
        for row in _leaning_on_the_oldest(workflow_id, [documents[key] for key in rows])
    ]
    with session.pipeline():
        session.execute(ALLOW_CHANGING)
        if repacked:
            session.execute_many(_REPACK, repacked)
        if cuts:
            session.execute_many(_FORGET, cuts)
            session.execute_many(_RAISE_OLDEST, [(last, workflow_id, last) for workflow_id, _, last in cuts])
        session.has_sent_commit = True
        session.execute(COMMIT)


def repack(session: Session, after: tuple[str, int]) -> tuple[str, int] | None:
    """Pack some versions behind *after* that are stored as they are; return the last, None at the end.

    What another host packed, pruned or deleted meanwhile is passed over: each call looks again.
    """
    found = session.execute(_AS_THEY_ARE, (*after, REPACKED_AT_ONCE)).fetchall()
    if not found:
        return None
    with session.pipeline():
        session.execute(BEGIN)
        session.execute(_LOCK, (sorted({workflow_id for workflow_id, _ in found}),))
        wanted = {(workflow_id, number) for workflow_id, version in found for number in (version, base_of(version))}
        stored = session.execute(BASES, _arrays(wanted))
    rows = stored.fetchall()
    documents = plain(rows)
    as_it_is = {(row[0], row[1]) for row in rows if row[2] is None and row[4] is None}
    repacked = []
    for key in sorted(as_it_is & set(found)):
        base = documents.get((key[0], base_of(key[1])))
        repacked.append(_row(key[0], documents[key], base if base is not documents[key] else None))
    with session.pipeline():
        session.execute(ALLOW_CHANGING)
        if repacked:
            session.execute_many(_REPACK, repacked)
        session.has_sent_commit = True
        session.execute(COMMIT)
    return found[-1] if len(found) == REPACKED_AT_ONCE else None


def rehash(session: Session, hashes: Sequence[KeptHash]) -> None:
    """Replace the hashes that are kept beside idempotency keys, in one transaction.

    The trigger that refuses every change of a version is switched off meanwhile. That locks the table for writers, so it
    is done only where a hash is another one.
    """
    ids, versions = [kept.workflow_id for kept in hashes], [kept.version for kept in hashes]
    found = session.execute(_HAVE_OTHERS, (ids, versions, [kept.content_hash for kept in hashes])).fetchall()
    others = {(workflow_id, version) for workflow_id, version in found}
    if not others:
        return
    with session.pipeline():
        session.execute(BEGIN)
        session.execute(_SWITCH_OFF)
        session.execute_many(
            _KEEP,
            [
                (kept.content_hash, kept.workflow_id, kept.version)
                for kept in hashes
                if (kept.workflow_id, kept.version) in others
            ],
        )
        session.execute(_SWITCH_ON)
        session.has_sent_commit = True
        session.execute(COMMIT)


def _documents(session: Session, rows: list[tuple[Any, ...]]) -> dict[tuple[str, int], Base]:
    """Unpack rows of STORED_COLUMNS, reading what they lean on; without those that are damaged."""
    own = {(row[0], row[1]) for row in rows}
    bases = {(row[0], row[2]) for row in rows} - own
    read = session.execute(BASES, _arrays(bases)).fetchall() if bases else []
    return {key: document for key, document in plain([*rows, *read]).items() if key in own}


def _arrays(keys: Iterable[tuple[str, int]]) -> tuple[list[str], list[int]]:
    ordered = sorted(keys)
    return [workflow_id for workflow_id, _ in ordered], [version for _, version in ordered]


def _leaning_on_the_oldest(workflow_id: str, documents: list[Base]) -> list[tuple[Any, ...]]:
    oldest = documents[0]
    return [_row(workflow_id, each, oldest if each is not oldest else None) for each in documents]


def _row(workflow_id: str, each: Base, base: Base | None) -> tuple[Any, ...]:
    """The parameters of _REPACK."""
    leaning = (base.version, base.document) if base is not None else None
    return (*pack_version(each.version, each.document, leaning), workflow_id, each.version)
