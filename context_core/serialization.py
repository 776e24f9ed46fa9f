"""Contexts to records and back: documents, their schema number, and the upcasters that read old ones."""

import os
from collections.abc import Iterable
from datetime import UTC, tzinfo
from operator import attrgetter
from typing import Any, Final, Generic, TypeVar

import attrs

from context_core._converter import comes_back_as, decode, decode_document, document_fields, encode, typed_tree
from context_core.alterations import check_unaltered
from context_core.codecs import DocumentCodec
from context_core.errors import (
    ConfigurationError,
    CorruptDocumentError,
    InvalidContextError,
    PersistenceError,
    UnserializableValueError,
    UnsupportedSchemaError,
    shown,
)
from context_core.idempotency import content_of, idempotency_key
from context_core.model import INDEXED_FIELDS, WorkflowContext, rebuild
from context_core.records import ContextRecord, IdempotencyKey, StoredDocument
from context_core.upcasting import SCHEMA, SCHEMA_KEY, UnknownSchemaError, Upcaster, add_time_zones, chained, upcast

_NUMBERED: Final = f'{{"{SCHEMA_KEY}":'.encode()
"""How every document begins that this code wrote."""

SAVE_ID_BYTES: Final = 16
"""Random bytes kept beside each document that went through a codec."""

C = TypeVar("C", bound=WorkflowContext)


_indexed_values: Final = attrgetter(*INDEXED_FIELDS)


class ContextSerializer(Generic[C]):
    """Writes contexts of one type, and reads every document into that type.

    Args:
        context_type: WorkflowContext or a subclass whose further fields all have defaults.
        upcasters: Steps for older documents; those of the engine run after ours of the same number.
        codec: Transforms documents on their way to and from the backend.

    Attributes:
        naive_zone: The zone of naive times in documents of schema 0; UTC, unless the backend says otherwise.

    Raises:
        ConfigurationError: *context_type* cannot be used; the message names the field.
    """

    def __init__(
        self, context_type: type[C], upcasters: Iterable[Upcaster] = (), codec: DocumentCodec | None = None
    ) -> None:
        _check_context_type(context_type)
        self.context_type = context_type
        self._is_plain_type = context_type is WorkflowContext
        self.naive_zone: tzinfo = UTC
        self._upcasters = chained(upcasters, own=Upcaster(0, self._add_time_zones))
        if codec is not None and not isinstance(codec, DocumentCodec):
            raise ConfigurationError(
                f"document_codec must have encode and decode, as DocumentCodec: {shown(codec, 80)}"
            )
        self._codec = codec
        self._secret = _secret_of(codec)

    @property
    def is_opaque(self) -> bool:
        """Whether the backend sees documents that it cannot look into."""
        return self._codec is not None

    @property
    def keeps_hashes(self) -> bool:
        """Whether a hash may be kept beside an idempotency key: without a codec, or under the codec's secret."""
        return self._codec is None or self._secret is not None

    def to_record(self, context: WorkflowContext) -> ContextRecord:
        """Return what is stored of *context*; it is not changed (RT12).

        Raises:
            As `to_fields`.
        """
        return self.record_of(context, self.to_fields(context))

    def to_fields(self, context: WorkflowContext) -> dict[str, Any]:
        """Return the fields of the document of *context*, which the caller may change; free-form values are shared.

        Raises:
            InvalidContextError: It is no context, or one of its fields was changed to break its rule.
        """
        if not isinstance(context, WorkflowContext):
            problem = f"must be a WorkflowContext, not {type(context).__name__}"
            raise InvalidContextError(field="context", problem=problem)
        check_unaltered(context)
        if context.unknown_fields:
            _check_unknown(context)
        return {SCHEMA_KEY: SCHEMA, **context.to_dict()}

    def record_of(self, context: WorkflowContext, fields: dict[str, Any]) -> ContextRecord:
        """As `to_record`, for the *fields* that `to_fields` gave of *context*.

        Raises:
            UnserializableValueError: A value would not come back exactly; the error names its path and type.
            LimitExceededError: It is nested too deep.
        """
        document = encode(fields)
        if type(context) is not WorkflowContext:
            _check_comes_back(context, document)
        indexed = dict(zip(INDEXED_FIELDS, _indexed_values(context), strict=True))
        indexed |= {"status": str(context.status), "tags": tuple(context.tags)}
        return ContextRecord(document=document, **indexed)

    def seal(self, record: ContextRecord) -> ContextRecord:
        """Return *record* as the backend gets it: its document encoded, where the store has a codec."""
        if self._codec is None:
            return record
        save_id = os.urandom(SAVE_ID_BYTES)
        document = self._codec.encode(record.workflow_id, save_id, record.document)
        return attrs.evolve(record, document=document, save_id=save_id)

    def idempotency_key(self, key: str, record: ContextRecord, fields: dict[str, Any] | None = None) -> IdempotencyKey:
        """Pair *key* with a hash of what the plain *record* holds, or with none where only the codec's secret would do.

        The *fields* that the record was made of spare parsing its document; they are changed.
        """
        if self.keeps_hashes:
            return idempotency_key(key, record, self._secret, fields=fields)
        return IdempotencyKey(key=key, content_hash=None)

    def content_of(self, stored: StoredDocument) -> bytes | None:
        """Return what a stored document holds as content (`context_core.idempotency`); None where it cannot be read."""
        try:
            return content_of(self.to_record(self.to_context(stored)).document)
        except PersistenceError:
            return None

    def open(self, stored: StoredDocument) -> bytes:
        """Return the plain document of *stored*.

        Raises:
            CorruptDocumentError: The store's codec cannot decode it, or is not given.
        """
        if self._codec is None:
            if stored.save_id is None:
                return stored.document
            raise _corrupt(stored, "it was stored through a document codec, and this store was opened without")
        if stored.save_id is None:
            return stored.document  # from before the store had a codec
        try:
            return self._codec.decode(stored.workflow_id, stored.save_id, stored.document)
        except ValueError as error:
            raise _corrupt(stored, "the store's document codec refuses it") from error

    def to_context(self, stored: StoredDocument) -> C:
        """Return the context in a stored document, of any schema up to this code's.

        Raises:
            CorruptDocumentError: It cannot be read.
            UnsupportedSchemaError: Its schema is newer, or so old that no upcaster reads it.
        """
        try:
            fields = decode_document(stored.document if stored.save_id is None else self.open(stored))
            schema = fields.pop(SCHEMA_KEY, 0)
            if schema != SCHEMA or type(schema) is not int:
                fields = upcast(fields, schema, self._upcasters)
            # rebuild takes the fields over where it succeeds
            found = rebuild(fields, stored.version) if self._is_plain_type else None
            if found is None:
                found = self.context_type.from_dict(fields, version=stored.version)
        except UnknownSchemaError as error:
            raise _unsupported(stored, error.schema) from None
        except (ValueError, AttributeError, KeyError, TypeError, OverflowError) as error:
            raise _corrupt(stored, _describe(error)) from error
        if found.workflow_id != stored.workflow_id:
            raise _corrupt(stored, "it is that of another workflow")
        return found  # type: ignore[return-value]  # where rebuild made it, C is WorkflowContext; a cast is a call

    def exported(self, stored: StoredDocument) -> bytes:
        """Return the plain document as it leaves the store: its naive times, if it is of schema 0, with their zone.

        Another store may read naive times in another one.
        """
        document = self.open(stored)
        if document.startswith(_NUMBERED):
            return document
        try:
            fields = decode_document(document)
            if SCHEMA_KEY in fields:
                return document
            return encode(self._add_time_zones(fields))
        except (ValueError, AttributeError, TypeError, OverflowError, PersistenceError):
            return document  # what cannot be read leaves as it is

    def _add_time_zones(self, fields: dict[str, Any]) -> dict[str, Any]:
        return add_time_zones(fields, self.naive_zone)


