"""The address of a store: `sqlite:///engine.db`, `memory://name`, `postgresql://user:pw@host/db?schema=…`."""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike, fsencode, fspath
from typing import Final, Self
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

import attrs

from context_core.errors import ConfigurationError

IN_MEMORY: Final = re.compile(r":memory:", re.IGNORECASE)
IN_MEMORY_ADVICE: Final = "a store in memory is memory://, or memory://name to share it within the process"


@attrs.frozen(kw_only=True)
class BackendURL:
    """A parsed address. Every part is percent-decoded. The password is in no repr and no error (ER07).

    Attributes:
        scheme: The name of the backend, as its entry point says it.
        host: Where several are named, `a:5432,b:5433`, all of them with their ports, and *port* is None.
        path: For files: what follows the third slash, so that `sqlite:///a.db` is relative and
            `sqlite:////tmp/a.db` is absolute.
        options: What follows `?`; each key at most once.
    """

    scheme: str
    username: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    host: str | None = None
    port: int | None = None
    path: str = ""
    options: Mapping[str, str] = attrs.field(factory=dict, repr=lambda options: repr(sorted(options)))

    @classmethod
    def parse(cls, url: str) -> Self:
        """Parse *url*.

        Raises:
            ConfigurationError: It is not of the form `scheme://…`, or gives an option twice.
        """
        scheme, separator, rest = url.partition("://")
        if not separator or not scheme.replace("+", "").replace("-", "").replace("_", "").isalnum():
            raise ConfigurationError("a store's URL looks like scheme://…, sqlite:///engine.db for one")
        place = rest.partition("?")[0].lstrip("/")
        if IN_MEMORY.fullmatch(place):
            raise ConfigurationError(f"{IN_MEMORY_ADVICE}; a file of that name is {scheme}:///%3Amemory%3A")
        if place.lower().startswith("file:"):
            raise ConfigurationError(
                f"a path behind {scheme}:/// is written as it is, without file: ({scheme}:///engine.db for one); "
                f"a file whose name begins so is {scheme}:///file%3A…"
            )
        parts = _split(rest)
        if parts is None:
            # Not raised from the parser's own error, which quotes a piece of the URL: it may be one of the password.
            raise ConfigurationError(
                f"the {scheme} URL cannot be parsed; percent-encode special characters in names and passwords"
            )
        if parts.has_fragment:
            raise ConfigurationError(f"the {scheme} URL holds a '#': write it as %23")
        options = dict(parts.options)
        if len(options) != len(parts.options):
            names = ", ".join(name for name, _ in parts.options)
            raise ConfigurationError(f"the {scheme} URL gives an option twice: {names}")
        return cls(
            scheme=scheme.lower(),
            username=parts.username,
            password=parts.password,
            host=parts.host,
            port=parts.port,
            path=parts.path,
            options=options,
        )

    @classmethod
    def for_file(cls, scheme: str, path: str | PathLike[str]) -> Self:
        """The address of a file, whatever characters its name holds.

        Raises:
            ConfigurationError: No file can have this name: it is empty, or holds NUL or what is not Unicode.
        """
        name = fspath(path)
        if not isinstance(name, str):
            raise ConfigurationError(
                f"the path of a file must be text, not {type(name).__name__}: os.fsdecode makes it so"
            )
        if not _is_file_name(name):
            raise ConfigurationError("the path of a file must not contain NUL or a lone surrogate")
        return cls(scheme=scheme, path=name)

    def __str__(self) -> str:
        """The address as it may be shown: the password is left out."""
        user = f"{quote(self.username, safe='')}{':***' if self.password is not None else ''}@" if self.username else ""
        port = f":{self.port}" if self.port is not None else ""
        return f"{self.scheme}://{user}{self.host or ''}{port}/{quote(self.path)}"

    def check_options(self, known: Iterable[str]) -> None:
        """Refuse an option that is not *known*, naming it and those that are."""
        names = sorted(known)
        unknown = sorted(self.options.keys() - set(names))
        if unknown:
            raise ConfigurationError(
                f"unknown option {', '.join(unknown)} in the {self.scheme} URL; known are: {', '.join(names) or 'none'}"
            )


@attrs.frozen(kw_only=True)
class _Parts:
    """The parts of a URL behind its scheme, percent-decoded."""

    username: str | None
    password: str | None
    host: str | None
    port: int | None
    path: str
    options: Sequence[tuple[str, str]]
    has_fragment: bool


def _split(rest: str) -> _Parts | None:
    """Return the parts; None where they cannot be told apart for sure."""
    if any(character < " " for character in rest):
        return None  # urlsplit would drop it
    try:
        # Without the scheme: a backend's name, "my_db" for one, need not be a scheme to urlsplit.
        parts = urlsplit(f"//{rest}")
        names_several = "," in parts.netloc.rpartition("@")[2]
        found = _Parts(
            username=_decoded(parts.username),
            password=_decoded(parts.password),
            host=_decoded(_host(parts, names_several=names_several)),
            port=None if names_several else parts.port,
            path=unquote(parts.path.removeprefix("/"), errors="strict"),
            options=parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query), errors="strict"),
            has_fragment=bool(parts.fragment),
        )
    except ValueError:
        return None
    return None if _may_be_cut(parts) or not _is_text(found) else found


def _may_be_cut(parts: SplitResult) -> bool:
    """Tell whether a special character may have cut a password: an @ follows, behind what looks like user:password."""
    before, at, _ = parts.netloc.rpartition("@")
    if at:
        return ":" in before and "@" in parts.query + parts.fragment
    return ":" in parts.netloc and "@" in parts.path + parts.query + parts.fragment


def _is_text(parts: _Parts) -> bool:
    texts = (parts.username, parts.password, parts.host, *itertools.chain(*parts.options))
    return _is_file_name(parts.path) and all(
        "\0" not in text and _is_unicode(text) for text in texts if text is not None
    )


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_file_name(name: str) -> bool:
    """Tell whether a file may have this name. Bytes that are no UTF-8 are there as lone surrogates, as Python has them."""
    try:
        return b"\0" not in fsencode(name)
    except UnicodeEncodeError:
        return False


def _host(parts: SplitResult, *, names_several: bool) -> str | None:
    """The host as it was written: `hostname` gives it in lower case, and the names of stores know case."""
    if names_several:
        return parts.netloc.rpartition("@")[2]
    if parts.hostname is None:
        return None
    start = parts.netloc.lower().rfind(parts.hostname)
    return parts.netloc[start : start + len(parts.hostname)]


def _decoded(part: str | None) -> str | None:
    return None if part is None else unquote(part, errors="strict")
