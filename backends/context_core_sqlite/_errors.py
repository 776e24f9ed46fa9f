"""SQLite's errors to ours, by code, from a table."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from context_core.errors import (
    BackendBusyError,
    BackendUnavailableError,
    ContextCoreError,
    ForeignDatabaseError,
    ReadOnlyError,
    StorageError,
)

# By primary result code: the class, and what to tell.
_TABLE: Final[dict[int, tuple[type[ContextCoreError], str]]] = {
    sqlite3.SQLITE_CANTOPEN: (
        BackendUnavailableError,
        "the database {location} cannot be opened: check that its folder exists and may be written to",
    ),
    sqlite3.SQLITE_PERM: (ReadOnlyError, "the database {location} may not be accessed: check its permissions"),
    # Nothing but a fork asks SQLite to refuse: see `_inheritance`.
    sqlite3.SQLITE_AUTH: (
        BackendUnavailableError,
        "this process was forked in the middle of a call to {location}, which only its parent can finish: call again",
    ),
    sqlite3.SQLITE_READONLY: (
        ReadOnlyError,
        "the database {location} is read-only: check the permissions of the file and its folder",
    ),
    sqlite3.SQLITE_FULL: (StorageError, "no space is left for {location}: free some; what was stored is untouched"),
    sqlite3.SQLITE_IOERR: (StorageError, "the disk failed under {location}: check it before going on"),
    sqlite3.SQLITE_CORRUPT: (
        StorageError,
        "the database {location} is damaged: restore it from a backup, or salvage it with sqlite3's .recover",
    ),
    sqlite3.SQLITE_NOTADB: (ForeignDatabaseError, "{location} is not a SQLite database; nothing was changed"),
    sqlite3.SQLITE_NOLFS: (StorageError, "the file system of {location} cannot hold a file of this size"),
    sqlite3.SQLITE_TOOBIG: (StorageError, "a value is larger than this SQLite allows"),
}

_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's result code without the extension bits; 0 where Python itself raised the error."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


@contextmanager
def translating(location: str, busy_timeout_s: float) -> Iterator[None]:
    """Turn an error of SQLite inside the block into ours, with SQLite's as its cause."""
    try:
        yield
    except ContextCoreError:
        raise  # BackendBusyError is an OSError too
    except sqlite3.Error as error:
        raise translated(error, location, busy_timeout_s) from error
    except OSError as error:
        message = f"the database {location} cannot be reached ({error.strerror}): check its path and its folder"
        raise BackendUnavailableError(message) from error


def translated(error: sqlite3.Error, location: str, busy_timeout_s: float) -> ContextCoreError:
    """Return our error for one of SQLite's."""
    code = primary_code(error)
    if code in _BUSY:
        return BackendBusyError(waited_s=busy_timeout_s)
    kind, message = _TABLE.get(code, (StorageError, f"SQLite failed at {{location}} ({_code_name(error)})"))
    return kind(message.format(location=location))


def _code_name(error: sqlite3.Error) -> str:
    return getattr(error, "sqlite_errorname", type(error).__name__)
