"""Writes with idempotency keys: the core compares contents where a driver cannot tell by its hash.

A driver compares hashes. It reports a conflict if the stored hash follows an older rule or another secret, and if no
hash is stored. Then the core loads the stored version and compares the contents. If they are equal, the core repeats
the write, and the request names the stored version of the same content.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

import attrs

from context_core.errors import CorruptDocumentError, IdempotencyConflictError
from context_core.plugins import BoundVerbs
from context_core.records import (
    BatchRequest,
    DeleteRequest,
    LoadRequest,
    Operation,
    Outcome,
    SavedVersion,
    SaveRequest,
    StoredDocument,
    VersionHeader,
    VersionRequest,
)
from context_core.serialization import ContextSerializer

_ScopedKey: TypeAlias = tuple[str, str]
"""A workflow's id, and an idempotency key of that workflow."""

_ATTEMPTS: Final = 3
"""How often a write is tried. A third attempt is needed only if others delete or save between a read and the write."""

_PAGE_SIZE: Final = 200
"""How many headers one request reads, the newest first: a key that is used again is seldom old."""


def save(verbs: BoundVerbs, serializer: ContextSerializer[Any], request: SaveRequest) -> SavedVersion:
    """Save one version. If its key is stored with the same content, the save is a replay."""
    if request.idempotency is None:
        return verbs.save(request)
    for _ in range(_ATTEMPTS - 1):
        try:
            return verbs.save(request)
        except IdempotencyConflictError as error:
            (request,) = cast("list[SaveRequest]", _with_known_versions(verbs, serializer, [request], error))
    return verbs.save(request)


def apply(verbs: BoundVerbs, serializer: ContextSerializer[Any], operations: Sequence[Operation]) -> list[Outcome]:
    """Apply a batch. If the key of a save is stored with the same content, that save is a replay."""
    if not any(map(_scoped_key, operations)):
        return verbs.batch(BatchRequest(operations=operations))
    firsts = _first_occurrences(serializer, operations)
    places = sorted(set(firsts))
    found = _apply_distinct(verbs, serializer, [operations[place] for place in places])
    outcomes = dict(zip(places, found, strict=True))
    return [outcomes[first] if first == place else _repeated(outcomes[first]) for place, first in enumerate(firsts)]


def _apply_distinct(
    verbs: BoundVerbs, serializer: ContextSerializer[Any], operations: Sequence[Operation]
) -> list[Outcome]:
    for _ in range(_ATTEMPTS - 1):
        try:
            return verbs.batch(BatchRequest(operations=operations))
        except IdempotencyConflictError as error:
            operations = _with_known_versions(verbs, serializer, operations, error)
    return verbs.batch(BatchRequest(operations=operations))


def _with_known_versions(
    verbs: BoundVerbs,
    serializer: ContextSerializer[Any],
    operations: Sequence[Operation],
    error: IdempotencyConflictError,
) -> list[Operation]:
    """Name in each save the stored version that has its key and its content; raise *error* if it is justified."""
    keyed = [each for each in operations if isinstance(each, SaveRequest) and each.idempotency is not None]
    conflicting = error.workflow_id, error.key
    versions = _versions_with_keys(verbs, keyed) if len(keyed) > 1 else {}
    versions[conflicting] = error.version
    contents = _contents(verbs, serializer, versions)
    again = [_with_known_version(serializer, each, versions, contents) for each in operations]
    is_explained = any(
        _scoped_key(new) == conflicting and new is not old for old, new in zip(operations, again, strict=True)
    )
    # If the conflicting version is not stored any more, its key is free, and the write is simply repeated.
    if not is_explained and conflicting in contents:
        raise error
    return again


def _with_known_version(
    serializer: ContextSerializer[Any],
    operation: Operation,
    versions: Mapping[_ScopedKey, int],
    contents: Mapping[_ScopedKey, bytes | None],
) -> Operation:
    """Name the stored version of the same key and content; return the same object if there is none, or it was named."""
    scoped = _scoped_key(operation)
    if scoped is None or not isinstance(operation, SaveRequest) or operation.idempotency is None:
        return operation
    content = contents.get(scoped)
    if content is None or operation.idempotency.same_as == versions[scoped]:
        return operation
    if _content_of(serializer, operation) != content:
        return operation
    return attrs.evolve(operation, idempotency=attrs.evolve(operation.idempotency, same_as=versions[scoped]))


