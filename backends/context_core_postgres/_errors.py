"""PostgreSQL's errors to ours, by SQLSTATE, from a table."""

from typing import Final

import psycopg

from context_core.errors import (
    BackendBusyError,
    BackendUnavailableError,
    ContextCoreError,
    ContextReferencedError,
    OutcomeUnknownError,
    ReadOnlyError,
    StorageError,
)

# By SQLSTATE, or by its class, the first two characters: our class, and what to tell.
_TABLE: Final[dict[str, tuple[type[ContextCoreError], str]]] = {
    "08": (BackendUnavailableError, "the connection to {location} failed: see that the server runs, then try again"),
    # PgBouncer's for whatever it cannot do: its server is down, or all of its connections are in use.
    "08P01": (
        BackendUnavailableError,
        (
            "the pooler at {location} reaches no server, or has no connection left (max_client_conn, query_wait_timeout): "
            "see that the server behind it runs, then try again"
        ),
    ),
    "22": (StorageError, "{location} refused a value"),
    "25P03": (
        BackendUnavailableError,
        (
            "{location} ended a transaction by its idle_in_transaction_session_timeout: nothing of it was written; "
            "raise that setting for this role, then try again"
        ),
    ),
    "25P04": (
        BackendUnavailableError,
        (
            "{location} ended a transaction by its transaction_timeout: nothing of it was written; "
            "raise that setting for this role, then try again"
        ),
    ),
    "25006": (
        ReadOnlyError,
        (
            "{location} is a standby, or read-only by its settings: nothing was written; connect to the primary, or name "
            "all hosts and add target_session_attrs=read-write"
        ),
    ),
    "26": (
        StorageError,
        (
            "{location} has lost a prepared statement, as behind a pooler that hands sessions around: "
            "add prepare_threshold=none to the URL"
        ),
    ),
    "28": (
        StorageError,
        "{location} does not let this user in: check user name and password, and the server's pg_hba.conf",
    ),
    "3D000": (StorageError, "{location} does not exist: create the database, or correct its name in the URL"),
    "3F000": (StorageError, "the schema in {location} is gone: create it, then open a new store"),
    "42501": (
        StorageError,
        "this role has no right to do that in {location}: have it granted by the owner of the tables or the schema",
    ),
    "42P01": (StorageError, "tables are missing in {location}: open a new store with a role that may create them"),
    "42P05": (
        StorageError,
        (
            "{location} has a prepared statement of another session, as behind a pooler that hands sessions around: "
            "add prepare_threshold=none to the URL"
        ),
    ),
    "53": (BackendUnavailableError, "{location} is short of memory or connections: try again when others are done"),
    "53100": (StorageError, "no space is left for {location}: free some; what was stored is untouched"),
    "54": (StorageError, "a value is larger than {location} allows"),
    "57": (BackendUnavailableError, "{location} is starting or stopping: try again when it runs"),
    "57014": (
        BackendUnavailableError,
        (
            "{location} ended a statement by its statement_timeout, or an administrator did: nothing was written; "
            "raise that setting for this role, then try again"
        ),
    ),
    "57P05": (
        BackendUnavailableError,
        "{location} ended a session by its idle_session_timeout: raise that setting for this role, then try again",
    ),
    "58": (StorageError, "the disk failed under {location}: check it before going on"),
    "XX001": (StorageError, "{location} is damaged: restore it from a backup"),
    "XX002": (StorageError, "an index of {location} is damaged: rebuild it with REINDEX"),
}
_UNREACHABLE: Final[tuple[type[ContextCoreError], str]] = (
    BackendUnavailableError,
    "{location} cannot be reached: check host and port, and that the server runs; then try again",
)

READ_ONLY: Final = "25006"
OTHERS_WERE_FASTER: Final = frozenset({"40001", "40P01", "23505", "22012"})
"""A serialization failure, a deadlock, a row that someone else made first, and our own look for that (see `_write`).
The transaction is undone and can be done again."""

POOLER: Final = "08P01"
_LOCK_TIMEOUT: Final = "55P03"
_FOREIGN_KEY: Final = frozenset({"23001", "23503"})
"""RESTRICT has a code of its own."""
_SETTINGS: Final = {"25P03": "idle_in_transaction_session_timeout", "25P04": "transaction_timeout"}
"""By SQLSTATE, the settings by which the server ends a session inside of a transaction."""

SURELY_UNDONE: Final = frozenset({"25P03"})
"""Who is told so had nothing under way in its transaction, and what was sent after it was not read."""


def unanswered(location: str, call_timeout_s: float, *, is_lost: bool) -> BackendUnavailableError | OutcomeUnknownError:
    """Return the error of a call that the server did not answer; *is_lost*: with its commit already sent."""
    what = f"{location} did not answer within {call_timeout_s:g} s (call_timeout)"
    if is_lost:
        return OutcomeUnknownError(f"{what}, and the commit was sent")
    return BackendUnavailableError(
        f"{what}: see that the server and the network to it work, then try again; nothing was written"
    )


def translated(error: psycopg.Error, location: str, waited_s: float, sqlstate: str | None = None) -> ContextCoreError:
    """Return our error for one of psycopg's. *sqlstate* where psycopg has none, *waited_s* how long the call took."""
    code = error.sqlstate or sqlstate
    if code == _LOCK_TIMEOUT:
        return BackendBusyError(waited_s=round(waited_s, 3), setting="lock_timeout")
    if code in OTHERS_WERE_FASTER:
        return BackendBusyError(waited_s=round(waited_s, 3))
    if code in _FOREIGN_KEY:
        return ContextReferencedError(workflow_id=None, table=error.diag.table_name or "of another schema")
    kind, message = _of_code(code) if code is not None else _without_code(error)
    return kind(message.format(location=location))


def unknown(lost: psycopg.Error, location: str) -> OutcomeUnknownError:
    """Return the error of a call whose connection broke with its commit already sent."""
    setting = _SETTINGS.get(lost.sqlstate or "")
    what = f"{location} ended the session by its {setting}" if setting else f"the connection to {location} broke"
    return OutcomeUnknownError(f"{what} before the commit was confirmed")


def parameters_refused(location: str) -> StorageError:
    """Return the error of a connection that a pooler refuses for what it asks for, and would make without."""
    return StorageError(
        f"{location} refused how the connection was asked for, as a pooler does with lock_timeout: "
        f"add busy_timeout=none to the URL, and set lock_timeout on the role"
    )


def _of_code(code: str) -> tuple[type[ContextCoreError], str]:
    return _TABLE.get(code) or _TABLE.get(code[:2]) or (StorageError, f"{{location}} failed ({code})")


def _without_code(error: psycopg.Error) -> tuple[type[ContextCoreError], str]:
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return _UNREACHABLE
    return StorageError, f"psycopg failed at {{location}} ({type(error).__name__})"
