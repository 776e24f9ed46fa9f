"""What an idempotency key stands for: a hash of the content of a save, without the times that the library sets itself.

Whoever builds the same context again for a retry gets a new `created_at`, a new `updated_at`, and new times and durations
in `phase_history`. All else is content, whatever the order of the keys of objects. The hash knows that order, since
sorting costs more than all the rest of it: where two hashes differ, the contents are compared.
"""

from typing import Any, Final

import orjson

from context_core._converter import decode
from context_core.records import ContextRecord, IdempotencyKey

__all__ = ["content_of", "idempotency_key"]

_TIMES: Final = ("created_at", "updated_at")
_TIMES_OF_A_PHASE: Final = ("timestamp", "duration")


def idempotency_key(
    key: str, record: ContextRecord, secret: bytes | None = None, *, fields: dict[str, Any] | None = None
) -> IdempotencyKey:
    """Pair *key* with a hash of what it stands for, so that its use for other content is noticed (ID02).

    Args:
        key: The caller's key.
        record: What is saved, with its plain document.
        secret: What the hash is keyed with (HMAC-SHA-256), together with *key*; None for the plain SHA-256 of a store
            whose documents are plain too.
        fields: Those of the document, in its order, if they are at hand: this spares parsing it. They are changed.
    """
    content = _content_of(record.document, fields, 0)
    # Both load OpenSSL.
    if secret is None:
        import hashlib  # noqa: PLC0415

        return IdempotencyKey(key=key, content_hash=hashlib.sha256(content).digest())
    import hmac  # noqa: PLC0415

    # A key holds no NUL, so that no other key and content make the same message.
    return IdempotencyKey(key=key, content_hash=hmac.digest(secret, key.encode() + b"\0" + content, "sha256"))


def content_of(document: bytes) -> bytes:
    """Return what of a plain *document* counts as content, in one form: equal contents give equal bytes.

    A document that is no JSON object counts as it is.
    """
    return _content_of(document, None, orjson.OPT_SORT_KEYS)


def _content_of(document: bytes, fields: Any, option: int) -> bytes:
    try:
        return orjson.dumps(_without_times(decode(document) if fields is None else fields), option=option)
    except (ValueError, TypeError):  # TypeError: no object, or nested deeper than is written
        return document


def _without_times(fields: Any) -> dict[str, Any]:
    """Take the times out of fields that nobody else holds."""
    if type(fields) is not dict:
        raise TypeError(type(fields))
    for name in _TIMES:
        fields.pop(name, None)
    history = fields.get("phase_history")
    if type(history) is list:
        for left in history:
            if type(left) is dict:
                for name in _TIMES_OF_A_PHASE:
                    left.pop(name, None)
    return fields
