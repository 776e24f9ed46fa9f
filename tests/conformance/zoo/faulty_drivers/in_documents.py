"""Faults of what becomes of a document: most are those of a database that has types of its own."""

import json
import re
import unicodedata
from typing import Any, Final

import attrs

from context_core import BackendDescription
from context_core.records import ContextRecord, Limits, SavedVersion, SaveRequest
from context_core_memory import MemoryBackend
from faulty_drivers.base_drivers import Writing, state_of
from faulty_drivers.fault import breaks

_KNOWN: Final = frozenset(
    {
        *("schema", "workflow_id", "epic_num", "story_num", "feature", "workflow_name", "current_phase"),
        *(
            "phase_history",
            "decisions",
            "artifacts",
            "errors",
            "status",
            "created_at",
            "updated_at",
            "metadata",
            "tags",
        ),
    }
)


def _rewritten(document: bytes, **options: Any) -> bytes:
    try:
        fields = json.loads(document)
    except ValueError:
        return document
    return json.dumps(fields, **options).encode()


@breaks("RT01", "RT03")
class TrueBecomesOne(Writing):
    """A boolean comes back as a number, as from a database that has none."""

    def document(self, document: bytes) -> bytes:
        return document.replace(b":true", b":1").replace(b"[true", b"[1").replace(b",true", b",1")


@breaks("RT02", "RT03")
class WholeFloatsBecomeInts(Writing):
    """1.0 comes back as 1, as from JavaScript."""

    def document(self, document: bytes) -> bytes:
        return re.sub(rb"(?<=[\[:,]\d)\.0(?=[,\]}])", b"", document)


@breaks("RT02")
class FloatsAreRounded(Writing):
    """Floats keep fifteen digits, as in a column of type NUMERIC."""

    def document(self, document: bytes) -> bytes:
        return re.sub(rb"(?<=[\[:,])\d\.\d{16,}(?=[,\]}])", lambda found: b"%.15g" % float(found[0]), document)


@breaks("RT02")
class NegativeZeroLosesItsSign(Writing):
    """-0.0 comes back as 0.0."""

    def document(self, document: bytes) -> bytes:
        return document.replace(b"-0.0", b"0.0")


@breaks("RT01")
class BigIntsBecomeFloats(Writing):
    """Integers beyond 2^53 lose their last digits, as wherever numbers are doubles."""

    def document(self, document: bytes) -> bytes:
        return re.sub(rb"(?<=[\[:,])\d{17,20}(?=[,\]}])", lambda found: b"%d" % int(float(found[0])), document)


@breaks("RT07")
class KeysAreSorted(Writing):
    """Objects come back with their keys in another order, as from a binary JSON column."""

    def document(self, document: bytes) -> bytes:
        return _rewritten(document, sort_keys=True, separators=(",", ":"))


@breaks("RT01", "RT04", "HO04")
class BytesAreWrittenAnew(Writing):
    """A document of equal meaning comes back, not the bytes that were saved."""

    def document(self, document: bytes) -> bytes:
        return _rewritten(document)


@breaks("HO04")
class InvalidBytesAreReplaced(Writing):
    """Documents are taken for UTF-8, which those of a codec are not."""

    def document(self, document: bytes) -> bytes:
        return document.decode("utf-8", "replace").encode()


@breaks("RT04")
class TextIsNormalized(Writing):
    """Two spellings of one letter become one."""

    def document(self, document: bytes) -> bytes:
        return unicodedata.normalize("NFC", document.decode("utf-8", "surrogateescape")).encode(
            "utf-8", "surrogateescape"
        )


@breaks("RT04")
class LineEndsBecomeOne(Writing):
    """CRLF comes back as LF, as through a file that was opened as text."""

    def document(self, document: bytes) -> bytes:
        return document.replace(rb"\r\n", rb"\n")


@breaks("RT04")
class NulIsDropped(Writing):
    """NUL vanishes from texts, as where the engine refuses it."""

    def document(self, document: bytes) -> bytes:
        return document.replace(rb"\u0000", b"")


@breaks("RT15")
class DocumentsAreCutShort(Writing):
    """A document over 64 KB loses its end, as in a TEXT column of MySQL."""

    def document(self, document: bytes) -> bytes:
        return document[:65_535]


@breaks("RT14")
class UnknownFieldsAreDropped(Writing):
    """Only the fields that it has columns for come back."""

    def document(self, document: bytes) -> bytes:
        try:
            fields = json.loads(document)
        except ValueError:
            return document
        return json.dumps({name: value for name, value in fields.items() if name in _KNOWN}).encode()


@breaks("RT03", "VE02")
class EqualDocumentsAreShared(MemoryBackend):
    """A version that Python takes for equal to the one before shares its document: 1 == True."""

    def save(self, request: SaveRequest) -> SavedVersion:
        versions = state_of(self).versions(request.record.workflow_id)
        if versions and json.loads(versions[-1].document.document) == json.loads(request.record.document):
            record = attrs.evolve(request.record, document=versions[-1].document.document)
            request = attrs.evolve(request, record=record)
        return super().save(request)


@breaks("HO04")
class SaveIdsAreLost(Writing):
    """What a codec needs to read its document again is not kept."""

    def record(self, record: ContextRecord) -> ContextRecord:
        return attrs.evolve(record, save_id=None)


@breaks("RT15", "ER08")
class DeclaredLimitIsNotKept(MemoryBackend):
    """It takes documents that are larger than it says it can."""

    def describe(self) -> BackendDescription:
        return attrs.evolve(super().describe(), limits=Limits(document_bytes=2**20))


@breaks("RT15", "ER08")
class DeclaredLimitIsOneTooHigh(MemoryBackend):
    """A document of exactly the declared size is refused."""

    def describe(self) -> BackendDescription:
        return attrs.evolve(super().describe(), limits=Limits(document_bytes=self.limits.document_bytes + 1))
