"""The zone of naive times, decided when the database is made or adopted, and kept in it.

It is a row of the schema table, with the number 0, before the first step; a database without this row is in UTC.
"""

import sqlite3
from typing import Final

from context_core.errors import ConfigurationError
from context_core.zones import DEFAULT_ZONE

_PREFIX: Final = "naive_times="


def keep(connection: sqlite3.Connection, zone_name: str, now_text: str) -> None:
    """Write the zone down, inside the transaction that makes the tables."""
    if zone_name != DEFAULT_ZONE:
        connection.execute(
            "INSERT INTO context_core_schema (version, name, applied_at) VALUES (0, ?, ?)",
            (f"{_PREFIX}{zone_name}", now_text),
        )


def kept(connection: sqlite3.Connection) -> str:
    """Return the name of the zone that this database keeps."""
    row = connection.execute("SELECT name FROM context_core_schema WHERE version = 0").fetchone()
    return str(row[0]).removeprefix(_PREFIX) if row is not None else DEFAULT_ZONE


def agreed(connection: sqlite3.Connection, asked: str | None, location: str) -> str:
    """Return the zone that the database keeps; None asks for whichever that is.

    Raises:
        ConfigurationError: It is another one than *asked*.
    """
    found = kept(connection)
    if asked is not None and asked != found:
        raise ConfigurationError(
            f"{location} reads naive times in {found}, as was decided when it was made or adopted, and this store was "
            f"opened with naive_times={asked}: leave the option out, or adopt a backup of the original database anew"
        )
    return found
