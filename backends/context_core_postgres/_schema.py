"""The tables: which of them are ours, and how an older schema becomes a newer one."""

import functools
import logging
import re
from enum import Enum
from importlib.resources import files
from typing import Final

import attrs
import psycopg

from context_core.errors import (
    BackendUnavailableError,
    ForeignDatabaseError,
    NewerDatabaseError,
    ReadOnlyError,
    StorageError,
)
from context_core.records import Clock
from context_core_postgres._session import Session

_logger: Final = logging.getLogger("context_core_postgres")

SCHEMA_COLUMNS: Final = {"version", "name", "applied_at"}

_ENVIRONMENT: Final = (
    "SELECT current_schema(), current_setting('server_encoding'), current_setting('server_version_num')"
)
OLDEST_SERVER: Final = 130_000
"""The oldest that its makers still cared for when this was written, and that BEFORE triggers of partitions need."""

# One statement, so that it sees one moment: between two of them another host may make all tables.
_INVENTORY: Final = """
    SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = %(schema)s), ARRAY(
        SELECT attname::text FROM pg_catalog.pg_attribute JOIN pg_catalog.pg_class AS relation ON relation.oid = attrelid
        JOIN pg_catalog.pg_namespace AS place ON place.oid = relnamespace
        WHERE nspname = %(schema)s AND relname = 'context_core_schema' AND attnum > 0 AND NOT attisdropped
    ), ARRAY(
        SELECT relname::text FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace AS place ON place.oid = relnamespace
        WHERE nspname = %(schema)s AND relname ~ '^(workflow_context(_.*)?|context_core_schema)$' ORDER BY 1)"""
_OBJECT: Final = re.compile(r"^(CREATE (?:UNIQUE INDEX|INDEX|TRIGGER) (\w+)\s[^;]*);", re.MULTILINE)
_PRESENT: Final = """
    SELECT relname::text FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace AS place ON place.oid = relnamespace
    WHERE nspname = %(schema)s AND relkind IN ('i', 'I')
    UNION ALL
    SELECT tgname::text FROM pg_catalog.pg_trigger JOIN pg_catalog.pg_class AS relation ON relation.oid = tgrelid
    JOIN pg_catalog.pg_namespace AS place ON place.oid = relnamespace
    WHERE nspname = %(schema)s AND NOT tgisinternal AND tgenabled <> 'D'
    UNION ALL
    SELECT NULL FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace AS place ON place.oid = relnamespace
    WHERE nspname = %(schema)s AND relkind = 'p' AND relname IN ('workflow_context', 'workflow_context_versions')"""
_KEYS: Final = {
    "workflow_context": "workflow_id",
    "workflow_context_versions": "workflow_id, version",
    "workflow_context_tombstones": "workflow_id",
}
"""The columns of the primary keys of our tables."""
_PRIMARY: Final = """
    SELECT relname::text FROM pg_catalog.pg_constraint JOIN pg_catalog.pg_class AS relation ON relation.oid = conrelid
    JOIN pg_catalog.pg_namespace AS place ON place.oid = relnamespace WHERE nspname = %(schema)s AND contype = 'p'"""
_TRIGGERS: Final = """
    SELECT tgname::text, relname::text FROM pg_catalog.pg_trigger
    JOIN pg_catalog.pg_class AS relation ON relation.oid = tgrelid
    JOIN pg_catalog.pg_namespace AS place ON place.oid = relnamespace
    WHERE nspname = %(schema)s AND NOT tgisinternal AND relname = ANY(%(tables)s) ORDER BY 2, 1"""
_NO_TABLES: Final = """
    SELECT relname::text FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace AS place ON place.oid = relnamespace
    WHERE nspname = %(schema)s AND relkind NOT IN ('r', 'p') AND relname IN (
        'context_core_schema', 'workflow_context', 'workflow_context_versions', 'workflow_context_tombstones')"""
_VERSION: Final = "SELECT coalesce(max(version), 0) FROM our.context_core_schema"
_CREATE_SCHEMA_TABLE: Final = """
    CREATE TABLE our.context_core_schema (
        version integer NOT NULL PRIMARY KEY,
        name text NOT NULL,
        applied_at timestamptz NOT NULL
    )"""
_RECORD_STEP: Final = "INSERT INTO our.context_core_schema (version, name, applied_at) VALUES (%s, %s, %s)"
# Held until the end of the transaction of one step, and asked for by nobody who only saves. Two installations whose
# names hash alike would wait for each other, no more.
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('context_core ' || %s, 0))"
_BEGIN: Final = "BEGIN ISOLATION LEVEL READ COMMITTED"


@attrs.frozen
class Migration:
    """One numbered step, and its script."""

    number: int
    name: str
    script: str


@functools.cache
def migrations() -> tuple[Migration, ...]:
    """The steps that this driver knows, in order."""
    folder = files("context_core_postgres") / "migrations"
    found = sorted((item for item in folder.iterdir() if item.name.endswith(".sql")), key=lambda item: item.name)
    return tuple(
        Migration(int(item.name[:4]), item.name.removesuffix(".sql"), item.read_text("utf-8")) for item in found
    )


def newest() -> int:
    """The schema version that this driver writes."""
    return migrations()[-1].number


class State(Enum):
    """What a schema of a database is to us."""

    MISSING = "missing"
    EMPTY = "without tables of ours"
    OURS = "ours"


@functools.cache
def _objects() -> dict[str, str]:
    """The indexes and triggers of our tables, by name: the statement that makes each."""
    script = "\n".join(step.script for step in migrations())
    return {name: statement for statement, name in _OBJECT.findall(script)}


