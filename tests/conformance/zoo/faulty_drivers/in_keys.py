"""Faults of idempotency keys."""

from datetime import datetime
from typing import Any

import attrs

from context_core import IdempotencyConflictError, VersionConflictError
from context_core.records import BatchRequest, IdempotencyKey, Outcome, RestoreRequest, SavedVersion, SaveRequest
from context_core_memory import MemoryBackend
from context_core_memory._state import Version
from faulty_drivers.base_drivers import Writing, state_of, wait_for_others
from faulty_drivers.fault import breaks


def _version_with(backend: MemoryBackend, request: SaveRequest) -> Version | None:
    versions = state_of(backend).versions(request.record.workflow_id)
    key = request.idempotency
    known = (version for version in versions if key is not None and version.header.idempotency_key == key.key)
    return next(known, None)


@breaks("ID01")
class KeyIsLookedAtTooLate(MemoryBackend):
    """A retry of a conditional save is a conflict with itself."""

    def save(self, request: SaveRequest) -> SavedVersion:
        versions = state_of(self).versions(request.record.workflow_id)
        head, expected = versions[-1].header.version if versions else 0, request.expected_version
        if expected is not None and expected != head:
            raise VersionConflictError(workflow_id=request.record.workflow_id, expected=expected, actual=head)
        return super().save(request)


@breaks("ID01")
class KeysHoldForAllWorkflows(MemoryBackend):
    """A key that one workflow used is taken for every other."""

    def save(self, request: SaveRequest) -> SavedVersion:
        for history in state_of(self).histories.values():
            for version in history.versions:
                if request.idempotency is not None and version.header.idempotency_key == request.idempotency.key:
                    return SavedVersion(
                        version=version.header.version, saved_at=version.header.saved_at, is_replay=True
                    )
        return super().save(request)


@breaks("ID04")
class KeysAreForgottenAtReopen(MemoryBackend):
    """Each handle knows only the keys that it was given itself."""

    def __init__(self, name: str = "", **options: Any) -> None:
        super().__init__(name, **options)
        self._known: set[tuple[str, IdempotencyKey]] = set()

    def save(self, request: SaveRequest) -> SavedVersion:
        if request.idempotency is None:
            return super().save(request)
        if (
            _version_with(self, request) is not None
            and (request.record.workflow_id, request.idempotency) not in self._known
        ):
            return super().save(attrs.evolve(request, idempotency=None))
        self._known.add((request.record.workflow_id, request.idempotency))
        return super().save(request)


@breaks("ID02")
class KeyStandsForAnyContent(MemoryBackend):
    """A key with other content gives the first version back, and the new content is lost."""

    def save(self, request: SaveRequest) -> SavedVersion:
        try:
            return super().save(request)
        except IdempotencyConflictError as error:
            return SavedVersion(version=error.version, saved_at=self._clock(), is_replay=True)


@breaks("ID01")
class RetryWritesAgain(MemoryBackend):
    """A known key is no reason not to write."""

    def save(self, request: SaveRequest) -> SavedVersion:
        is_known = _version_with(self, request) is not None
        return super().save(attrs.evolve(request, idempotency=None) if is_known else request)


@breaks("ID01")
class RetryGivesTheHead(MemoryBackend):
    """A late retry gets the number of the newest version, not of its own."""

    def save(self, request: SaveRequest) -> SavedVersion:
        saved = super().save(request)
        head = state_of(self).versions(request.record.workflow_id)[-1].header
        return attrs.evolve(saved, version=head.version)


@breaks("ID01")
class KeysIgnoreCase(Writing):
    """`retry-a` and `retry-A` are one key."""

    def operation(self, operation: Any) -> Any:
        key = getattr(operation, "idempotency", None)
        if key is None:
            return operation
        return attrs.evolve(operation, idempotency=attrs.evolve(key, key=key.key.lower()))


