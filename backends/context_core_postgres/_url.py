"""The URL's parts and options to how a database is used."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import attrs
import psycopg

from context_core.errors import ConfigurationError
from context_core.options import BOOLEANS, choice, seconds
from context_core.url import BackendURL
from context_core_postgres._pool import Options

T = TypeVar("T")

OWN_OPTIONS: Final = (
    "schema",
    "pool_min",
    "pool_max",
    "pool_timeout",
    "busy_timeout",
    "call_timeout",
    "prepare_threshold",
    "read_only",
)
_PARTS: Final = frozenset({"user", "password", "dbname"})
"""libpq's names for what the URL says before its options."""
_CONNECT_TIMEOUT_S: Final = 10.0
"""A host that does not answer is given up in this time, and the next one of the URL is tried."""
SHORTEST_CALL_S: Final = 0.1
"""psycopg looks up from its waiting as often as that."""
_LOCKS_SHARE: Final = 0.9
"""Which part of a call's time a lock may be waited for, so that the server is the one that ends it: nothing is unknown."""
_LONGEST_NAME_BYTES: Final = 63
"""Longer names PostgreSQL would cut short, and two installations might share a schema."""
_MOST_SESSIONS: Final = 1_000
_DEFAULTS: Final[Mapping[str, str]] = {
    "application_name": "context-core",
    # A server that vanished without a word is noticed within half a minute, not after hours.
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "4",
    "tcp_user_timeout": "30000",
}


@attrs.frozen(kw_only=True)
class Address:
    """What a URL says."""

    options: Options
    schema: str | None
    busy_timeout_s: float
    call_timeout_s: float
    read_only: bool


def address_of(url: BackendURL) -> Address:
    """Read a URL: `postgresql://user:password@host:port/database?schema=…`.

    Options that are not this driver's own are libpq's: `sslmode`, `target_session_attrs`, `host=a,b&port=1,2`, …

    Raises:
        ConfigurationError: An option is unknown, or its value cannot be used; the error names it.
    """
    known = {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()} - _PARTS
    url.check_options(known.union(OWN_OPTIONS))
    given = url.options
    busy_timeout_s = (
        None if given.get("busy_timeout") == "none" else seconds("busy_timeout", given.get("busy_timeout", 30))
    )
    call_timeout_s = seconds("call_timeout", given.get("call_timeout", 60), least=SHORTEST_CALL_S)
    parameters = dict(_DEFAULTS) | {name: value for name, value in given.items() if name not in OWN_OPTIONS}
    host, port = _host_and_port(url)
    parts = {"host": host, "port": port, "user": url.username, "password": url.password, "dbname": url.path}
    parameters |= {name: value for name, value in parts.items() if value}
    if "connect_timeout" not in parameters:
        # Each host gets its share of a call, so that a silent one does not use up the time of the next.
        hosts = parameters.get("host", "").count(",") + 1
        parameters["connect_timeout"] = str(max(1, round(min(_CONNECT_TIMEOUT_S, call_timeout_s / hosts))))
    if busy_timeout_s is not None:
        # As part of the connection, so that no statement need set it: a lock is waited for no longer than that.
        longest_s = min(busy_timeout_s, call_timeout_s * _LOCKS_SHARE)
        timeout = f"-c lock_timeout={round(longest_s * 1000) or 1}"
        parameters["options"] = f"{timeout} {parameters.get('options', '')}".strip()
    pool_max = count("pool_max", given.get("pool_max", 10), least=1)
    pool_min = count("pool_min", given.get("pool_min", 1), least=0)
    if pool_min > pool_max:
        raise ConfigurationError(f"pool_min is {pool_min}, more than pool_max, {pool_max}")
    threshold = given.get("prepare_threshold", "5")
    return Address(
        options=Options(
            parameters=parameters,
            location=shown(url, parameters),
            pool_min=pool_min,
            pool_max=pool_max,
            pool_timeout_s=seconds("pool_timeout", given.get("pool_timeout", 30)),
            connect_timeout_s=seconds("connect_timeout", parameters["connect_timeout"]),
            prepare_threshold=None if threshold == "none" else count("prepare_threshold", threshold, least=0),
        ),
        schema=schema_name(given.get("schema")),
        busy_timeout_s=busy_timeout_s if busy_timeout_s is not None else 30.0,
        call_timeout_s=call_timeout_s,
        read_only=choice("read_only", given.get("read_only", "false"), BOOLEANS),
    )


def _host_and_port(url: BackendURL) -> tuple[str | None, str | None]:
    """The hosts and their ports in libpq's words: `a,b` and `5432,`, where nothing stands for the default."""
    if url.host is None or "," not in url.host:
        return url.host, None if url.port is None else str(url.port)
    names, ports = [], []
    for part in url.host.split(","):
        name, separator, port = part.rpartition(":")
        is_port = bool(separator) and (port.isdecimal() or not port)  # the colons of a bare IPv6 address are its own
        names.append((name if is_port else part).removeprefix("[").removesuffix("]"))
        ports.append(port if is_port else "")
    return ",".join(names), ",".join(ports)


def shown(url: BackendURL, parameters: Mapping[str, str]) -> str:
    """The address as messages show it: without password and options, with the host wherever it was said."""
    return str(attrs.evolve(url, host=url.host or parameters.get("host"), password=None))


def schema_name(schema: str | None) -> str | None:
    """Return the name of a schema, or refuse what PostgreSQL would cut short or not take."""
    if schema is not None and (
        not isinstance(schema, str)
        or not 1 <= len(schema.encode(errors="surrogatepass")) <= _LONGEST_NAME_BYTES
        or "\0" in schema
        or any("\ud800" <= character <= "\udfff" for character in schema)
    ):
        raise ConfigurationError(
            f"schema must be a name of 1 to {_LONGEST_NAME_BYTES} bytes in UTF-8, without NUL: choose another name"
        )
    return schema


def count(name: str, value: Any, *, least: int) -> int:
    """Return a number of things, or refuse it."""
    try:
        number = int(value)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{name} must be a whole number, not {value!r:.40}") from error
    if not least <= number <= _MOST_SESSIONS:
        raise ConfigurationError(f"{name} must be between {least} and {_MOST_SESSIONS}, not {number}")
    return number
