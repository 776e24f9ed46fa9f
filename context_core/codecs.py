"""The extension point for what transforms documents on their way to and from a store: encryption, for one."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class DocumentCodec(Protocol):
    """Transforms the documents of one store.

    `decode(workflow_id, save_id, encode(workflow_id, save_id, document)) == document` holds for every document. The
    `save_id` is 16 random bytes, new for each save and kept beside the document: a nonce, or part of what is
    authenticated. Hashes for safe retries are taken before `encode`, so that a codec may be random (HO04). Since nobody
    else can look into what `encode` gives, a store with a codec refuses filters on free-form fields.
    """

    def encode(self, workflow_id: str, save_id: bytes, document: bytes) -> bytes:
        """Return what is stored instead of *document*."""
        ...

    def decode(self, workflow_id: str, save_id: bytes, stored: bytes) -> bytes:
        """Return the document; raise ValueError where *stored* is not what `encode` gave for these arguments."""
        ...
