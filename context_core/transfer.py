"""Histories as JSON Lines: one line a version, with all that is needed to write it again elsewhere.

The first line tells the format. A version's line holds its header, the workflow's creation time and the document as
JSON; what is no JSON travels as base64. A deleted workflow is a line with its last version and the time. The last line
tells how many there are, and the SHA-256 of everything before it.
"""

import base64
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import attrs
import orjson

from context_core._converter import is_read_inexactly
from context_core.conditions import INDEXED_KINDS, OPTIONAL_FIELDS, FieldKind
from context_core.errors import ConfigurationError, shown
from context_core.records import Origin, Tombstone, VersionHeader

FORMAT: Final = 2
WITHOUT_END: Final = 1
"""The older format, whose exports have no last line that tells whether they are whole."""

_FORMAT_KEY: Final = "context_core_export"
_END_KEY: Final = "context_core_export_end"


@attrs.frozen(kw_only=True)
class ExportedVersion:
    """One version on its way: its header, when its workflow was created, and its plain document."""

    header: VersionHeader
    workflow_created_at: datetime
    document: bytes


def write_lines(items: Iterable[ExportedVersion | Tombstone]) -> Iterator[bytes]:
    """Render an export, line by line."""
    seal = _Seal()
    yield seal.added(orjson.dumps({_FORMAT_KEY: FORMAT}) + b"\n")
    for item in items:
        fields = _tombstone_fields(item) if isinstance(item, Tombstone) else _version_fields(item)
        yield seal.added(orjson.dumps(fields) + b"\n")
    yield orjson.dumps({_END_KEY: seal.fields()}) + b"\n"


def check_whole(lines: Iterable[bytes]) -> bool:
    """Tell whether an export can be checked to be whole, and refuse one that can be and is not.

    Raises:
        ConfigurationError: Its end is missing, or something in it was changed.
    """
    seal, before = _Seal(), b""
    for line in lines:
        if before:
            seal.added(before)
        elif _is_without_end(line):
            return False
        before = line
    _check_end(before, seal, seal.count + 2)
    return True


def read_lines(lines: Iterable[bytes]) -> Iterator[ExportedVersion | Tombstone]:
    """Parse an export, line by line.

    Raises:
        ConfigurationError: It is no export, is of a newer format, or is not whole; the message names the line.
    """
    seal, number, is_without_end, is_ended = _Seal(), 0, False, False
    for number, line in enumerate(lines, start=1):
        if is_ended and not is_without_end:
            raise ConfigurationError(f"line {number} stands behind the end of the export")
        try:
            if number == 1:
                is_without_end = _is_without_end(line)
                is_ended = is_without_end
            elif not is_without_end and line.startswith(_END_START):
                _check_end(line, seal, number)
                is_ended = True
            else:
                yield _item(line)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            if isinstance(error, ConfigurationError):
                raise
            raise ConfigurationError(f"line {number} is not one of a context-core export") from error
        seal.added(line)
    if number == 0:
        raise ConfigurationError("this export is empty: not even its first line is there")
    if not is_ended:
        raise _broken_off(number)


class _Seal:
    """What the last line of an export tells of those before it."""

    def __init__(self) -> None:
        import hashlib  # noqa: PLC0415  # it loads OpenSSL

        self.count = -1
        """How many items were added: the first line is none."""
        self._digest = hashlib.sha256()

    def added(self, line: bytes) -> bytes:
        self.count += 1
        self._digest.update(line)
        return line

    def fields(self) -> dict[str, Any]:
        return {"count": self.count, "sha256": self._digest.hexdigest()}


_END_START: Final = orjson.dumps({_END_KEY: 0})[:-2]


def _is_without_end(first: bytes) -> bool:
    try:
        found = orjson.loads(first)[_FORMAT_KEY]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError("line 1 is not one of a context-core export") from error
    if type(found) is not int or found not in (WITHOUT_END, FORMAT):
        raise ConfigurationError(
            f"this export is of format {shown(found, 20)}, this code reads {FORMAT}: upgrade context-core"
        )
    return found == WITHOUT_END


def _check_end(line: bytes, seal: _Seal, number: int) -> None:
    try:
        told = orjson.loads(line)[_END_KEY] if line.startswith(_END_START) else None
    except (ValueError, KeyError, TypeError):
        told = None
    if told is None:
        raise _broken_off(number)
    if told != seal.fields():
        raise ConfigurationError("this export was changed after it was written: its last line tells another digest")


def _broken_off(number: int) -> ConfigurationError:
    return ConfigurationError(
        f"this export breaks off near line {number}: its last line is missing, as after a killed export; export again"
    )


def _item(line: bytes) -> ExportedVersion | Tombstone:
    fields = orjson.loads(line)
    if is_read_inexactly(line):
        raise ValueError("a number beyond 64 bits")
    return _tombstone(fields) if "deleted_at" in fields else _version(fields)


def normal_form(document: bytes) -> bytes:
    """The bytes that a document has after a journey: those that orjson writes, or its own where it is no JSON for us."""
    try:
        return document if is_read_inexactly(document) else orjson.dumps(orjson.loads(document))
    except (ValueError, TypeError):  # TypeError: nested deeper than is written
        return document


def _version_fields(item: ExportedVersion) -> dict[str, Any]:
    fields = attrs.asdict(item.header)
    fields["workflow_created_at"] = item.workflow_created_at
    try:
        is_exact = not is_read_inexactly(item.document)
        fields["document" if is_exact else "document_base64"] = (
            orjson.Fragment(orjson.dumps(orjson.loads(item.document))) if is_exact else _base64(item.document)
        )
    except (ValueError, TypeError):
        fields["document_base64"] = _base64(item.document)
    return fields


def _base64(document: bytes) -> str:
    return base64.b64encode(document).decode()


def _tombstone_fields(item: Tombstone) -> dict[str, Any]:
    return attrs.asdict(item)


def _version(fields: dict[str, Any]) -> ExportedVersion:
    document = (
        orjson.dumps(fields.pop("document"))
        if "document" in fields
        else base64.b64decode(fields.pop("document_base64"), validate=True)
    )
    workflow_created_at = _time(fields.pop("workflow_created_at"))
    for name in ("saved_at", *(name for name, kind in INDEXED_KINDS.items() if kind is FieldKind.TIME)):
        fields[name] = _time(fields[name])
    fields["tags"] = tuple(map(_text, fields["tags"]))
    fields["origin"] = Origin(**fields["origin"]) if fields["origin"] is not None else None
    header = VersionHeader(**fields)
    _number(header.version)
    for name, kind in INDEXED_KINDS.items():
        if kind is FieldKind.TEXT:
            _text(fields[name])
        elif kind is FieldKind.NUMBER and (fields[name] is not None or name not in OPTIONAL_FIELDS):
            _number(fields[name])
    if header.idempotency_key is not None:
        _text(header.idempotency_key)
    if header.origin is not None:
        _text(header.origin.workflow_id)
        _number(header.origin.version)
    return ExportedVersion(header=header, workflow_created_at=workflow_created_at, document=document)


def _tombstone(fields: dict[str, Any]) -> Tombstone:
    _text(fields["workflow_id"])
    _number(fields["last_version"])
    return Tombstone(**{**fields, "deleted_at": _time(fields["deleted_at"])})


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError(type(value))
    return value


def _number(value: Any) -> None:
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise ValueError(type(value))


def _time(text: Any) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.utcoffset() is None:
        raise ValueError("naive")
    return moment.astimezone(UTC)