def _secret_of(codec: DocumentCodec | None) -> bytes | None:
    secret = getattr(codec, "idempotency_secret", None)
    if secret is not None and (type(secret) is not bytes or not secret):
        raise ConfigurationError("idempotency_secret of a document codec must be bytes, 32 random ones for example")
    return secret


def _check_unknown(context: WorkflowContext) -> None:
    """Refuse unknown fields that would stand in for known ones, or for the schema number."""
    hidden = context.unknown_fields.keys() & {SCHEMA_KEY, *document_fields(type(context))}
    if hidden:
        problem = f"must not hold {', '.join(sorted(hidden))}: that is a field of its own"
        raise InvalidContextError(field="unknown_fields", problem=problem)


def _corrupt(stored: StoredDocument, problem: str) -> CorruptDocumentError:
    return CorruptDocumentError(workflow_id=stored.workflow_id, version=stored.version, problem=problem)


def _unsupported(stored: StoredDocument, schema: Any) -> UnsupportedSchemaError:
    return UnsupportedSchemaError(workflow_id=stored.workflow_id, version=stored.version, schema=schema, known=SCHEMA)


def _describe(error: Exception) -> str:
    """Say what is wrong with a document without repeating any of it."""
    if isinstance(error, InvalidContextError):
        return f"its field {error.field} does not fit"
    return "it is not the JSON object that was written"


def _check_comes_back(context: WorkflowContext, document: bytes) -> None:
    """Refuse a subclass's field that cattrs would bring back as something else (RT10)."""
    fields = decode(document)
    del fields[SCHEMA_KEY]
    try:
        returned = type(context).from_dict(fields)
    except InvalidContextError as error:
        raise UnserializableValueError(
            path=f"$.{error.field}",
            type_name=type(getattr(context, error.field.partition(".")[0], None)).__name__,
            problem=f"does not come back from JSON: {error.problem}",
        ) from error
    if comes_back_as(context, returned):
        return
    for field in attrs.fields(type(context)):
        value = getattr(context, field.name)
        if field.eq and not comes_back_as(value, getattr(returned, field.name)):
            problem = f"{type(value).__name__} comes back from JSON as another value; annotate the field more closely"
            raise UnserializableValueError(path=f"$.{field.name}", type_name=type(value).__name__, problem=problem)


def _check_context_type(context_type: type[Any]) -> None:
    if not (isinstance(context_type, type) and issubclass(context_type, WorkflowContext)):
        raise ConfigurationError(
            f"context_type must be WorkflowContext or a subclass of it, not {shown(context_type, 80)}"
        )
    fields = attrs.fields_dict(context_type)
    if SCHEMA_KEY in fields:
        raise ConfigurationError(f"{context_type.__name__}.{SCHEMA_KEY} stands for the document's schema: rename it")
    for name in fields.keys() - attrs.fields_dict(WorkflowContext).keys():
        if fields[name].default is attrs.NOTHING:
            raise ConfigurationError(
                f"{context_type.__name__}.{name} needs a default: rows saved by other types do not hold it"
            )
    typed_tree(context_type)
