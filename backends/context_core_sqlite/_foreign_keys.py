"""Foreign keys of other people's tables that refer to ours: enforced, and named where they refuse a deletion."""

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Final, TypeAlias

import attrs

from context_core.errors import ContextReferencedError, PersistenceError, StorageError
from context_core_sqlite._objects import quoted

_LOG: Final = logging.getLogger("context_core_sqlite")
_HEADS: Final = "workflow_context"
_VERSIONS: Final = "workflow_context_versions"
_REFERENCES: Final = f"""
    SELECT child.name, reference.id, lower(reference."table"), reference."from", reference."to", reference.on_delete
    FROM sqlite_schema AS child, pragma_foreign_key_list(child.name) AS reference
    WHERE child.type = 'table' AND lower(reference."table") IN ('{_HEADS}', '{_VERSIONS}')
    ORDER BY child.name, reference.id, reference.seq"""
_TABLES_WITH_REFERENCES: Final = """
    SELECT DISTINCT child.name FROM sqlite_schema AS child, pragma_foreign_key_list(child.name)
    WHERE child.type = 'table'"""
_PRIMARY_KEY: Final = "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk"
_REFUSING: Final = frozenset({"RESTRICT", "NO ACTION"})

Violation: TypeAlias = tuple[str, int | None, str, int]
"""As `PRAGMA foreign_key_check` gives it: table, rowid, table referred to, number of the foreign key."""


@attrs.frozen(kw_only=True)
class Reference:
    """One foreign key of *table* to *parent*: its columns, and those that it refers to."""

    table: str
    parent: str
    columns: Sequence[str]
    parent_columns: Sequence[str]
    on_delete: str


def switch_on(connection: sqlite3.Connection, location: str) -> None:
    """Enforce foreign keys on a connection that writes, unless one is so wrong that saves would fail."""
    connection.execute("PRAGMA foreign_keys = ON")
    if not references(connection):
        return
    try:
        for table in (_HEADS, _VERSIONS):
            names = [quoted(row[0]) for row in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))]
            connection.execute(f"EXPLAIN INSERT INTO {table} DEFAULT VALUES").fetchall()
            connection.execute(f"EXPLAIN UPDATE {table} SET {', '.join(f'{n} = {n}' for n in names)}").fetchall()
    except sqlite3.OperationalError as error:
        connection.execute("PRAGMA foreign_keys = OFF")
        _LOG.warning(
            "foreign keys are not enforced by this store of %s, since saves would fail (%s): let the table refer to "
            "workflow_context(workflow_id)",
            location,
            error,
        )


def give_way(connection: sqlite3.Connection, location: str, error: sqlite3.OperationalError) -> bool:
    """Tell whether foreign keys had to be switched off after *error*, so that the transaction may be tried again.

    A table that was made since the connection was opened may refer to ours in a way that SQLite cannot enforce.
    """
    is_on = connection.execute("PRAGMA foreign_keys").fetchone()[0]
    if not is_on or error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
        return False
    switch_on(connection, location)
    return not connection.execute("PRAGMA foreign_keys").fetchone()[0]


@contextmanager
def switched_off(connection: sqlite3.Connection) -> Iterator[None]:
    """Switch foreign keys off around a transaction that rebuilds tables; inside one SQLite ignores the switch.

    With foreign keys on, DROP TABLE deletes the rows that refer to the table.
    """
    was_on = connection.execute("PRAGMA foreign_keys").fetchone()[0]
    connection.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        if was_on and not connection.in_transaction:
            connection.execute("PRAGMA foreign_keys = ON")


def references(connection: sqlite3.Connection) -> list[Reference]:
    """Read the foreign keys that refer to tables of ours."""
    rows = connection.execute(_REFERENCES).fetchall()
    found = []
    for (table, _, parent), group in groupby(rows, key=lambda row: row[:3]):
        columns = list(group)
        named = [row[4] for row in columns if row[4] is not None]
        key = named or [row[0] for row in connection.execute(_PRIMARY_KEY, (parent,))]
        found.append(
            Reference(
                table=table,
                parent=parent,
                columns=[row[3] for row in columns],
                parent_columns=key,
                on_delete=columns[0][5],
            )
        )
    return found


