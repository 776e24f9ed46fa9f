"""The address of a fresh store, made from a template for each law: `sqlite:///{tmp_path}/store.db`."""

import itertools
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Self
from urllib.parse import quote

import attrs

from context_core import BackendURL, ConfigurationError
from context_core_conformance.options import PLACEHOLDERS
from context_core_conformance.report.redaction import masked


@attrs.frozen
class UrlTemplate:
    """A URL in which `{tmp_path}` and `{unique}` stand for what makes each store a new one.

    Attributes:
        text: As it was given, password and all: show `str()` of the template instead.
        prefix: What every `{unique}` of this run begins with, so that what is left on a server can be found.
    """

    text: str = attrs.field(repr=False)
    prefix: str = attrs.field(factory=lambda: f"conformance_{uuid.uuid4().hex[:8]}")
    _numbers: Iterator[int] = attrs.field(factory=itertools.count, init=False, repr=False, eq=False)

    @classmethod
    def parse(cls, text: str, *, prefix: str | None = None) -> Self:
        """Check *text* before anything is opened.

        Args:
            text: The URL with its placeholders.
            prefix: What every `{unique}` begins with; a new name by default.

        Raises:
            ConfigurationError: It is no URL, holds an unknown placeholder, or none: then every law would run in one
                store, which may hold data of others. The message says what to write.
        """
        BackendURL.parse(text)
        found = re.findall(r"\{([^{}]*)\}", text)
        unknown = sorted(set(found) - PLACEHOLDERS.keys())
        if unknown:
            names = ", ".join(f"{{{name}}}" for name in unknown)
            raise ConfigurationError(
                f"unknown placeholder {names} in {masked(text)}; known are: {', '.join(map('{{{}}}'.format, PLACEHOLDERS))}"
            )
        if not found:
            raise ConfigurationError(
                f"{masked(text)} is one store, and every law writes and deletes in a new, empty one: "
                f"let {{tmp_path}} stand for a fresh folder or {{unique}} for a fresh name, as in {_suggestion(text)}"
            )
        return cls(text) if prefix is None else cls(text, prefix)

    def __str__(self) -> str:
        """The template as it may be shown."""
        return masked(self.text)

    def fill(self, folder: Path) -> str:
        """The URL of a new store, *folder* being a fresh one."""
        unique = f"{self.prefix}_{next(self._numbers)}"
        return self.text.replace("{tmp_path}", quote(str(folder))).replace("{unique}", unique)

    @property
    def leaves_stores(self) -> bool:
        """Whether stores lie elsewhere than in a folder that goes away."""
        return "{tmp_path}" not in self.text


def _suggestion(text: str) -> str:
    """The same address with a placeholder in the place where one is likely to belong."""
    shown = masked(text)
    head, _, options = shown.partition("?")
    scheme, _, place = head.partition("://")
    if place.startswith("/"):
        suggested = f"{scheme}:///{{tmp_path}}/{place.rpartition('/')[2] or 'store'}"
    elif "/" not in place:
        suggested = f"{scheme}://{{unique}}"
    else:
        return f"{head}?{options}{'&' if options else ''}schema={{unique}}"
    return f"{suggested}?{options}" if options else suggested
