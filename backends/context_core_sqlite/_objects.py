"""The schema objects of a database (tables, indexes, triggers), compared with those that the migrations make."""

import functools
import logging
import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from typing import Final

import attrs

from context_core.errors import ForeignDatabaseError

_LOG: Final = logging.getLogger("context_core_sqlite")
_OBJECTS: Final = "SELECT type, name, tbl_name, coalesce(sql, ''), rootpage FROM sqlite_schema"
_COMMENT: Final = re.compile(r"--[^\n]*")
_SPACE: Final = re.compile(r"\s+")
_AROUND_PUNCTUATION: Final = re.compile(r"\s*([(),;=])\s*")

STORY_INDEXES: Final = frozenset(
    {
        "idx_context_workflow_id",
        "idx_context_epic_story",
        "idx_context_status",
        "idx_context_created_at",
        "idx_context_feature",
    }
)
"""Indexes that the original program made: ours serve the same searches."""


@attrs.frozen(kw_only=True)
class SchemaObject:
    """One row of `sqlite_schema`. A virtual table has no root page."""

    kind: str
    name: str
    table: str
    sql: str
    has_pages: bool = True

    @property
    def key(self) -> str:
        """The name as SQLite compares it."""
        return self.name.lower()


@attrs.frozen(kw_only=True)
class Difference:
    """One schema object that is not as the migrations make it.

    *problem* is "is missing", "was changed" or "is not of context-core"; the last is left to its owner.
    """

    object: SchemaObject
    problem: str

    @property
    def is_missing_table(self) -> bool:
        """Whether statements that name the table fail."""
        return self.problem == _MISSING and self.object.kind == "table"

    @property
    def is_foreign(self) -> bool:
        """Whether the object belongs to someone else."""
        return self.problem == _FOREIGN

    def __str__(self) -> str:
        where = "" if self.object.kind == "table" else f" on {self.object.table}"
        return f"the {self.object.kind} {self.object.name}{where} {self.problem}"


_MISSING: Final = "is missing"
_CHANGED: Final = "was changed"
_FOREIGN: Final = "is not of context-core"


def objects(connection: sqlite3.Connection) -> list[SchemaObject]:
    """Read the schema of a database."""
    return [
        SchemaObject(kind=kind, name=name, table=table, sql=sql, has_pages=bool(page) or kind in ("view", "trigger"))
        for kind, name, table, sql, page in connection.execute(_OBJECTS).fetchall()
    ]


@attrs.frozen(kw_only=True)
class ExpectedTable:
    """A table of ours: its columns, and the column lists of its primary key and UNIQUE constraints."""

    columns: frozenset[str]
    unique: frozenset[tuple[str, ...]]


@attrs.frozen(kw_only=True)
class Expected:
    """What a number of migrations makes, by lower-case name."""

    objects: Mapping[str, SchemaObject]
    tables: Mapping[str, ExpectedTable]


