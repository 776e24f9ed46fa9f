"""New hashes for idempotency keys, on a store whose document codec has another secret than before, or its first one."""

from contextlib import suppress
from typing import Any

from context_core._facade import scans
from context_core.errors import CorruptDocumentError
from context_core.hookspecs import ContextBackend
from context_core.maintenance import KeptHash, RehashRequest
from context_core.records import LoadRequest, VersionHeader, Want
from context_core.serialization import ContextSerializer


def rehash(backend: ContextBackend, serializer: ContextSerializer[Any]) -> None:
    """Replace the hash beside each idempotency key of the store."""
    for workflow_id in scans.ids(backend):
        # The newest first: a save or a prune meanwhile moves no row that was not read yet.
        for page in scans.history(backend, workflow_id, Want.HEADERS, newest_first=True):
            keyed = (header for header in page.headers if header.idempotency_key is not None)
            hashes = [_new_hash(backend, serializer, header) for header in keyed]
            if hashes:
                backend.rehash(RehashRequest(hashes=hashes))


def _new_hash(backend: ContextBackend, serializer: ContextSerializer[Any], header: VersionHeader) -> KeptHash:
    content_hash = None
    if serializer.keeps_hashes:
        with suppress(CorruptDocumentError):  # a version that cannot be read keeps no hash
            for stored in backend.load(LoadRequest((header.workflow_id,), header.version)):
                record = header.record(serializer.open(stored))
                content_hash = serializer.idempotency_key(header.idempotency_key or "", record).content_hash
    return KeptHash(workflow_id=header.workflow_id, version=header.version, content_hash=content_hash)
