"""The tables: which database is ours, and how an older one becomes a newer one."""

import functools
import sqlite3
from collections.abc import Iterator, Sequence
from enum import Enum
from importlib.resources import files
from typing import Final

import attrs

from context_core.errors import ForeignDatabaseError, NewerDatabaseError, ReadOnlyError
from context_core.records import Clock, time_to_text
from context_core.zones import DEFAULT_ZONE, zone_of
from context_core_sqlite import _foreign_keys, _naive_times, _objects
from context_core_sqlite._adoption import ORIGINAL_COLUMNS, put_in, set_aside

SCHEMA_TABLE: Final = "context_core_schema"
SCHEMA_COLUMNS: Final = frozenset({"version", "name", "applied_at"})
OUR_PREFIX: Final = "workflow_context_"
OUR_TABLES: Final = frozenset(
    {
        SCHEMA_TABLE,
        "workflow_context",
        "workflow_context_versions",
        "workflow_context_tombstones",
        "workflow_context_delete_guard",
    }
)
# A table of our own and not user_version: the file may be another application's too, with a numbering of its own.
_CREATE_SCHEMA_TABLE: Final = """
    CREATE TABLE context_core_schema (
        version INTEGER NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        applied_at TEXT NOT NULL
    ) STRICT"""


@attrs.frozen
class Migration:
    """One numbered step, and its statements."""

    number: int
    name: str
    statements: Sequence[str]


@functools.cache
def migrations() -> tuple[Migration, ...]:
    """The steps that this driver knows, in order."""
    folder = files("context_core_sqlite") / "migrations"
    found = sorted((item for item in folder.iterdir() if item.name.endswith(".sql")), key=lambda item: item.name)
    return tuple(
        Migration(int(item.name[:4]), item.name.removesuffix(".sql"), tuple(_statements(item.read_text("utf-8"))))
        for item in found
    )


def newest() -> int:
    """The schema version that this driver writes."""
    return migrations()[-1].number


