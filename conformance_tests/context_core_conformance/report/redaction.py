"""Passwords are in no report: an address as it may be shown, and texts with the password taken out (ER07)."""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, quote_plus, unquote, unquote_plus

import attrs

MASK: Final = "***"

_PASSWORD: Final = re.compile(
    # Up to the last @ of the authority; or, where special characters were not encoded, to the last of all.
    r"(?P<before>^[^:/?#]+://[^:@/?#]*:)(?:(?P<password>[^/?#]*)@|(?!\d+[/?#])(?P<unencoded>.*)@)",
    re.DOTALL,
)
_SECRET_OPTION: Final = re.compile(
    r"(?P<name>[?&][^=&#]*(?:pass|pwd|secret|token|key)[^=&#]*=)(?P<secret>[^&#]+)", re.IGNORECASE
)
_COMMON_WORD: Final = re.compile(r"\w{1,11}")


def masked(url: str) -> str:
    """The address with its password, and every option whose name sounds like one, masked."""
    return _SECRET_OPTION.sub(rf"\g<name>{MASK}", _PASSWORD.sub(rf"\g<before>{MASK}@", url))


@attrs.frozen
class Redactor:
    """Takes the secrets of an address out of any text, as they were written, decoded and encoded."""

    _pattern: re.Pattern[str] | None

    @classmethod
    def of(cls, url: str) -> "Redactor":
        """A redactor for the secrets of *url*; one without any changes nothing."""
        password = _PASSWORD.match(url)
        found = [] if password is None else [password["password"] or password["unencoded"] or ""]
        found += [option["secret"] for option in _SECRET_OPTION.finditer(url)]
        forms = {form for secret in found for form in _forms(secret) if form and form != MASK}
        if not forms:
            return cls(None)
        # The longest first: one form may be a part of another.
        return cls(re.compile("|".join(map(_findable, sorted(forms, key=len, reverse=True)))))

    def __call__(self, text: str) -> str:
        """Return *text* with every secret masked."""
        return text if self._pattern is None else self._pattern.sub(MASK, text)


def _forms(secret: str) -> Iterable[str]:
    for plain in (secret, unquote(secret), unquote_plus(secret)):
        yield from (plain, quote(plain), quote(plain, safe=""), quote_plus(plain), repr(plain)[1:-1])


def _findable(form: str) -> str:
    """A short word as a whole word only: the password "postgres" must not mask the half of "postgresql"."""
    return rf"\b{re.escape(form)}\b" if _COMMON_WORD.fullmatch(form) else re.escape(form)


def printable(text: str) -> str:
    """The text with what no file or terminal should get, control characters and lone surrogates, as escapes."""
    return "".join(
        character
        if character in "\n\t" or not unicodedata.category(character).startswith("C")
        else repr(character)[1:-1]
        for character in text
    )
