"""Histories as JSON Lines: one line a version, with all that is needed to write it again elsewhere.

The first line tells the format. A version's line holds its header, the workflow's creation time and the document as
JSON; what is no JSON travels as base64. A deleted workflow is a line with its last version and the time.
"""

import base64
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import attrs
import orjson

from context_core._converter import is_read_inexactly
from context_core.errors import ConfigurationError
from context_core.records import Origin, Tombstone, VersionHeader

FORMAT: Final = 1
_FORMAT_KEY: Final = "context_core_export"


@attrs.frozen(kw_only=True)
class ExportedVersion:
    """One version on its way: its header, when its workflow was created, and its plain document."""

    header: VersionHeader
    workflow_created_at: datetime
    document: bytes


def write_lines(items: Iterable[ExportedVersion | Tombstone]) -> Iterator[bytes]:
    """Render an export, line by line."""
    yield orjson.dumps({_FORMAT_KEY: FORMAT}) + b"\n"
    for item in items:
        yield orjson.dumps(_tombstone_fields(item) if isinstance(item, Tombstone) else _version_fields(item)) + b"\n"


def read_lines(lines: Iterable[bytes]) -> Iterator[ExportedVersion | Tombstone]:
    """Parse an export, line by line.

    Raises:
        ConfigurationError: It is no export, or of a newer format; the message names the line.
    """
    number = 0
    for number, line in enumerate(lines, start=1):
        try:
            fields = orjson.loads(line)
            if number > 1:
                yield _tombstone(fields) if "deleted_at" in fields else _version(fields)
            elif fields[_FORMAT_KEY] != FORMAT:
                raise ConfigurationError(
                    f"this export is of format {fields[_FORMAT_KEY]!r:.20}, this code reads {FORMAT}: upgrade context-core"
                )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, ConfigurationError):
                raise
            raise ConfigurationError(f"line {number} is not one of a context-core export") from error
    if number == 0:
        raise ConfigurationError("this export is empty: not even its first line is there")


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
    for name in ("created_at", "updated_at", "saved_at"):
        fields[name] = _time(fields[name])
    fields["tags"] = tuple(map(_text, fields["tags"]))
    fields["origin"] = Origin(**fields["origin"]) if fields["origin"] is not None else None
    header = VersionHeader(**fields)
    for name in ("workflow_id", "feature", "workflow_name", "current_phase", "status"):
        _text(fields[name])
    for name in ("version", "epic_num") if header.story_num is None else ("version", "epic_num", "story_num"):
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
