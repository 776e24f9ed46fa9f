"""Where each call of a history stands on the axes of the workflows that it touched.

The positions of a workflow follow each other: before its first save; and for each version the save that made it, the time
that it stood, the delete that took it away, and the time that nothing was there. A write occupies its position; a read all
positions at which it would have given what it gave.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Final

import attrs

from context_core_conformance.linearizability.anomalies import Anomaly, NotLinearizableError
from context_core_conformance.linearizability.histories import (
    EVER,
    Call,
    Deleting,
    History,
    Listing,
    Loading,
    Outcome,
    Pruning,
    Result,
    Saving,
    Seen,
)
from context_core_conformance.linearizability.inference import Guess, Inferred, Track, UndecidedError, first_on, infer

Span = tuple[float, float]

CLOCK: Final = ""
"""The axis of real time; the others have the names of workflows, which are never empty."""


def saving(version: int) -> int:
    """The position of the save that makes *version*."""
    return 4 * version


def as_head(version: int) -> int:
    """The position at which *version* is the head."""
    return 4 * version + 1


def deleting(version: int) -> int:
    """The position of the delete that takes *version* and all before it away."""
    return 4 * version + 2


def absent(version: int) -> int:
    """The position at which nothing is there, behind *version* or before the first."""
    return 4 * version + 3


@attrs.define(eq=False)
class PositionedCall:
    """A call that took place, and its span on each axis of a workflow, both ends included."""

    call: Call
    number: int
    writes: bool
    spans: dict[str, Span] = attrs.field(factory=dict)

    def ends(self) -> Iterator[tuple[str, float]]:
        """The end of its span on every axis."""
        yield CLOCK, self.call.ended_ns
        for workflow_id, (_, end) in self.spans.items():
            yield workflow_id, end

    def narrow(self, workflow_id: str, span: Span) -> None:
        """Hold it to *span*, besides what it is held to already."""
        begin, end = self.spans.get(workflow_id, span)
        self.spans[workflow_id] = begin, end = max(begin, span[0]), min(end, span[1])
        if begin > end:
            raise NotLinearizableError(Anomaly.TORN, [self.call])


def position(history: History, guesses: Iterable[Guess] = (), *, is_wide: bool) -> list[PositionedCall]:
    """Give each call that took place its spans, taking *guesses* about interrupted calls for true.

    A read that found nothing may have several gaps to stand in. It is put into the first or, where *is_wide*, gets a
    span from the first to the last.

    Raises:
        NotLinearizableError: Some of it is impossible in any order.
        UndecidedError: More has to be guessed.
        ValueError: A delete does not tell what it deleted, or a label was used twice.
    """
    ordering = _Ordering(history, infer(history, guesses))
    ordering.position_reads_of_nothing(is_wide=is_wide)
    return ordering.positioned


class _Ordering:
    def __init__(self, history: History, inferred: Inferred) -> None:
        self.positioned: list[PositionedCall] = []
        self._history = history
        self._inferred = inferred
        self._found_nothing: list[tuple[PositionedCall, Loading]] = []
        self._batches: defaultdict[str, list[tuple[int, int, Call]]] = defaultdict(list)
        self._position_writes()
        self._position_reads()

    def position_reads_of_nothing(self, *, is_wide: bool) -> None:
        """Position each read that found nothing into the gaps that real time leaves to it."""
        by_workflow: defaultdict[str, list[PositionedCall]] = defaultdict(list)
        for positioned in self.positioned:
            for workflow_id in positioned.spans:
                by_workflow[workflow_id].append(positioned)
        names = {wanted.workflow_id for _, wanted in self._found_nothing}
        bounds = {name: _Bounds(name, by_workflow[name]) for name in names}
        gaps = {name: self._gaps(name) for name in names}
        for positioned, wanted in self._found_nothing:
            low, high = bounds[wanted.workflow_id].of(positioned.call)
            spans = gaps[wanted.workflow_id] if wanted.version is None else self._spans_without(wanted)
            first = bisect_left(spans, low[0], key=lambda span: span[1])
            last = bisect_right(spans, high[0], key=lambda span: span[0]) - 1
            if first <= last:
                positioned.narrow(wanted.workflow_id, (spans[first][0], spans[last if is_wide else first][1]))
                continue
            guesses = self._open_deletes(wanted, low[0], high[0])
            if guesses:
                raise UndecidedError(guesses)
            around = [call for _, call in (low, high) if call is not None]
            raise NotLinearizableError(Anomaly.NOT_THERE, [*around, positioned.call])

    def _position_writes(self) -> None:
        for number, call in enumerate(self._history):
            numbers = self._inferred.numbers.get(id(call), {})
            positioned = PositionedCall(call, number, writes=bool(numbers))
            for at, version in numbers.items():
                item = call.items[at]
                if not isinstance(item, Saving | Deleting):
                    continue
                position = saving(version) if isinstance(item, Saving) else deleting(version)
                begin, end = positioned.spans.get(item.workflow_id, (position, position))
                positioned.spans[item.workflow_id] = min(begin, position), max(end, position)
            if numbers or call.outcome is not Outcome.UNKNOWN:
                self.positioned.append(positioned)
        self._keep_batches_whole()

    def _keep_batches_whole(self) -> None:
        """Refuse a write between two of one batch."""
        spans: defaultdict[str, list[tuple[float, float, int, Call]]] = defaultdict(list)
        for positioned in self.positioned:
            for workflow_id, (begin, end) in positioned.spans.items():
                spans[workflow_id].append((begin, end, positioned.number, positioned.call))
        for workflow_id, found in spans.items():
            found.sort()
            for (_, end, _, call), (begin, _, _, other) in pairwise(found):
                if begin < end:
                    raise NotLinearizableError(Anomaly.INSIDE_BATCH, [call, other])
            self._batches[workflow_id] = [(int(begin), int(end), call) for begin, end, _, call in found if begin < end]

    def _position_reads(self) -> None:
        prunes = [
            call
            for call in self._history
            for item in call.items
            if isinstance(item, Pruning) and call.outcome is not Outcome.REFUSED
        ]
        first_prune_ns = min((call.began_ns for call in prunes), default=EVER)
        for positioned in self.positioned:
            call, is_pruned = positioned.call, positioned.call.ended_ns > first_prune_ns
            if call.stood_at is not None:
                self._position_refusal(positioned, *call.stood_at)
            for item, result in zip(call.items, call.results, strict=False):
                if isinstance(item, Loading):
                    self._position_loading(positioned, item, result, is_pruned=is_pruned)
                elif isinstance(item, Listing):
                    self._position_listing(positioned, item, result, is_pruned=is_pruned)
                elif isinstance(item, Deleting) and result is False and item is first_on(call, item.workflow_id):
                    self._position_nothing_deleted(positioned, item)

    def _position_nothing_deleted(self, positioned: PositionedCall, item: Deleting) -> None:
        workflow_id = item.workflow_id
        if item.expected:
            raise NotLinearizableError(Anomaly.NOT_THERE, [positioned.call])
        if workflow_id not in positioned.spans:
            self._found_nothing.append((positioned, Loading(workflow_id)))
            return
        # A save of the same batch follows it.
        track, version = self._inferred.tracks[workflow_id], int(positioned.spans[workflow_id][0]) // 4 - 1
        if not track.is_gone_after(version):
            raise NotLinearizableError(Anomaly.NOT_THERE, [track.saves[version].call, positioned.call])

    def _position_refusal(self, positioned: PositionedCall, workflow_id: str, head: int) -> None:
        about = [
            item
            for item in positioned.call.items
            if isinstance(item, Saving | Deleting) and item.workflow_id == workflow_id
        ]
        if len(about) == 1 and about[0].expected == head:
            raise NotLinearizableError(Anomaly.FALSE_CONFLICT, [positioned.call])
        if len(about) > 1:
            return  # it may tell what stood in the middle of its own batch
        self._position_head(positioned, workflow_id, head)

    def _position_loading(self, positioned: PositionedCall, item: Loading, result: Result, *, is_pruned: bool) -> None:
        if item.version is None:
            self._position_head(positioned, item.workflow_id, result.version if isinstance(result, Seen) else 0)
            return
        if isinstance(result, Seen):
            if result.version != item.version:
                raise NotLinearizableError(Anomaly.OTHER_CONTENT, [positioned.call])
            end = self._inferred.tracks[item.workflow_id].end_of(item.version)
            last = EVER if end is None else as_head(end)
            self._narrow(positioned, item.workflow_id, (as_head(item.version), last))
        elif not is_pruned:
            self._found_nothing.append((positioned, item))

    def _position_listing(self, positioned: PositionedCall, item: Listing, result: Result, *, is_pruned: bool) -> None:
        listed = result if isinstance(result, tuple) else ()
        if not listed:
            self._position_head(positioned, item.workflow_id, 0)
            return
        versions = [seen.version for seen in listed]
        if versions != list(range(versions[0], versions[0] + len(versions))):
            raise NotLinearizableError(Anomaly.GAP, [positioned.call])
        track = self._inferred.tracks[item.workflow_id]
        first = track.first_with(versions[-1])
        if versions[0] < first:
            raise NotLinearizableError(Anomaly.RESURRECTED, [track.deletes[first - 1], positioned.call])
        if versions[0] > first and not is_pruned:
            raise NotLinearizableError(Anomaly.CUT, [track.saves[first].call, positioned.call])
        self._position_head(positioned, item.workflow_id, versions[-1])

    def _position_head(self, positioned: PositionedCall, workflow_id: str, head: int) -> None:
        if head:
            self._narrow(positioned, workflow_id, (as_head(head), as_head(head)))
        else:
            self._found_nothing.append((positioned, Loading(workflow_id)))

    def _narrow(self, positioned: PositionedCall, workflow_id: str, span: Span) -> None:
        """Position a read, outside of every batch."""
        begin, end = self._outside_of_batches(workflow_id, span)
        if begin > end:
            around = (self._batch_around(workflow_id, position) for position in span)
            raise NotLinearizableError(
                Anomaly.INSIDE_BATCH, [*(batch[2] for batch in around if batch), positioned.call]
            )
        positioned.narrow(workflow_id, (begin, end))

    def _outside_of_batches(self, workflow_id: str, span: Span) -> Span:
        """What somebody can see of a span: nothing of what lies in the middle of a batch."""
        around_begin, around_end = (self._batch_around(workflow_id, position) for position in span)
        begin = span[0] if around_begin is None else around_begin[1] + 1
        end = span[1] if around_end is None else around_end[0] - 1
        return begin, end

    def _batch_around(self, workflow_id: str, position: float) -> tuple[int, int, Call] | None:
        """The batch in the middle of which a position lies."""
        batches = self._batches[workflow_id]
        at = bisect_left(batches, position, key=lambda batch: batch[0]) - 1
        return batches[at] if at >= 0 and batches[at][0] < position < batches[at][1] else None

    def _gaps(self, workflow_id: str) -> list[Span]:
        """Where nothing is there, and somebody can see it."""
        ends = self._inferred.tracks[workflow_id].ends if workflow_id in self._inferred.tracks else []
        positions = [absent(version) for version in (0, *ends)]
        return [(position, position) for position in positions if self._batch_around(workflow_id, position) is None]

    def _spans_without(self, wanted: Loading) -> list[Span]:
        """Where one version is not there yet, or no more."""
        version, track = wanted.version or 0, self._inferred.tracks.get(wanted.workflow_id, Track())
        end = track.end_of(version)
        spans: list[Span] = [(-EVER, saving(version) - 1), *([] if end is None else [(absent(end), EVER)])]
        seen = [self._outside_of_batches(wanted.workflow_id, span) for span in spans]
        return [span for span in seen if span[0] <= span[1]]

    def _open_deletes(self, wanted: Loading, low: float, high: float) -> list[Guess]:
        """The interrupted deletes that may have made a gap there."""
        return [
            Guess(call, at, item.expected)
            for call in self._history
            for at, item in enumerate(call.items)
            if call.outcome is Outcome.UNKNOWN
            and id(call) not in self._inferred.numbers
            and isinstance(item, Deleting)
            and item.workflow_id == wanted.workflow_id
            and item.expected
            and (low <= absent(item.expected) if wanted.version is None else item.expected >= wanted.version)
            and absent(item.expected) <= high
        ]


class _Bounds:
    """How far real time holds a call on one workflow's axis."""

    def __init__(self, workflow_id: str, positioned: Sequence[PositionedCall]) -> None:
        ended = sorted(positioned, key=lambda each: each.call.ended_ns)
        self._ends = [each.call.ended_ns for each in ended]
        self._lows = list(accumulate(((each.spans[workflow_id][0], each.call) for each in ended), _higher))
        began = sorted(positioned, key=lambda each: each.call.began_ns, reverse=True)
        self._begins = [each.call.began_ns for each in reversed(began)]
        self._highs = list(accumulate(((each.spans[workflow_id][1], each.call) for each in began), _lower))[::-1]

    def of(self, call: Call) -> tuple[tuple[float, Call | None], tuple[float, Call | None]]:
        """The lowest and the highest position for *call*, each with the call that it is owed to."""
        before, after = bisect_left(self._ends, call.began_ns), bisect_right(self._begins, call.ended_ns)
        low = self._lows[before - 1] if before else (-EVER, None)
        high = self._highs[after] if after < len(self._highs) else (EVER, None)
        return low, high


def _higher(one: tuple[float, Call], other: tuple[float, Call]) -> tuple[float, Call]:
    return max(one, other, key=lambda each: each[0])


def _lower(one: tuple[float, Call], other: tuple[float, Call]) -> tuple[float, Call]:
    return min(one, other, key=lambda each: each[0])
