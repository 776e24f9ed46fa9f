"""Where the store's URL comes from when the code does not say: the environment, then the nearest pyproject.toml."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import attrs

from context_core.errors import ConfigurationError

URL_VARIABLE: Final = "CONTEXT_CORE_URL"
_TABLE: Final = "context_core"

KEYS: Final = ("url",)
"""The keys of [tool.context_core]."""


@attrs.frozen(kw_only=True)
class Settings:
    """What was found, and where: *source* is fit for a message to a person."""

    url: str
    source: str


def find_settings(
    url: str | None = None, *, directory: Path | None = None, environment: Mapping[str, str] | None = None
) -> Settings:
    """Return the URL given, else that of CONTEXT_CORE_URL, else that of [tool.context_core] in pyproject.toml.

    The pyproject.toml looked at is the nearest one in *directory* (the current one by default) or above it. A relative
    SQLite path is relative to the current directory, wherever the setting was found.

    Raises:
        ConfigurationError: Nothing says which store to use, or a source holds a key that does not exist.
    """
    if url is not None:
        return Settings(url=url, source="the url argument")
    environment = os.environ if environment is None else environment
    if environment.get(URL_VARIABLE):
        return Settings(url=environment[URL_VARIABLE], source=URL_VARIABLE)
    pyproject = _nearest_pyproject(directory if directory is not None else Path.cwd())
    table = _read_table(pyproject) if pyproject is not None else {}
    if "url" in table:
        return Settings(url=table["url"], source=f"[tool.context_core] of {pyproject}")
    looked = f"nor in {pyproject}" if pyproject is not None else "and there is no pyproject.toml here or above"
    raise ConfigurationError(
        f'no store is configured: pass a URL, or set {URL_VARIABLE}, or write url = "sqlite:///engine.db" under '
        f"[tool.context_core] in pyproject.toml ({URL_VARIABLE} is not set, {looked})"
    )


def _nearest_pyproject(directory: Path) -> Path | None:
    candidates = (folder / "pyproject.toml" for folder in (directory.absolute(), *directory.absolute().parents))
    return next(filter(Path.is_file, candidates), None)


def _read_table(pyproject: Path) -> Mapping[str, str]:
    import tomllib  # noqa: PLC0415  # whoever names the store in code never needs it

    try:
        document = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # ValueError: no TOML, or no UTF-8
        raise ConfigurationError(f"{pyproject} cannot be read as TOML ({type(error).__name__}): correct it") from error
    tool = document.get("tool", {})
    tables = tool if isinstance(tool, dict) else {}
    misnamed = [f"[{name}]" for name in document if _sounds_like_ours(name)]
    misnamed += [f"[tool.{name}]" for name in tables if name != _TABLE and _sounds_like_ours(name)]
    if misnamed:
        raise ConfigurationError(f"{pyproject} has the table {misnamed[0]}: write [tool.{_TABLE}]")
    where = f"[tool.{_TABLE}] of {pyproject}"
    table = tables.get(_TABLE, {})
    if not isinstance(table, dict) or not isinstance(tool, dict):
        raise ConfigurationError(f"tool.{_TABLE} of {pyproject} must be a table")
    unknown = sorted(table.keys() - set(KEYS))
    if unknown:
        raise ConfigurationError(f"unknown key {', '.join(unknown)} in {where}; known are: {', '.join(KEYS)}")
    for key, value in table.items():
        if not isinstance(value, str):
            raise ConfigurationError(f"{key} in {where} must be text, not {type(value).__name__}")
    return table


def _sounds_like_ours(name: str) -> bool:
    return re.sub(r"[^a-z]", "", name.lower()) == "contextcore"
