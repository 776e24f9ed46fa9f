"""Versions as they are stored: packed, each with an earlier one as its base."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from context_core.errors import CorruptDocumentError
from context_core.history_codec import BLOCK, PackedVersion, RecentBases, Unpacker, base_of, is_base, pack_version
from context_core_sqlite._damage import rows

BASE_SAVED_AT: Final = f"""
    (SELECT saved_at FROM workflow_context_versions
    WHERE workflow_id = head.workflow_id AND version = head.version + 1 - (head.version % {BLOCK} & -(head.version % {BLOCK})))
    AS base_saved_at"""
"""The time of the version that the next one should lean on, `base_of(version + 1)`; NULL where there is none."""

_STORED: Final = """
    SELECT base_version, CAST(document AS BLOB) FROM workflow_context_versions WHERE workflow_id = ? AND version = ?"""
_SAVED_AT: Final = "SELECT saved_at FROM workflow_context_versions WHERE workflow_id = ? AND version = ?"
# None leans on a version of another block, so the range is short.
_LEANING: Final = f"""
    SELECT version, base_version, CAST(document AS BLOB) FROM workflow_context_versions
    WHERE workflow_id = ? AND version > ? AND version < ? + {BLOCK} AND base_version <= ?
    ORDER BY version"""
REPACK: Final = """
    UPDATE workflow_context_versions SET base_version = ?, document = ? WHERE workflow_id = ? AND version = ?"""
_AS_THEY_ARE: Final = """
    SELECT workflow_id, version, saved_at, CAST(document AS BLOB) FROM workflow_context_versions
    WHERE (workflow_id, version) > (CAST(? AS TEXT), ?) AND base_version IS NULL AND save_id IS NULL
    ORDER BY workflow_id, version LIMIT ?"""
# A row that was left behind, by whatever was done from outside, is taken over.
_GUARD: Final = "INSERT OR IGNORE INTO workflow_context_delete_guard (workflow_id) VALUES (?)"
_UNGUARD: Final = "DELETE FROM workflow_context_delete_guard WHERE workflow_id = ?"


@contextmanager
def guarded(connection: sqlite3.Connection, workflow_id: str) -> Iterator[None]:
    """Let versions of a workflow be deleted or packed anew, inside the transaction."""
    connection.execute(_GUARD, (workflow_id,))
    yield
    connection.execute(_UNGUARD, (workflow_id,))


@contextmanager
def one_view(connection: sqlite3.Connection) -> Iterator[Unpacker]:
    """Read in one transaction, so that what is read and what it leans on are of one moment."""
    unpacker = _unpacker(connection)
    if connection.in_transaction:
        yield unpacker
        return
    connection.execute("BEGIN")
    try:
        yield unpacker
    finally:
        connection.execute("COMMIT")


def _unpacker(connection: sqlite3.Connection) -> Unpacker:
    def fetch(workflow_id: str, version: int) -> PackedVersion | None:
        row = connection.execute(_STORED, (workflow_id, version)).fetchone()
        return None if row is None else PackedVersion(*row)

    return Unpacker(fetch)


class Packer:
    """Packs versions as they are written, inside transactions that the caller holds."""

    def __init__(self) -> None:
        self._recent: RecentBases[str] = RecentBases()

    def pack(
        self, connection: sqlite3.Connection, workflow_id: str, version: int, document: bytes, base_saved_at: str | None
    ) -> PackedVersion:
        """Pack the document of a new version; *base_saved_at* is that of `base_of(version)`, None if it is missing."""
        if base_saved_at is not None:
            number = base_of(version)
            base = self._recent.get(workflow_id, number, base_saved_at)
            if base is None:
                base = self._read_back(connection, workflow_id, number, base_saved_at)
            if base is not None:
                return pack_version(version, document, (number, base))
        return pack_version(version, document)

    def wrote(self, workflow_id: str, version: int, saved_at: str, document: bytes) -> None:
        """Remember a version if later ones will lean on it."""
        if is_base(version):
            self._recent.put(workflow_id, version, saved_at, document)

    def commit(self) -> None:
        """Count what was written as stored."""
        self._recent.commit()

    def roll_back(self) -> None:
        """Forget what was written."""
        self._recent.roll_back()

    def _read_back(self, connection: sqlite3.Connection, workflow_id: str, version: int, saved_at: str) -> bytes | None:
        """Read a base that is not at hand; None where it is damaged, and nothing more should lean on it."""
        unpacker = _unpacker(connection)
        row = connection.execute(_STORED, (workflow_id, version)).fetchone()
        try:
            document = unpacker.plain(workflow_id, version, PackedVersion(*row))
        except CorruptDocumentError:
            return None
        self._recent.put(workflow_id, version, saved_at, document)
        return document

    def repack(self, connection: sqlite3.Connection, after: tuple[str, int], limit: int) -> tuple[str, int] | None:
        """Pack the next *limit* versions behind *after* that are stored as they are; return the last, None at the end.

        What another process packed, pruned or deleted meanwhile is passed over: each call looks again.
        """
        found = rows(connection, _AS_THEY_ARE, (*after, limit))
        for workflow_id, version, saved_at, document in found:
            if not isinstance(workflow_id, str):
                continue  # damaged: for verify to name
            base = connection.execute(_SAVED_AT, (workflow_id, base_of(version))).fetchone()
            leans = base is not None and base_of(version) != version
            packed = self.pack(connection, workflow_id, version, document, base[0] if leans else None)
            with guarded(connection, workflow_id):
                connection.execute(REPACK, (*packed, workflow_id, version))
            self.wrote(workflow_id, version, saved_at, document)
        return found[-1][:2] if len(found) == limit else None


def forget(connection: sqlite3.Connection, workflow_id: str, first: int, last: int) -> None:
    """Delete the versions *first* to *last*, and pack anew what leaned on them.

    The oldest version that stays becomes a keyframe, and the few others that lean on older ones lean on it instead.
    What leans on a damaged version is left as it is, for `verify` to name.
    """
    unpacker = _unpacker(connection)
    kept: list[tuple[int, bytes]] = []
    for version, *stored in connection.execute(_LEANING, (workflow_id, last, last, last)).fetchall():
        try:
            kept.append((version, unpacker.plain(workflow_id, version, PackedVersion(*stored))))
        except CorruptDocumentError:
            continue
    with guarded(connection, workflow_id):
        connection.execute(
            "DELETE FROM workflow_context_versions WHERE workflow_id = ? AND version BETWEEN ? AND ?",
            (workflow_id, first, last),
        )
        for version, document in kept:
            packed = pack_version(version, document, kept[0] if version != kept[0][0] else None)
            connection.execute(REPACK, (*packed, workflow_id, version))
