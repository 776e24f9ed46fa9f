"""Checks of arguments, made before any I/O (ER04)."""

import os
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Final, TypeVar

from context_core.errors import ConfigurationError, InvalidQueryError, shown
from context_core.model import Status, check_text
from context_core.plugins import installed_backends
from context_core.records import Story
from context_core.url import IN_MEMORY, IN_MEMORY_ADVICE, BackendURL

T = TypeVar("T")

DEFAULT_FILE: Final = "gao_dev.db"
FILE_BACKEND: Final = "sqlite"
"""The backend that a plain file name opens."""


_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+_-]+):(?P<rest>.*)", re.DOTALL)
_ELSEWHERE: Final = frozenset({"file", "jdbc", "postgres", "sqlite3", "mysql", "mariadb", "mongodb", "redis"})
"""Schemes of other libraries' database URLs, beside the names of the installed backends."""
_OPTIONS: Final = re.compile(r"(?P<path>.+?)\?(?P<option>\w+)=.*", re.DOTALL)
_CONNECTION_STRING: Final = re.compile(r"\s*(host|hostaddr|port|dbname|user|password|service)\s*=", re.IGNORECASE)


def address(store: str | PathLike[str] | None, db_path: str | PathLike[str] | None) -> BackendURL:
    """Return the address of a URL, of a path, or of the default file.

    Text in *store* is a URL or a path. Text that looks like an incomplete URL is refused. A *db_path* and a PathLike
    may hold any characters.

    Raises:
        ConfigurationError: It is none of these. The message shows the form that was probably meant.
    """
    if isinstance(store, str):
        if "://" in store:
            return BackendURL.parse(store)
        _check_plain_path(store)
    elif not isinstance(store, PathLike | None):
        raise ConfigurationError(
            f"a store is a URL, the path of a SQLite file or a ContextBackend, not {type(store).__name__}"
        )
    if not isinstance(db_path, str | PathLike | None):
        raise ConfigurationError(f"db_path is the path of a SQLite file, not {type(db_path).__name__}")
    path = next(candidate for candidate in (store, db_path, DEFAULT_FILE) if candidate is not None)
    return BackendURL.for_file(FILE_BACKEND, path)


def _check_plain_path(text: str) -> None:
    """Refuse text that would create a file of a strange name where another store was meant."""
    as_file = "a file of this name is given by db_path= or as a Path"
    if IN_MEMORY.fullmatch(text):
        raise ConfigurationError(f"{IN_MEMORY_ADVICE}; {as_file}")
    scheme = _SCHEME.fullmatch(text)
    if scheme is not None:
        word = scheme[1].lower().partition("+")[0]
        if word in _ELSEWHERE or word in installed_backends():
            raise ConfigurationError(f"the URL of a store begins with its scheme and ://, {_meant(word)}; {as_file}")
    if _CONNECTION_STRING.match(text):
        raise ConfigurationError(f"a server is named by a URL, postgresql://user@host/db for one; {as_file}")
    options = _OPTIONS.fullmatch(text)
    if options is not None:
        path, option = shown(options["path"])[1:-1], options["option"]
        raise ConfigurationError(f"options are part of a URL: write {FILE_BACKEND}:///{path}?{option}=…; {as_file}")
    if any(character < " " or character == "\x7f" for character in text):
        raise ConfigurationError(f"the path holds a control character, {shown(text, 80)}; {as_file}")


def _meant(word: str) -> str:
    """Return an example, not the text that was given: that may hold a password."""
    return {
        "memory": "memory:// or memory://name",
        "postgresql": "postgresql://user@host/db",
        "postgres": "postgresql://user@host/db",
    }.get(word, "sqlite:///engine.db for a file in this folder, sqlite:////var/lib/engine.db for an absolute path")


def check_id(workflow_id: str) -> None:
    """Refuse a value that is no workflow id."""
    check_text("workflow_id", workflow_id, allow_empty=False)


def check_version(name: str, value: int | None) -> None:
    """Refuse a value that is neither a version number nor None."""
    if value is not None and (type(value) is not int or not -(2**63) <= value < 2**63):
        raise InvalidQueryError(f"{name} must be a 64-bit int, not {shown(value)}")


def check_wanted(name: str, value: int) -> None:
    """Refuse a value that is no version number; None is refused too."""
    if value is None:
        raise InvalidQueryError(f"{name} must be a 64-bit int, not None")
    check_version(name, value)


def check_key(key: str | None) -> None:
    """Refuse a value that is neither an idempotency key nor None."""
    if key is not None:
        check_text("idempotency_key", key, allow_empty=False)


def check_time(name: str, value: datetime) -> datetime:
    """Return an aware time in UTC; refuse a naive time."""
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise InvalidQueryError(f"{name} must be an aware datetime, not {shown(value, 60)}")
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise InvalidQueryError(f"{name} is outside the years 1 to 9999 in UTC") from error


def check_as_of(as_of: datetime | None, version: int | None) -> datetime | None:
    """Return *as_of* in UTC; refuse a naive time, and a version beside a time."""
    if as_of is None:
        return None
    if version is not None:
        raise InvalidQueryError("give a version or as_of, not both")
    return check_time("as_of", as_of)


def check_statuses(statuses: Sequence[str]) -> tuple[str, ...]:
    """Return statuses as plain text; refuse a status that does not exist."""
    if isinstance(statuses, str) or not isinstance(statuses, Iterable):
        raise InvalidQueryError(f"statuses must be a list of statuses, not {shown(statuses)}")
    found = tuple(statuses)
    for status in found:
        if not isinstance(status, str) or status not in set(Status):
            raise InvalidQueryError(f"unknown status {shown(status)}; known are: {', '.join(Status)}")
    return tuple(Status(status).value for status in found)


def check_many(name: str, values: Iterable[T]) -> list[T]:
    """Return many values as a list; refuse a value that is no collection."""
    if not isinstance(values, Iterable):
        raise InvalidQueryError(f"{name} must be a list, not {type(values).__name__}")
    return list(values)


def check_flag(name: str, value: bool) -> bool:  # noqa: FBT001  # the value is what is checked
    """Return a flag; refuse a value that is no bool, since "no" would count as true."""
    if type(value) is not bool:
        raise InvalidQueryError(f"{name} must be True or False, not {shown(value)}")
    return value


def check_page(limit: int | None, offset: int | None) -> None:
    """Refuse a negative limit or offset."""
    for name, value in (("limit", limit), ("offset", offset)):
        if value is not None and (type(value) is not int or not 0 <= value < 2**63):
            raise InvalidQueryError(f"{name} must be an int of 0 or more, not {shown(value)}")


def check_positive(name: str, value: int) -> int:
    """Return a count of 1 or more; refuse any other value."""
    if type(value) is not int or not 1 <= value < 2**63:
        raise InvalidQueryError(f"{name} must be an int of 1 or more, not {shown(value)}")
    return value


def story(epic_num: int, story_num: int | None) -> Story:
    """Return the story of these numbers; None is the epic level."""
    check_wanted("epic_num", epic_num)
    check_version("story_num", story_num)
    return Story(epic_num=epic_num, story_num=story_num)


def check_path(name: str, value: str | PathLike[str]) -> Path:
    """Return the path of a file; refuse a value that cannot name a file."""
    try:
        path = Path(value)
        is_fit = os.fspath(value) != "" and b"\0" not in os.fsencode(path)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{name} must be the path of a file, not {shown(value)}") from error
    if not is_fit:
        raise ConfigurationError(f"{name} must be the path of a file, not {shown(value)}")
    return path
