"""Requests and results of the capability verbs prune, verify, repair and backup, and helpers for drivers."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import attrs
import orjson

from context_core.errors import CorruptDocumentError


@attrs.frozen(kw_only=True)
class PruneRequest:
    """Remove old versions, never a head (RE01).

    The request concerns workflows that meet *statuses* and *inactive_since*. Of each such workflow the newest
    *keep_last* versions stay, and the older ones are removed. The versions that stay are contiguous.

    Attributes:
        keep_last: How many versions of a workflow stay; at least 1.
        inactive_since: Only workflows whose newest version was saved before this time (RE02).
        statuses: Only workflows whose newest version has one of these statuses.
        dry_run: Only report what would be removed.
        batch_size: How many versions one transaction removes at most, so that other writers can write in between.
    """

    keep_last: int = 1
    inactive_since: datetime | None = None
    statuses: Sequence[str] | None = None
    dry_run: bool = False
    batch_size: int = 500


@attrs.frozen(kw_only=True)
class PrunedRange:
    """The versions *first* to *last* of a workflow, both included."""

    workflow_id: str
    first: int
    last: int


@attrs.frozen(kw_only=True)
class KeptHash:
    """The hash to store beside the idempotency key of a version: 32 bytes, or None."""

    workflow_id: str
    version: int
    content_hash: bytes | None


@attrs.frozen(kw_only=True)
class RehashRequest:
    """Replace the stored hashes by these. Versions that have no key, or do not exist, are left out."""

    hashes: Sequence[KeptHash]


def in_batches(ranges: Iterable[PrunedRange], size: int) -> Iterator[list[PrunedRange]]:
    """Cut ranges into lists of at most *size* versions, oldest versions first, so that histories stay contiguous.

    A driver removes each list in one transaction.
    """
    batch: list[PrunedRange] = []
    room = size
    for pruned in ranges:
        first = pruned.first
        while first <= pruned.last:
            last = min(pruned.last, first + room - 1)
            batch.append(PrunedRange(workflow_id=pruned.workflow_id, first=first, last=last))
            room -= last - first + 1
            first = last + 1
            if room == 0:
                yield batch
                batch, room = [], size
    if batch:
        yield batch


@attrs.frozen(kw_only=True)
class PruneResult:
    """The versions that were removed, or would be: by workflow id, oldest first."""

    ranges: Sequence[PrunedRange]

    @property
    def count(self) -> int:
        """How many versions the ranges hold."""
        return sum(pruned.last - pruned.first + 1 for pruned in self.ranges)


@attrs.frozen(kw_only=True)
class Damage:
    """One thing that is wrong in a store. *version* is None if it concerns a whole workflow or the storage itself."""

    workflow_id: str | None
    version: int | None
    problem: str


@attrs.frozen(kw_only=True)
class ExportResult:
    """What an export did: how many versions and tombstones it wrote, and which are *missing* because of damage."""

    count: int
    missing: Sequence[Damage] = ()


@attrs.frozen(kw_only=True)
class ImportResult:
    """What an import did: how many versions and tombstones it wrote, and how many the store held already.

    Attributes:
        is_checked: Whether the export could be checked to be whole. Exports of older code have no last line for it.
    """

    written: int
    present: int
    is_checked: bool = True


@attrs.frozen(kw_only=True)
class VerifyReport:
    """The result of a check of every stored row."""

    checked_versions: int
    damages: Sequence[Damage]

    @property
    def is_sound(self) -> bool:
        """Whether the check found no damage."""
        return not self.damages


@attrs.frozen(kw_only=True)
class RepairRequest:
    """Mend states that no verb produces, as far as the stored data allows (CR07).

    Attributes:
        dry_run: Only report what would be done.
    """

    dry_run: bool = False


@attrs.frozen(kw_only=True)
class RepairStep:
    """One thing that a repair does. *workflow_id* is None if it concerns the storage itself."""

    workflow_id: str | None
    version: int | None
    action: str


@attrs.frozen(kw_only=True)
class RepairResult:
    """What a repair did, or would do."""

    steps: Sequence[RepairStep]


class Examination:
    """Collects what a driver's `verify` finds, so that the reports of all drivers use the same words."""

    def __init__(self) -> None:
        self._damages: list[Damage] = []
        self._differing_heads: set[tuple[str, int | None]] = set()
        self._checked_versions = 0
        self._last_saved: tuple[str | None, datetime | None] = None, None

    def storage(self, problem: str) -> None:
        """Report damage of the storage itself, in the engine's own words."""
        self._damages.append(Damage(workflow_id=None, version=None, problem=problem))

    def version(
        self,
        workflow_id: str,
        version: int,
        read: Callable[[], bytes],
        *,
        is_encoded: bool,
        head_document: bytes | None = None,
    ) -> None:
        """Check one stored version.

        Args:
            workflow_id: The workflow of the version.
            version: Its number.
            read: Reads the whole row and returns the document. Raises CorruptDocumentError if the row cannot be read.
            is_encoded: Whether the store's codec encoded the document. Then only the facade can read it.
            head_document: For the newest version the document of the head; None for any other version.
        """
        self._checked_versions += 1
        try:
            document = read()
        except CorruptDocumentError as error:
            self._damages.append(Damage(workflow_id=workflow_id, version=version, problem=error.problem))
            return
        if not is_encoded and not _is_json(document):
            self._damages.append(Damage(workflow_id=workflow_id, version=version, problem="the document is not JSON"))
        if head_document is not None and head_document != document:
            self._differing_heads.add((workflow_id, version))

    def head_differs(self, workflow_id: str, version: int | None) -> None:
        """Report that a head differs from its newest version, of this number; None if there is no version."""
        self._differing_heads.add((workflow_id, version))

    def damage(self, workflow_id: str | None, version: int | None, problem: str) -> None:
        """Report any other damage."""
        self._damages.append(Damage(workflow_id=workflow_id, version=version, problem=problem))

    def saved(self, workflow_id: str, version: int, saved_at: datetime) -> None:
        """Check that `saved_at` never decreases; call this for each version in the order of the numbers (TI02)."""
        last_id, last = self._last_saved
        if last_id == workflow_id and last is not None and saved_at < last:
            self.damage(workflow_id, version, "it says that it was saved before the version before it")
        self._last_saved = workflow_id, saved_at

    def without_head(self, workflow_id: str) -> None:
        """Report a workflow that has versions, but no head."""
        problem = "has versions but no current state"
        self._damages.append(Damage(workflow_id=workflow_id, version=None, problem=problem))

    def gap(self, workflow_id: str, newest: int) -> None:
        """Report that versions between a workflow's oldest and newest one are missing."""
        problem = "a version in the middle of the history is missing"
        self._damages.append(Damage(workflow_id=workflow_id, version=newest, problem=problem))

    def report(self) -> VerifyReport:
        """Return the report of all damage found."""
        problem = "the current state is not that of the newest version"
        differing = [
            Damage(workflow_id=workflow_id, version=version, problem=problem)
            for workflow_id, version in sorted(self._differing_heads, key=repr)
        ]
        return VerifyReport(checked_versions=self._checked_versions, damages=(*self._damages, *differing))


def _is_json(document: bytes) -> bool:
    try:
        orjson.loads(document)
    except ValueError:
        return False
    return True


@attrs.frozen(kw_only=True)
class BackupRequest:
    """Copy the live store to a new file at *target*, which must not exist (MO02)."""

    target: Path
