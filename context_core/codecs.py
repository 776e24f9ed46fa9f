"""The extension point for what transforms documents on their way to and from a store: encryption, for one."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class DocumentCodec(Protocol):
    """Transforms the documents of one store.

    `decode(workflow_id, save_id, encode(workflow_id, save_id, document)) == document` holds for every document. The
    `save_id` is 16 random bytes, new for each save and kept beside the document: a nonce, or part of what is
    authenticated. Since nobody else can look into what `encode` gives, a store with a codec refuses filters on free-form
    fields.

    A codec may be random (HO04): retries are told by the plain content. For this it may have one more member,
    ``idempotency_secret: bytes``, 32 random bytes that stay the same for the store. Then an HMAC of the content under
    this secret is kept beside each idempotency key. Without it nothing is kept that tells of the content, and a retry
    costs reading the stored version.
    """

    def encode(self, workflow_id: str, save_id: bytes, document: bytes) -> bytes:
        """Return what is stored instead of *document*."""
        ...

    def decode(self, workflow_id: str, save_id: bytes, stored: bytes) -> bytes:
        """Return the document; raise ValueError where *stored* is not what `encode` gave for these arguments."""
        ...