@functools.cache
def expected(statements: tuple[str, ...]) -> Expected:
    """Run the statements of migrations in a database of their own, and return what they make."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
        made = [item for item in objects(connection) if item.sql]
        return Expected(
            objects={item.key: item for item in made},
            tables={item.key: _shape(connection, item.name) for item in made if item.kind == "table"},
        )


def check_tables(
    found: Iterable[SchemaObject], connection: sqlite3.Connection, wanted: Expected, location: str
) -> None:
    """Refuse a database in which something else stands in place of a table of ours.

    Raises:
        ForeignDatabaseError: A view, a virtual table, a WITHOUT ROWID table, or a table that lacks columns or
            constraints; nothing was changed.
    """
    for item in found:
        table = wanted.tables.get(item.key)
        if table is None or item.kind not in ("table", "view"):
            continue
        if _normalized(item.sql) == _normalized(wanted.objects[item.key].sql):
            continue
        problem = _unlike(item, connection, table)
        if problem is not None:
            raise ForeignDatabaseError(
                f"{location}: {item.name} is {problem}, not the table that context-core made: put the table back, "
                f"or restore the database from a backup; nothing was changed"
            )


def _unlike(item: SchemaObject, connection: sqlite3.Connection, table: ExpectedTable) -> str | None:
    if item.kind == "view":
        return "a view"
    if not item.has_pages:
        return "a virtual table"
    if connection.execute("SELECT wr FROM pragma_table_list(?) WHERE schema = 'main'", (item.name,)).fetchone()[0]:
        return "a WITHOUT ROWID table"
    shape = _shape(connection, item.name)
    missing = sorted(table.columns - shape.columns)
    if missing:
        return f"a table without the column {missing[0]}"
    lost = sorted(table.unique - shape.unique)
    return f"a table in which ({', '.join(lost[0])}) is not unique" if lost else None


def _shape(connection: sqlite3.Connection, table: str) -> ExpectedTable:
    rows = connection.execute("SELECT lower(name), pk FROM pragma_table_info(?)", (table,)).fetchall()
    unique = {
        tuple(row[0] for row in connection.execute("SELECT lower(name) FROM pragma_index_info(?)", (index,)))
        for (index,) in connection.execute(
            "SELECT name FROM pragma_index_list(?) WHERE \"unique\" AND origin <> 'c'", (table,)
        ).fetchall()
    }
    key = tuple(name for name, place in sorted(rows, key=lambda row: row[1]) if place)
    return ExpectedTable(
        columns=frozenset(name for name, _ in rows), unique=frozenset(unique | ({key} if key else set()))
    )


def differences(found: Sequence[SchemaObject], wanted: Expected) -> list[Difference]:
    """Name what is missing, what was changed, and whose triggers of others are on tables of ours."""
    by_key = {item.key: item for item in found}
    unlike = [
        Difference(object=item, problem=_MISSING if key not in by_key else _CHANGED)
        for key, item in wanted.objects.items()
        if key not in by_key or (item.kind != "table" and _is_changed(by_key[key], item))
    ]
    foreign = [
        Difference(object=item, problem=_FOREIGN)
        for item in found
        if item.kind == "trigger" and item.table.lower() in wanted.tables and item.key not in wanted.objects
    ]
    return [*unlike, *foreign]


def _is_changed(found: SchemaObject, wanted: SchemaObject) -> bool:
    return found.kind != wanted.kind or _normalized(found.sql) != _normalized(wanted.sql)


@functools.lru_cache(maxsize=256)
def _normalized(sql: str) -> str:
    """The statement without comments and without differences in spacing."""
    return _AROUND_PUNCTUATION.sub(r"\1", _SPACE.sub(" ", _COMMENT.sub("", sql))).strip()


def restore(connection: sqlite3.Connection, difference: Difference) -> str:
    """Make a missing or changed object anew, inside a transaction; return what was done, or why it could not be."""
    item = difference.object
    connection.execute("SAVEPOINT context_core_restore")
    try:
        found = next((each for each in objects(connection) if each.key == item.key), None)
        if found is not None and found.kind == item.kind:
            connection.execute(f"DROP {found.kind.upper()} {quoted(found.name)}")
        connection.execute(item.sql)
    except sqlite3.IntegrityError:
        connection.execute("ROLLBACK TO context_core_restore")
        return (
            f"cannot restore the {item.kind} {item.name}: rows of {item.table} are not unique in it; verify names them"
        )
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            raise
        connection.execute("ROLLBACK TO context_core_restore")
        return f"cannot restore the {item.kind} {item.name}: something else has its name, rename that"
    finally:
        connection.execute("RELEASE context_core_restore")
    return restoring(difference)


def restoring(difference: Difference) -> str:
    """Say what `restore` will do."""
    return f"restore the {difference.object.kind} {difference.object.name}"


def attached_by_others(found: Iterable[SchemaObject], wanted: Expected, tables: Iterable[str]) -> list[SchemaObject]:
    """Return other people's indexes and triggers on *tables*, which go when a migration rebuilds the table."""
    names = set(tables)
    return [
        item
        for item in found
        if item.kind in ("index", "trigger")
        and item.sql
        and item.table.lower() in names
        and item.key not in wanted.objects
        and item.key not in STORY_INDEXES
    ]


def attach_again(connection: sqlite3.Connection, items: Iterable[SchemaObject]) -> None:
    """Make those of *items* that are gone again; leave out, with a warning, what no longer fits the table."""
    present = {item.key for item in objects(connection)}
    for item in items:
        if item.key in present:
            continue
        connection.execute("SAVEPOINT context_core_attach")
        try:
            connection.execute(item.sql)
            _check_compiles(connection, item.table)
        except sqlite3.Error as error:
            connection.execute("ROLLBACK TO context_core_attach")
            _LOG.warning(
                "the %s %s on %s was dropped, since it does not fit the new table (%s): make it anew",
                item.kind,
                item.name,
                item.table,
                error,
            )
        finally:
            connection.execute("RELEASE context_core_attach")


def _check_compiles(connection: sqlite3.Connection, table: str) -> None:
    """Compile each kind of write to *table*: SQLite looks at what a trigger names only then."""
    name = quoted(table)
    columns = [row[0] for row in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))]
    connection.execute(f"EXPLAIN INSERT INTO {name} DEFAULT VALUES").fetchall()
    connection.execute(
        f"EXPLAIN UPDATE {name} SET {', '.join(f'{quoted(c)} = {quoted(c)}' for c in columns)}"
    ).fetchall()
    connection.execute(f"EXPLAIN DELETE FROM {name}").fetchall()


def quoted(name: str) -> str:
    """Return *name* as an identifier in SQL."""
    return '"' + name.replace('"', '""') + '"'
