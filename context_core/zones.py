"""The zone that naive times of old documents were written in: its name, and the times in UTC."""

import os
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Final

from context_core.errors import ConfigurationError, shown

__all__ = ["DEFAULT_ZONE", "LOCAL", "in_utc", "zone_name", "zone_of"]

DEFAULT_ZONE: Final = "UTC"
LOCAL: Final = "local"
"""Stands for the zone of this machine."""

_LOCAL_TIME: Final = Path("/etc/localtime")
_ZONE_FOLDER: Final = "zoneinfo/"


def zone_name(name: str) -> str:
    """Return the name of a zone as it is stored: `Europe/Berlin`, `UTC`; for `local` that of this machine's zone.

    Raises:
        ConfigurationError: There is no such zone, or no name of the local one is to be found.
    """
    if not isinstance(name, str):
        raise ConfigurationError(f"naive_times must be the name of a zone, not {type(name).__name__}")
    if name.lower() == LOCAL:
        name = _local_name()
    if name.upper() == DEFAULT_ZONE:
        return DEFAULT_ZONE
    zone_of(name)
    return name


def zone_of(name: str) -> tzinfo:
    """Return the zone of a name that `zone_name` gave.

    Raises:
        ConfigurationError: This machine does not know it.
    """
    if name == DEFAULT_ZONE:
        return UTC
    from zoneinfo import ZoneInfo  # noqa: PLC0415  # 3 ms that hardly a store needs

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ConfigurationError(
            f"naive_times must be {LOCAL}, {DEFAULT_ZONE} or the name of a zone, Europe/Berlin for one, not {shown(name)}; "
            f"on a system without zone data, install the package tzdata"
        ) from error


def in_utc(moment: datetime, zone: tzinfo) -> datetime:
    """Return a time in UTC, a naive one read in *zone*.

    Of an hour that the zone has twice it is the first; in an hour that it skips, the offset from before holds.

    Raises:
        OverflowError: It is outside the years 1 to 9999 in UTC.
    """
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone, fold=0)).astimezone(UTC)


def _local_name() -> str:
    """The name, since the rules alone would make another zone of it on another machine."""
    given = os.environ.get("TZ")
    if given:
        return given.removeprefix(":").rpartition(_ZONE_FOLDER)[2]
    if given is None and _LOCAL_TIME.exists():
        _, separator, name = str(_LOCAL_TIME.resolve()).rpartition(_ZONE_FOLDER)
        if not separator:
            raise ConfigurationError(
                "the name of this machine's zone is not to be found: give it as naive_times, Europe/Berlin for one"
            )
        return name
    if given is None and os.name == "nt":
        raise ConfigurationError("Windows does not tell the name of its zone: give it as naive_times")
    return DEFAULT_ZONE  # as the C library has it where nothing is set