@contextmanager
def refusals_named(connection: sqlite3.Connection, workflow_id: str) -> Iterator[None]:
    """Turn the refusal of a deletion by a foreign key into an error that names the table that refers to the workflow.

    Raises:
        ContextReferencedError: The transaction must be rolled back.
    """
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.OperationalError) as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_ERROR):
            raise
        table = _referring_table(connection, workflow_id)
        if table is None:
            raise
        raise ContextReferencedError(workflow_id=workflow_id, table=table) from error


def _referring_table(connection: sqlite3.Connection, workflow_id: str) -> str | None:
    """The table whose rows keep a workflow from being deleted; one that refuses comes first."""
    ordered = sorted(references(connection), key=lambda reference: reference.on_delete not in _REFUSING)
    for reference in ordered:
        if _is_unusable(connection, reference) or _refers(connection, reference, workflow_id):
            return reference.table
    return None


def _is_unusable(connection: sqlite3.Connection, reference: Reference) -> bool:
    """Whether SQLite cannot enforce a foreign key: what it refers to does not exist, or is not unique."""
    try:
        connection.execute(f"PRAGMA foreign_key_check({quoted(reference.table)})").fetchone()
    except sqlite3.OperationalError:
        return True
    return False


def _refers(connection: sqlite3.Connection, reference: Reference, workflow_id: str) -> bool:
    equal = " AND ".join(
        f"child.{quoted(column)} = parent.{quoted(key)}"
        for column, key in zip(reference.columns, reference.parent_columns, strict=True)
    )
    sql = f"""
        SELECT 1 FROM {quoted(reference.table)} AS child, {reference.parent} AS parent
        WHERE {equal} AND parent.workflow_id = ? LIMIT 1"""
    return connection.execute(sql, (workflow_id,)).fetchone() is not None


def violations(connection: sqlite3.Connection) -> set[Violation]:
    """List the rows that refer to nothing. A foreign key that SQLite cannot check is passed over."""
    found: set[Violation] = set()
    for (table,) in connection.execute(_TABLES_WITH_REFERENCES).fetchall():
        try:
            found.update(connection.execute(f"PRAGMA foreign_key_check({quoted(table)})").fetchall())
        except sqlite3.OperationalError:
            continue
    return found


def refused_commit(connection: sqlite3.Connection) -> PersistenceError:
    """Roll back a transaction whose COMMIT a deferred foreign key refused, and return the error that names its table."""
    during = violations(connection)
    connection.execute("ROLLBACK")
    broken = sorted(during - violations(connection), key=repr)
    by_table = {reference.table: reference for reference in references(connection)}
    for table, rowid, _, _ in broken:
        workflow_id = _workflow_of(connection, by_table.get(table), rowid)
        if workflow_id is not None:
            return ContextReferencedError(workflow_id=workflow_id, table=table)
    tables = ", ".join(sorted({violation[0] for violation in broken})) or "another table"
    return StorageError(f"a foreign key of {tables} refused the commit: nothing was written; look at its rows")


def _workflow_of(connection: sqlite3.Connection, reference: Reference | None, rowid: int | None) -> str | None:
    if reference is None or rowid is None:
        return None
    equal = " AND ".join(
        f"child.{quoted(column)} = parent.{quoted(key)}"
        for column, key in zip(reference.columns, reference.parent_columns, strict=True)
    )
    sql = f"""
        SELECT parent.workflow_id FROM {quoted(reference.table)} AS child, {reference.parent} AS parent
        WHERE {equal} AND child.rowid = ?"""
    row = connection.execute(sql, (rowid,)).fetchone()
    return None if row is None else str(row[0])


def check_no_new_violations(connection: sqlite3.Connection, before: set[Violation], *, is_adoption: bool) -> None:
    """Look, at the end of a migration, that no row of another table lost what it refers to.

    An adoption only warns: the original table's `id` is gone, and a damaged row must not keep the others from being
    opened.

    Raises:
        StorageError: A step of a migration broke a reference; it must be rolled back.
    """
    tables = sorted({violation[0] for violation in violations(connection) - before})
    if not tables:
        return
    if not is_adoption:
        raise StorageError(f"a migration would break foreign keys of {', '.join(tables)}: nothing was changed")
    _LOG.warning("rows of %s refer to what was adopted under another key: see docs/schema.md", ", ".join(tables))