@breaks("ID01", "ID02", "DE01")
class KeysOutliveTheirWorkflow(MemoryBackend):
    """The key of a deleted version gives that version still."""

    def __init__(self, name: str = "", **options: Any) -> None:
        super().__init__(name, **options)
        self._done: dict[tuple[str, IdempotencyKey], SavedVersion] = {}

    def save(self, request: SaveRequest) -> SavedVersion:
        if request.idempotency is None:
            return super().save(request)
        place = (request.record.workflow_id, request.idempotency)
        if place not in self._done:
            self._done[place] = super().save(request)
            return self._done[place]
        return attrs.evolve(self._done[place], is_replay=True)


@breaks("ID01", "ID02", "BA06")
class BatchIgnoresKeys(MemoryBackend):
    """Within a batch keys are not looked at."""

    def batch(self, request: BatchRequest) -> list[Outcome]:
        operations = [
            attrs.evolve(each, idempotency=None) if isinstance(each, SaveRequest) else each
            for each in request.operations
        ]
        return super().batch(BatchRequest(operations=operations))


@breaks("ID04")
class KeyIsLookedAtOutsideTheLock(MemoryBackend):
    """Two that come at once with one key both find it new."""

    def save(self, request: SaveRequest) -> SavedVersion:
        if _version_with(self, request) is not None:
            return super().save(request)
        wait_for_others()
        content = attrs.evolve(request, idempotency=None)
        return super().save(content if _version_with(self, request) is not None else request)


@breaks("ID01")
class RetryTellsANewTime(MemoryBackend):
    """A retry says that it was saved now."""

    def save(self, request: SaveRequest) -> SavedVersion:
        saved = super().save(request)
        now: datetime = self._clock()
        return attrs.evolve(saved, saved_at=now) if saved.is_replay else saved


@breaks("ID01")
class RetryIsNotToldApart(MemoryBackend):
    """A retry says that it wrote."""

    def save(self, request: SaveRequest) -> SavedVersion:
        return attrs.evolve(super().save(request), is_replay=False)


@breaks("ID01", "ID02", "ID04")
class OnlyHashesCount(MemoryBackend):
    """A version that the core has compared is a conflict still, unless the hashes are equal."""

    def save(self, request: SaveRequest) -> SavedVersion:
        key = request.idempotency
        return super().save(
            request if key is None else attrs.evolve(request, idempotency=attrs.evolve(key, same_as=None))
        )


@breaks("ID02")
class NoHashEqualsNone(MemoryBackend):
    """Two saves of which no hash is kept are taken for the same."""

    def save(self, request: SaveRequest) -> SavedVersion:
        known = _version_with(self, request)
        if known is not None and request.idempotency is not None and request.idempotency.content_hash is None:
            return SavedVersion(version=known.header.version, saved_at=known.header.saved_at, is_replay=True)
        return super().save(request)


@breaks("ID02")
class SameAsIsNotLookedAt(MemoryBackend):
    """Any version that the core names is taken for the one that has the key."""

    def save(self, request: SaveRequest) -> SavedVersion:
        known = _version_with(self, request)
        if known is not None and request.idempotency is not None and request.idempotency.same_as is not None:
            return SavedVersion(version=known.header.version, saved_at=known.header.saved_at, is_replay=True)
        return super().save(request)


@breaks("MO01", "ID02")
class RestoreTellsOfAKeyAsASaveDoes(MemoryBackend):
    """A restore under a key that another version has is reported as a save's conflict."""

    def batch(self, request: BatchRequest) -> list[Outcome]:
        for each in request.operations:
            if isinstance(each, RestoreRequest) and each.idempotency is not None:
                key = each.idempotency.key
                for version in state_of(self).versions(each.record.workflow_id):
                    if version.header.idempotency_key == key:
                        raise IdempotencyConflictError(
                            workflow_id=each.record.workflow_id, key=key, version=version.header.version
                        )
        return super().batch(request)