def _statements(script: str) -> Iterator[str]:
    """Split a script: executescript would commit the transaction that a step has to be."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


class State(Enum):
    """What a database file is to us."""

    EMPTY = "without tables of ours"
    OURS = "ours"
    ORIGINAL = "of the original single-table schema"


def inspect(connection: sqlite3.Connection, location: str) -> tuple[State, int]:
    """Return what the database is, and its schema version; reads only.

    Raises:
        ForeignDatabaseError: Tables of our names are someone else's.
        NewerDatabaseError: A newer driver made it.
    """
    if connection.in_transaction:
        return _inspect(connection, location)
    connection.execute("BEGIN")  # one view for all that is read: another process may be migrating
    try:
        return _inspect(connection, location)
    finally:
        if connection.in_transaction:  # some errors end it
            connection.execute("ROLLBACK")


def _inspect(connection: sqlite3.Connection, location: str) -> tuple[State, int]:
    encoding = connection.execute("PRAGMA encoding").fetchone()[0]
    if encoding != "UTF-8":
        raise ForeignDatabaseError(
            f"{location} is encoded as {encoding}, in which documents cannot be read: use another file, or copy it by "
            f"sqlite3's .dump into a database of UTF-8; nothing was changed"
        )
    found = _objects.objects(connection)
    rows = [(item.key, item.kind, item.table.lower()) for item in found]
    tables = {name: kind for name, kind, _ in rows if kind in ("table", "view")}  # lower: SQLite's names know no case
    # Indexes of the original table go with it; any other index or trigger of our names is in our way.
    in_our_way = {name for name, _, table in rows if name.startswith(OUR_PREFIX) and table != "workflow_context"}
    taken = (tables.keys() & OUR_TABLES) | in_our_way
    if SCHEMA_TABLE in tables and _columns(connection, SCHEMA_TABLE) == SCHEMA_COLUMNS:
        version = connection.execute(f"SELECT coalesce(max(version), 0) FROM {SCHEMA_TABLE}").fetchone()[0]
        if version > newest():
            raise NewerDatabaseError(location=location, found=version, known=newest())
        _objects.check_tables(found, connection, expected(version), location)
        return State.OURS, version
    if not taken:
        return State.EMPTY, 0
    is_one_table = taken == {"workflow_context"} and tables["workflow_context"] == "table"
    if is_one_table and _columns(connection, "workflow_context") == ORIGINAL_COLUMNS:
        return State.ORIGINAL, 0
    raise ForeignDatabaseError(
        f"{location} has tables or indexes called {', '.join(sorted(taken))} that context-core did not make: "
        f"use another file; nothing was changed"
    )


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}


def expected(version: int) -> _objects.Expected:
    """Return the tables, indexes and triggers of a schema version."""
    steps = [step for step in migrations() if step.number <= version]
    return _objects.expected((_CREATE_SCHEMA_TABLE, *(statement for step in steps for statement in step.statements)))


def differences(connection: sqlite3.Connection) -> list[_objects.Difference]:
    """Name the schema objects that are not as the newest schema version has them."""
    return _objects.differences(_objects.objects(connection), expected(newest()))


def plan_repair(connection: sqlite3.Connection, _: None) -> list[_objects.Difference]:
    """Name the schema objects that a repair makes anew; those of others are left."""
    return [difference for difference in differences(connection) if not difference.is_foreign]


def repair(connection: sqlite3.Connection, planned: Sequence[_objects.Difference]) -> list[str]:
    """Make schema objects anew, inside a transaction; return what was done, or why it could not be, for each."""
    still = {difference.object.key for difference in plan_repair(connection, None)}
    return [
        _objects.restore(connection, difference)
        if difference.object.key in still
        else _objects.restoring(difference)  # another process did it meanwhile
        for difference in planned
    ]


def migrate(connection: sqlite3.Connection, location: str, clock: Clock, naive_times: str | None = None) -> int:
    """Bring the database to the newest schema, each step one transaction; return its version.

    Any number of processes may do this at once: each step looks again once it holds the write lock (MI02). The first step
    decides in which zone naive times are read; a database that decided otherwise is left as it is.
    """
    state, version = inspect(connection, location)
    if state is State.OURS:
        _naive_times.agreed(connection, naive_times, location)
    for step in migrations():
        if step.number > version:
            _apply(connection, step, location, clock, naive_times or DEFAULT_ZONE)
    return newest()


def check_readable(connection: sqlite3.Connection, location: str) -> int:
    """Return the schema version of a database that is only to be read; refuse one that would need migrating."""
    state, version = inspect(connection, location)
    if state is not State.OURS or version < newest():
        raise ReadOnlyError(
            f"{location} is {state.value}, at schema version {version} of {newest()}: open it once for writing"
        )
    return version


def _apply(connection: sqlite3.Connection, step: Migration, location: str, clock: Clock, naive_times: str) -> None:
    with _foreign_keys.switched_off(connection):
        _apply_in_transaction(connection, step, location, clock, naive_times)


def _apply_in_transaction(
    connection: sqlite3.Connection, step: Migration, location: str, clock: Clock, naive_times: str
) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        state, version = inspect(connection, location)
        if version < step.number:
            of_others = _objects.attached_by_others(_objects.objects(connection), expected(version), OUR_TABLES)
            dangling = _foreign_keys.violations(connection)
            if state is State.ORIGINAL:
                set_aside(connection)
            if state is not State.OURS:
                connection.execute(_CREATE_SCHEMA_TABLE)
                _naive_times.keep(connection, naive_times, time_to_text(clock()))
            for statement in step.statements:
                connection.execute(statement)
            if state is State.ORIGINAL:
                put_in(connection, clock(), zone_of(naive_times))
            _objects.attach_again(connection, of_others)
            _foreign_keys.check_no_new_violations(connection, dangling, is_adoption=state is State.ORIGINAL)
            connection.execute(
                "INSERT INTO context_core_schema (version, name, applied_at) VALUES (?, ?, ?)",
                (step.number, step.name, time_to_text(clock())),
            )
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
