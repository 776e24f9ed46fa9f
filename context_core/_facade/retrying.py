"""Writes under idempotency keys: what a driver cannot tell by its hash is told here, by the stored version.

A driver compares hashes. It finds a conflict where the hash is of an older rule or of another secret, and where none is
stored. Then the stored version is loaded and its content compared; the write is repeated, and tells the driver for which
version the key stands.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias, TypeVar, cast

import attrs

from context_core._facade.opening import C
from context_core._facade.reading import Reading
from context_core.errors import CorruptDocumentError, IdempotencyConflictError
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

T = TypeVar("T")

_Place: TypeAlias = tuple[str, str]
"""A workflow and a key."""

_ATTEMPTS: Final = 3
"""How often a write is repeated: a second time only if others delete or save between the look and the write."""

_PAGE_SIZE: Final = 200
"""Headers looked at in one request, the newest first: keys that are used again are seldom old."""


class Retrying(Reading[C]):
    """Saves and batches, where keys may stand for versions that only a look at them tells."""

    def _save(self, request: SaveRequest) -> SavedVersion:
        """Save, and know the content that a key stands for already, however it is stored."""
        if request.idempotency is None:
            return self._verbs.save(request)
        return self._insisting([request], self._save_first)

    def _apply(self, operations: Sequence[Operation]) -> list[Outcome]:
        """Do a batch likewise."""
        if not any(isinstance(each, SaveRequest) and each.idempotency is not None for each in operations):
            return self._batch(operations)
        firsts = self._firsts(operations)
        places = sorted(set(firsts))
        outcomes = dict(zip(places, self._insisting([operations[place] for place in places], self._batch), strict=True))
        return [outcomes[first] if first == place else _repeated(outcomes[first]) for place, first in enumerate(firsts)]

    def _batch(self, operations: Sequence[Operation]) -> list[Outcome]:
        return self._verbs.batch(BatchRequest(operations=operations))

    def _save_first(self, operations: Sequence[Operation]) -> SavedVersion:
        (request,) = operations
        return self._verbs.save(cast("SaveRequest", request))

    def _insisting(self, operations: Sequence[Operation], write: Callable[[Sequence[Operation]], T]) -> T:
        for _ in range(_ATTEMPTS - 1):
            try:
                return write(operations)
            except IdempotencyConflictError as error:
                operations = self._recognised(operations, error)
        return write(operations)

    def _recognised(self, operations: Sequence[Operation], error: IdempotencyConflictError) -> Sequence[Operation]:
        """Pair keys with the stored versions of the same content; raise *error* where its own has other content."""
        keyed = [each for each in operations if isinstance(each, SaveRequest) and each.idempotency is not None]
        asked = error.workflow_id, error.key
        versions = self._versions_of(keyed) if len(keyed) > 1 else {}
        versions[asked] = error.version
        contents = self._contents(versions)
        again = [self._paired(each, versions, contents) for each in operations]
        is_paired = any(_place(new) == asked and new is not old for old, new in zip(operations, again, strict=True))
        # Where its version is not stored any more, its key is free: then the write is simply repeated.
        if not is_paired and asked in contents:
            raise error
        return again

    def _paired(
        self, operation: Operation, versions: Mapping[_Place, int], contents: Mapping[_Place, bytes | None]
    ) -> Operation:
        """The operation, its key paired with the version of its content; itself where there is none, or it was paired."""
        place = _place(operation)
        if place is None or not isinstance(operation, SaveRequest) or operation.idempotency is None:
            return operation
        content = contents.get(place)
        if content is None or operation.idempotency.same_as == versions[place]:
            return operation
        if self._content_of(operation) != content:
            return operation
        return attrs.evolve(operation, idempotency=attrs.evolve(operation.idempotency, same_as=versions[place]))

    def _versions_of(self, keyed: Iterable[SaveRequest]) -> dict[_Place, int]:
        """The versions that have the keys of these saves, by workflow and key."""
        wanted: dict[str, set[str]] = {}
        for request in keyed:
            if request.idempotency is not None:
                wanted.setdefault(request.record.workflow_id, set()).add(request.idempotency.key)
        found: dict[_Place, int] = {}
        for workflow_id, keys in wanted.items():
            for header in self._newest_headers(workflow_id):
                if header.idempotency_key in keys:
                    found[workflow_id, header.idempotency_key] = header.version
                    keys.remove(header.idempotency_key)
                    if not keys:
                        break
        return found

    def _newest_headers(self, workflow_id: str) -> Iterator[VersionHeader]:
        for offset in itertools.count(0, _PAGE_SIZE):
            request = VersionRequest(of=workflow_id, limit=_PAGE_SIZE, offset=offset, newest_first=True)
            page = self._verbs.version(request).headers
            yield from page
            if len(page) < _PAGE_SIZE:
                return

    def _contents(self, versions: Mapping[_Place, int]) -> dict[_Place, bytes | None]:
        """The contents of stored versions, None for one that cannot be read; without those that are gone."""
        contents: dict[_Place, bytes | None] = {}
        places: dict[tuple[str, int], _Place] = {}
        together: dict[int, list[str]] = {}
        for place, version in versions.items():
            places[place[0], version] = place
            together.setdefault(version, []).append(place[0])
        for version, workflow_ids in together.items():
            for stored in self._readable(workflow_ids, version):
                content = self._serializer.content_of(stored) if isinstance(stored, StoredDocument) else None
                contents[places[stored.workflow_id, version]] = content
        return contents

    def _readable(self, workflow_ids: Sequence[str], version: int) -> Iterator[StoredDocument | CorruptDocumentError]:
        try:
            yield from self._verbs.load(LoadRequest(workflow_ids, version))
        except CorruptDocumentError as error:
            if len(workflow_ids) == 1:
                yield error
                return
            for workflow_id in workflow_ids:
                yield from self._readable([workflow_id], version)

    def _content_of(self, request: SaveRequest) -> bytes | None:
        record = request.record
        return self._serializer.content_of(StoredDocument(record.workflow_id, 0, record.document, record.save_id))

    def _firsts(self, operations: Sequence[Operation]) -> list[int]:
        """For each operation its own place, or that of the earlier one that it repeats, key and content alike.

        A driver tells by hashes what of a batch repeats what; where there are none, it is told here.
        """
        firsts = list(range(len(operations)))
        known: dict[str, dict[str, int]] = {}
        for place, operation in enumerate(operations):
            if isinstance(operation, DeleteRequest):
                known.pop(operation.workflow_id, None)  # and its keys are free
            elif isinstance(operation, SaveRequest) and operation.idempotency is not None:
                name = operation.idempotency
                first = known.setdefault(operation.record.workflow_id, {}).setdefault(name.key, place)
                earlier = operations[first]
                if first != place and name.content_hash is None and isinstance(earlier, SaveRequest):
                    content = self._content_of(operation)
                    firsts[place] = first if content is not None and content == self._content_of(earlier) else place
        return firsts


def _place(operation: Operation) -> _Place | None:
    """The workflow and the key of a save that has one."""
    if isinstance(operation, SaveRequest) and operation.idempotency is not None:
        return operation.record.workflow_id, operation.idempotency.key
    return None


def _repeated(outcome: Outcome) -> Outcome:
    return attrs.evolve(outcome, is_replay=True) if isinstance(outcome, SavedVersion) else outcome
