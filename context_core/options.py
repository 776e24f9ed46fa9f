"""Options of URLs and of drivers' constructors: texts to values, or a typed error that names what would fit."""

from collections.abc import Mapping
from typing import Final, TypeVar

from context_core.errors import ConfigurationError, shown

__all__ = ["BOOLEANS", "LONGEST_WAIT_S", "choice", "seconds"]

T = TypeVar("T")

LONGEST_WAIT_S: Final = 86_400
"""A day: no option takes a longer time."""

BOOLEANS: Final[Mapping[str, bool]] = {"true": True, "false": False}
"""The choices of an option that is on or off."""


def choice(name: str, value: str, choices: Mapping[str, T]) -> T:
    """Return the value that a text names, in upper or lower case.

    Raises:
        ConfigurationError: It names none; the error lists the choices.
    """
    try:
        return choices[value.lower()]
    except (KeyError, AttributeError) as error:
        raise ConfigurationError(f"{name} must be {' or '.join(choices)}, not {shown(value)}") from error


def seconds(name: str, value: str | float, *, least: float = 0) -> float:
    """Return a time in seconds, from *least* to LONGEST_WAIT_S.

    Raises:
        ConfigurationError: It is no number, or outside of this range.
    """
    try:
        time_s = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigurationError(f"{name} must be a number of seconds, not {shown(value)}") from error
    if not least <= time_s <= LONGEST_WAIT_S:
        problem = f"must be between {least:g} and {LONGEST_WAIT_S} seconds, not {shown(value)}"
        raise ConfigurationError(f"{name} {problem}")
    return time_s