def missing(session: Session) -> dict[str, str]:
    """The indexes, triggers and keys that were dropped or disabled since the tables were made; and what makes each."""
    present = {name for (name,) in session.execute(_PRESENT, {"schema": session.schema}).fetchall()}
    if None in present:  # partitioned tables have indexes of their owner's choice
        return {}
    primary = {table for (table,) in session.execute(_PRIMARY, {"schema": session.schema}).fetchall()}
    keys = {
        f"{table}_pkey": f"ALTER TABLE our.{table} ADD PRIMARY KEY ({columns})"
        for table, columns in _KEYS.items()
        if table not in primary
    }
    return keys | {name: statement for name, statement in _objects().items() if name not in present}


def foreign_triggers(session: Session) -> list[tuple[str, str]]:
    """The triggers of others on our tables, each with its table."""
    asked = {"schema": session.schema, "tables": list(_KEYS)}
    return [(name, table) for name, table in session.execute(_TRIGGERS, asked).fetchall() if name not in _objects()]


def restore(session: Session, name: str) -> str | None:
    """Make a missing index, trigger or key anew, inside a transaction; a disabled trigger is enabled.

    Returns:
        Why it could not be made; None if it was, or if another host was faster.
    """
    statement = missing(session).get(name)
    if statement is None:
        return None
    session.run_script("SAVEPOINT context_core_restore")
    try:
        if statement.startswith("CREATE TRIGGER"):
            session.run_script(f"DROP TRIGGER IF EXISTS {name} ON our.workflow_context_versions")
        session.run_script(statement)
    except (psycopg.errors.UniqueViolation, psycopg.errors.DuplicateTable) as error:
        # A second attempt would meet the same rows.
        session.run_script("ROLLBACK TO SAVEPOINT context_core_restore")
        if isinstance(error, psycopg.errors.DuplicateTable):
            return f"cannot restore {name}: something else has its name, rename that"
        return f"cannot restore {name}: rows are not unique in it, remove what stands twice"
    return None


def default_schema(session: Session, location: str) -> str:
    """Return the schema that names without one mean, having looked that this server can hold our tables."""
    schema, encoding, version = session.execute(_ENVIRONMENT).fetchall()[0]
    if encoding != "UTF8":
        raise StorageError(
            f"{location} has the encoding {encoding}, which cannot hold every text: "
            f"create a database WITH ENCODING 'UTF8' TEMPLATE template0"
        )
    if int(version) < OLDEST_SERVER:
        raise StorageError(f"{location} runs PostgreSQL {int(version) // 10_000}; this driver needs 13 or newer")
    return str(schema or "public")


def inspect(session: Session, location: str) -> tuple[State, int]:
    """Return what the schema is, and its version; reads only.

    Raises:
        ForeignDatabaseError: Tables of our names are someone else's.
        NewerDatabaseError: A newer driver made it.
    """
    schema = session.schema
    ((exists, columns, taken),) = session.execute(_INVENTORY, {"schema": schema}).fetchall()
    if set(columns) == SCHEMA_COLUMNS:
        others = [name for (name,) in session.execute(_NO_TABLES, {"schema": schema}).fetchall()]
        if others:
            raise ForeignDatabaseError(
                f"in schema {schema!r} of {location} {', '.join(others)} is no table, but a view or the like, which "
                f"context-core did not make: put the table back in its place; nothing was changed"
            )
        version = session.execute(_VERSION).fetchall()[0][0]
        if version > newest():
            raise NewerDatabaseError(location=location, found=version, known=newest())
        return State.OURS, version
    if taken:
        raise ForeignDatabaseError(
            f"schema {schema!r} of {location} has tables or indexes called {', '.join(taken)} that "
            f"context-core did not make: use another schema, as in ?schema=contexts; nothing was changed"
        )
    return (State.EMPTY if exists else State.MISSING), 0


def migrate(session: Session, location: str, clock: Clock) -> int:
    """Bring the schema to its newest form, each step one transaction; return its version.

    Any number of hosts may do this at once: each step looks again once it holds the lock (MI02). Where nothing is to
    be done, nothing is locked, and no right but to read is needed.
    """
    _, version = inspect(session, location)
    for step in migrations():
        if step.number > version:
            _apply(session, step, location, clock)
    dropped = missing(session)
    if dropped:
        _logger.warning("%s is without %s: store.repair() restores them", location, ", ".join(dropped))
    return newest()


def check_readable(session: Session, location: str) -> int:
    """Return the schema version of a database that is only to be read; refuse one that would need migrating."""
    state, version = inspect(session, location)
    where = f"schema {session.schema!r} of {location}"
    if state is not State.OURS:
        raise BackendUnavailableError(f"{where} is {state.value}: open it once for writing")
    if version < newest():
        raise ReadOnlyError(f"{where} is at schema version {version} of {newest()}: open it once for writing")
    return version


def _apply(session: Session, step: Migration, location: str, clock: Clock) -> None:
    session.execute(_BEGIN)
    try:
        session.execute(_LOCK, (session.schema,))
        state, version = inspect(session, location)
        if version < step.number:
            if state is State.MISSING:
                session.create_schema()
            if state is not State.OURS:
                session.execute(_CREATE_SCHEMA_TABLE)
            session.run_script(step.script)
            session.execute(_RECORD_STEP, (step.number, step.name, clock()))
        session.has_sent_commit = True
        session.execute("COMMIT")
    except psycopg.errors.InsufficientPrivilege as error:
        raise StorageError(
            f"schema {session.schema!r} of {location} needs to be brought to version {step.number}, and this role may "
            f"not do that: open the store once with a role that may create tables there"
        ) from error
