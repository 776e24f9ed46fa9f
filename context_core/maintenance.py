"""Requests and results of the capability verbs: prune, verify, backup."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import attrs


@attrs.frozen(kw_only=True)
class PruneRequest:
    """Remove old versions, never a head (RE01).

    A workflow is looked at if it meets *statuses* and *inactive_since*; of each such workflow all versions but the
    newest *keep_last* go. What stays is contiguous.

    Attributes:
        keep_last: How many versions of a workflow stay; at least 1.
        inactive_since: Only workflows whose newest version was saved before this time (RE02).
        statuses: Only workflows whose newest version has one of these.
        dry_run: Only tell what would go.
        batch_size: How many versions one transaction removes at most, so that writers get their turn.
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


def in_batches(ranges: Iterable[PrunedRange], size: int) -> Iterator[list[PrunedRange]]:
    """Cut ranges into lists of at most *size* versions, oldest versions first, so that histories stay contiguous.

    For drivers, which remove a list in one transaction.
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
    """What went, or would go: by workflow id, oldest first."""

    ranges: Sequence[PrunedRange]

    @property
    def count(self) -> int:
        """How many versions that are."""
        return sum(pruned.last - pruned.first + 1 for pruned in self.ranges)


@attrs.frozen(kw_only=True)
class Damage:
    """One thing that is wrong in a store. *version* is None where a whole workflow or the storage itself is meant."""

    workflow_id: str | None
    version: int | None
    problem: str


@attrs.frozen(kw_only=True)
class VerifyReport:
    """What a check of every stored row found."""

    checked_versions: int
    damages: Sequence[Damage]

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.damages


@attrs.frozen(kw_only=True)
class BackupRequest:
    """Copy the live store to a new file at *target*, which must not exist (MO02)."""

    target: Path
