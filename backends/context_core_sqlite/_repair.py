"""Mending the states that no driver makes: each step is a transaction of its own, and nothing that can be read goes."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import attrs
import orjson

from context_core.columns import HEADER_COLUMNS, RECORD_COLUMNS, VERSION_COLUMNS
from context_core.errors import CorruptDocumentError
from context_core.history_codec import PackedVersion, pack_version
from context_core.maintenance import RepairStep
from context_core.records import time_to_text
from context_core_sqlite._damage import NEWEST_OF_HEAD, ORPHANS, lenient, shown_text
from context_core_sqlite._history import REPACK, guarded, one_view
from context_core_sqlite._rows import header

_COMMON: Final = tuple(column for column in (*HEADER_COLUMNS, "save_id") if column != "created_at")
_ADRIFT: Final = f"""
    SELECT head.workflow_id, head.version, {NEWEST_OF_HEAD} AS newest FROM workflow_context AS head
    WHERE head.version IS NOT newest ORDER BY workflow_id"""
# Heads beside the version of their number: what both say should be the same.
_PAIRS: Final = f"""
    SELECT head.workflow_id, {" OR ".join(f"head.{column} IS NOT stored.{column}" for column in _COMMON)},
        CAST(head.document AS BLOB), stored.base_version, CAST(stored.document AS BLOB),
        {", ".join(f"stored.{column}" for column in VERSION_COLUMNS)}
    FROM workflow_context AS head JOIN workflow_context_versions AS stored USING (workflow_id, version)
    WHERE head.version = {NEWEST_OF_HEAD} ORDER BY workflow_id"""
GUARDS: Final = "SELECT workflow_id FROM workflow_context_delete_guard ORDER BY workflow_id"

_FOLLOWING: Final = ", ".join(column for column in RECORD_COLUMNS if column != "created_at")
# Ids travel as text or, where they are none, as the bytes of a text; columns are copied as they are.
_NEWEST: Final = """
    SELECT version, base_version, CAST(document AS BLOB), save_id FROM workflow_context_versions
    WHERE workflow_id = CAST(? AS TEXT) ORDER BY version DESC LIMIT 1"""
_REBUILD: Final = f"""
    INSERT INTO workflow_context (workflow_id, version, created_at, {_FOLLOWING}, document)
    SELECT workflow_id, version, coalesce(
            (SELECT created_at FROM workflow_context WHERE workflow_id = stored.workflow_id),
            (SELECT created_at FROM workflow_context_versions
            WHERE workflow_id = stored.workflow_id ORDER BY version LIMIT 1)),
        {_FOLLOWING}, ?
    FROM workflow_context_versions AS stored WHERE workflow_id = CAST(? AS TEXT) AND version = ?
    ON CONFLICT (workflow_id) DO UPDATE SET version = excluded.version, document = excluded.document,
        {", ".join(f"{column} = excluded.{column}" for column in _FOLLOWING.split(", "))}"""
_APPEND: Final = f"""
    INSERT INTO workflow_context_versions (workflow_id, version, created_at, {_FOLLOWING}, document)
    SELECT workflow_id, version, coalesce(?, created_at), {_FOLLOWING}, document FROM workflow_context
    WHERE workflow_id = CAST(? AS TEXT)"""
_HEAD_DOCUMENT: Final = """
    SELECT version, CAST(document AS BLOB) FROM workflow_context WHERE workflow_id = CAST(? AS TEXT)"""
_DROP_GUARD: Final = "DELETE FROM workflow_context_delete_guard WHERE workflow_id = CAST(? AS TEXT)"


@attrs.frozen
class Mending:
    """One step: what is said of it, and what it takes to do it."""

    step: RepairStep
    kind: str
    workflow_id: str | bytes


def plan(connection: sqlite3.Connection, _: None) -> list[Mending]:
    """Name what a repair does, in an order in which it can be done."""
    with one_view(connection), lenient(connection):
        return [*_guards(connection), *_standings(connection), *_contents(connection)]


def _guards(connection: sqlite3.Connection) -> Iterator[Mending]:
    for (workflow_id,) in connection.execute(GUARDS).fetchall():
        yield _mending("guard", workflow_id, None, "remove the guard of a deletion that was broken off")


def _standings(connection: sqlite3.Connection) -> Iterator[Mending]:
    for workflow_id, newest in connection.execute(ORPHANS).fetchall():
        yield _rebuilding(workflow_id, newest)
    for workflow_id, version, newest in connection.execute(_ADRIFT).fetchall():
        if newest is not None and newest > version:
            yield _rebuilding(workflow_id, newest)
        else:
            yield _mending("append", workflow_id, version, "write this version from the current state")


def _contents(connection: sqlite3.Connection) -> Iterator[Mending]:
    """Where a head and its version differ, the version counts if it can be read: it is guarded, and a head is not."""
    with one_view(connection) as unpacker:
        for workflow_id, differs, document, base, stored, *columns in connection.execute(_PAIRS).fetchall():
            version = columns[1]
            try:
                header(columns)
                plain = unpacker.plain(workflow_id, version, PackedVersion(base, stored))
            except CorruptDocumentError:
                if not differs and base is not None and _is_object(document):
                    yield _mending("repack", workflow_id, version, "pack this version anew from the current state")
                continue
            if differs or plain != document:
                yield _rebuilding(workflow_id, version)


def _rebuilding(workflow_id: str | bytes, version: int) -> Mending:
    return _mending("rebuild", workflow_id, version, "rebuild the current state from this version")


def _mending(kind: str, workflow_id: str | bytes, version: int | None, action: str) -> Mending:
    return Mending(RepairStep(workflow_id=shown_text(workflow_id), version=version, action=action), kind, workflow_id)


def mend(connection: sqlite3.Connection, mending: Mending) -> None:
    """Do one step, inside a transaction. What others have mended or deleted meanwhile is left as it is."""
    workflow_id: Any = mending.workflow_id
    if mending.kind == "guard":
        connection.execute(_DROP_GUARD, (workflow_id,))
    elif mending.kind == "append":
        _append(connection, workflow_id)
    elif mending.kind == "rebuild":
        _rebuild(connection, workflow_id)
    else:
        _repack(connection, workflow_id, mending.step.version)


def _append(connection: sqlite3.Connection, workflow_id: Any) -> None:
    """Write the version of a head, unless another process has meanwhile."""
    head = connection.execute(_HEAD_DOCUMENT, (workflow_id,)).fetchone()
    newest = connection.execute(_NEWEST, (workflow_id,)).fetchone()
    if head is not None and (newest is None or newest[0] < head[0]):
        connection.execute(_APPEND, (_created_at(head[1]), workflow_id))


def _created_at(document: bytes) -> str | None:
    """A version's own time of creation, which its head does not keep; None where the document does not tell."""
    try:
        moment = datetime.fromisoformat(orjson.loads(document)["created_at"])
        return time_to_text(moment.astimezone(UTC)) if moment.tzinfo is not None else None
    except (ValueError, TypeError, KeyError, OverflowError):
        return None


def _rebuild(connection: sqlite3.Connection, workflow_id: Any) -> None:
    newest = connection.execute(_NEWEST, (workflow_id,)).fetchone()
    if newest is None:
        return
    version, base, stored, save_id = newest
    with one_view(connection) as unpacker:
        try:
            document = unpacker.plain(workflow_id, version, PackedVersion(base, stored))
        except CorruptDocumentError:
            document = stored  # no load reads it; earlier versions can be rolled back to again
    connection.execute(_REBUILD, (_value(document, save_id), workflow_id, version))


def _value(document: bytes, save_id: bytes | None) -> str | bytes:
    """JSON as text, as saves store it; whatever else as it is."""
    if save_id is None and _is_object(document) and b"\0" not in document:
        return document.decode()
    return document


def _repack(connection: sqlite3.Connection, workflow_id: str, version: int | None) -> None:
    head = connection.execute(_HEAD_DOCUMENT, (workflow_id,)).fetchone()
    if head is not None and head[0] == version:
        with guarded(connection, workflow_id):
            connection.execute(REPACK, (*pack_version(head[0], head[1]), workflow_id, version))


def _is_object(document: bytes) -> bool:
    try:
        return isinstance(orjson.loads(document), dict)
    except ValueError:
        return False
