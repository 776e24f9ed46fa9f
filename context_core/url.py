"""The address of a store: `sqlite:///engine.db`, `memory://name`, `postgresql://user:pw@host/db?schema=…`."""

from collections.abc import Iterable, Mapping
from os import PathLike, fspath
from typing import Self
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

import attrs

from context_core.errors import ConfigurationError


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
        parsed = _parsed(rest)
        if parsed is None:  # without a cause: it would quote a piece of what may be a password
            raise ConfigurationError(
                f"the {scheme} URL cannot be parsed; percent-encode special characters in names and passwords"
            )
        parts, port, pairs = parsed
        options = dict(pairs)
        if len(options) != len(pairs):
            raise ConfigurationError(f"the {scheme} URL gives an option twice: {', '.join(name for name, _ in pairs)}")
        if parts.fragment:
            raise ConfigurationError(f"the {scheme} URL holds a '#': write it as %23")
        return cls(
            scheme=scheme.lower(),
            username=_decoded(parts.username),
            password=_decoded(parts.password),
            host=_decoded(_host(parts)),
            port=port,
            path=unquote(parts.path.removeprefix("/")),
            options=options,
        )

    @classmethod
    def for_file(cls, scheme: str, path: str | PathLike[str]) -> Self:
        """The address of a file, whatever characters its name holds."""
        return cls(scheme=scheme, path=fspath(path))

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


def _parsed(rest: str) -> tuple[SplitResult, int | None, list[tuple[str, str]]] | None:
    """The parts of an address, its port and its options; None where they cannot be told apart."""
    try:
        parts = _split(rest)
        port = None if _names_several(parts) else parts.port
        return parts, port, parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        return None


def _split(rest: str) -> SplitResult:
    if any(character < " " for character in rest):
        raise ValueError("a control character, which urlsplit would drop")
    # Without the scheme: a backend's name, "my_db" for one, need not be a scheme to urlsplit.
    parts = urlsplit(f"//{rest}")
    if ":" in parts.netloc and "@" not in parts.netloc and "@" in rest:
        raise ValueError("what looks like a host and its port is a user and the beginning of a password")
    return parts


def _host(parts: SplitResult) -> str | None:
    """The host as it was written: `hostname` gives it in lower case, and the names of stores know case."""
    if _names_several(parts):
        return parts.netloc.rpartition("@")[2]
    if parts.hostname is None:
        return None
    start = parts.netloc.lower().rfind(parts.hostname)
    return parts.netloc[start : start + len(parts.hostname)]


def _names_several(parts: SplitResult) -> bool:
    return "," in parts.netloc.rpartition("@")[2]


def _decoded(part: str | None) -> str | None:
    return None if part is None else unquote(part)