def _versions_with_keys(verbs: BoundVerbs, keyed: Iterable[SaveRequest]) -> dict[_ScopedKey, int]:
    """Find the stored versions that have the keys of these saves."""
    wanted: dict[str, set[str]] = {}
    for request in keyed:
        if request.idempotency is not None:
            wanted.setdefault(request.record.workflow_id, set()).add(request.idempotency.key)
    found: dict[_ScopedKey, int] = {}
    for workflow_id, keys in wanted.items():
        for header in _newest_headers(verbs, workflow_id):
            if header.idempotency_key in keys:
                found[workflow_id, header.idempotency_key] = header.version
                keys.remove(header.idempotency_key)
                if not keys:
                    break
    return found


def _newest_headers(verbs: BoundVerbs, workflow_id: str) -> Iterator[VersionHeader]:
    for offset in itertools.count(0, _PAGE_SIZE):
        request = VersionRequest(of=workflow_id, limit=_PAGE_SIZE, offset=offset, newest_first=True)
        page = verbs.version(request).headers
        yield from page
        if len(page) < _PAGE_SIZE:
            return


def _contents(
    verbs: BoundVerbs, serializer: ContextSerializer[Any], versions: Mapping[_ScopedKey, int]
) -> dict[_ScopedKey, bytes | None]:
    """Read the contents of stored versions: None for one that cannot be read, no entry for one that does not exist."""
    contents: dict[_ScopedKey, bytes | None] = {}
    scoped_keys: dict[tuple[str, int], _ScopedKey] = {}
    together: dict[int, list[str]] = {}
    for scoped, version in versions.items():
        scoped_keys[scoped[0], version] = scoped
        together.setdefault(version, []).append(scoped[0])
    for version, workflow_ids in together.items():
        for stored in _readable(verbs, workflow_ids, version):
            content = serializer.content_of(stored) if isinstance(stored, StoredDocument) else None
            contents[scoped_keys[stored.workflow_id, version]] = content
    return contents


def _readable(
    verbs: BoundVerbs, workflow_ids: Sequence[str], version: int
) -> Iterator[StoredDocument | CorruptDocumentError]:
    try:
        yield from verbs.load(LoadRequest(workflow_ids, version))
    except CorruptDocumentError as error:
        if len(workflow_ids) == 1:
            yield error
            return
        for workflow_id in workflow_ids:
            yield from _readable(verbs, [workflow_id], version)


def _content_of(serializer: ContextSerializer[Any], request: SaveRequest) -> bytes | None:
    record = request.record
    return serializer.content_of(StoredDocument(record.workflow_id, 0, record.document, record.save_id))


def _first_occurrences(serializer: ContextSerializer[Any], operations: Sequence[Operation]) -> list[int]:
    """For each operation: its own place, or the place of the earlier save that it repeats, key and content alike.

    A driver compares hashes to find a repeated save within a batch. If there is no hash, the core compares contents.
    """
    firsts = list(range(len(operations)))
    known: dict[str, dict[str, int]] = {}
    for place, operation in enumerate(operations):
        if isinstance(operation, DeleteRequest):
            known.pop(operation.workflow_id, None)  # a delete frees the keys of its workflow
        elif isinstance(operation, SaveRequest) and operation.idempotency is not None:
            name = operation.idempotency
            first = known.setdefault(operation.record.workflow_id, {}).setdefault(name.key, place)
            earlier = operations[first]
            if first != place and name.content_hash is None and isinstance(earlier, SaveRequest):
                content = _content_of(serializer, operation)
                firsts[place] = first if content is not None and content == _content_of(serializer, earlier) else place
    return firsts


def _scoped_key(operation: Operation) -> _ScopedKey | None:
    """Return the workflow and the key of a save that has a key."""
    if isinstance(operation, SaveRequest) and operation.idempotency is not None:
        return operation.record.workflow_id, operation.idempotency.key
    return None


def _repeated(outcome: Outcome) -> Outcome:
    return attrs.evolve(outcome, is_replay=True) if isinstance(outcome, SavedVersion) else outcome
