"""Where each call of a history stands on the axes of the workflows that it touched.

The places of a workflow follow each other: before its first save; and for each version the save that made it, the time
that it stood, the delete that took it away, and the time that nothing was there. A write occupies its place; a read all
places at which it would have given what it gave.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Final

import attrs

from context_core_conformance.linearizability.anomalies import NotLinearizableError, Offence
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
from context_core_conformance.linearizability.inference import Guess, Settled, Track, UndecidedError, first_on, settle

Span = tuple[float, float]

CLOCK: Final = ""
"""The axis of real time; the others have the names of workflows, which are never empty."""


def saving(version: int) -> int:
    """The place of the save that makes *version*."""
    return 4 * version


def standing(version: int) -> int:
    """The place at which *version* is the head."""
    return 4 * version + 1


def deleting(version: int) -> int:
    """The place of the delete that takes *version* and all before it away."""
    return 4 * version + 2


def gone(version: int) -> int:
    """The place at which nothing is there, behind *version* or before the first."""
    return 4 * version + 3


@attrs.define(eq=False)
class Placed:
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
            raise NotLinearizableError(Offence.TORN, [self.call])


def place(history: History, guesses: Iterable[Guess] = (), *, is_wide: bool) -> list[Placed]:
    """Give each call that took place its spans, taking *guesses* about interrupted calls for true.

    A read that found nothing may have several gaps to stand in. It is put into the first or, where *is_wide*, gets a
    span from the first to the last.

    Raises:
        NotLinearizableError: Some of it is impossible in any order.
        UndecidedError: More has to be guessed.
        ValueError: A delete does not tell what it deleted, or a label was used twice.
    """
    placing = _Placing(history, settle(history, guesses))
    placing.place_what_found_nothing(is_wide=is_wide)
    return placing.placed


class _Placing:
    def __init__(self, history: History, settled: Settled) -> None:
        self.placed: list[Placed] = []
        self._history = history
        self._settled = settled
        self._found_nothing: list[tuple[Placed, Loading]] = []
        self._batches: defaultdict[str, list[tuple[int, int, Call]]] = defaultdict(list)
        self._place_writes()
        self._place_reads()

    def place_what_found_nothing(self, *, is_wide: bool) -> None:
        """Place each read that found nothing into the gaps that real time leaves to it."""
        by_workflow: defaultdict[str, list[Placed]] = defaultdict(list)
        for placed in self.placed:
            for workflow_id in placed.spans:
                by_workflow[workflow_id].append(placed)
        names = {wanted.workflow_id for _, wanted in self._found_nothing}
        bounds = {name: _Bounds(name, by_workflow[name]) for name in names}
        gaps = {name: self._gaps(name) for name in names}
        for placed, wanted in self._found_nothing:
            low, high = bounds[wanted.workflow_id].of(placed.call)
            spans = gaps[wanted.workflow_id] if wanted.version is None else self._spans_without(wanted)
            first = bisect_left(spans, low[0], key=lambda span: span[1])
            last = bisect_right(spans, high[0], key=lambda span: span[0]) - 1
            if first <= last:
                placed.narrow(wanted.workflow_id, (spans[first][0], spans[last if is_wide else first][1]))
                continue
            guesses = self._open_deletes(wanted, low[0], high[0])
            if guesses:
                raise UndecidedError(guesses)
            around = [call for _, call in (low, high) if call is not None]
            raise NotLinearizableError(Offence.NOT_THERE, [*around, placed.call])

    def _place_writes(self) -> None:
        for number, call in enumerate(self._history):
            numbers = self._settled.numbers.get(id(call), {})
            placed = Placed(call, number, writes=bool(numbers))
            for at, version in numbers.items():
                item = call.items[at]
                if not isinstance(item, Saving | Deleting):
                    continue
                place = saving(version) if isinstance(item, Saving) else deleting(version)
                begin, end = placed.spans.get(item.workflow_id, (place, place))
                placed.spans[item.workflow_id] = min(begin, place), max(end, place)
            if numbers or call.outcome is not Outcome.UNKNOWN:
                self.placed.append(placed)
        self._keep_batches_whole()

    def _keep_batches_whole(self) -> None:
        """Refuse a write between two of one batch."""
        spans: defaultdict[str, list[tuple[float, float, int, Call]]] = defaultdict(list)
        for placed in self.placed:
            for workflow_id, (begin, end) in placed.spans.items():
                spans[workflow_id].append((begin, end, placed.number, placed.call))
        for workflow_id, found in spans.items():
            found.sort()
            for (_, end, _, call), (begin, _, _, other) in pairwise(found):
                if begin < end:
                    raise NotLinearizableError(Offence.INSIDE_BATCH, [call, other])
            self._batches[workflow_id] = [(int(begin), int(end), call) for begin, end, _, call in found if begin < end]

    def _place_reads(self) -> None:
        prunes = [
            call
            for call in self._history
            for item in call.items
            if isinstance(item, Pruning) and call.outcome is not Outcome.REFUSED
        ]
        first_prune_ns = min((call.began_ns for call in prunes), default=EVER)
        for placed in self.placed:
            call, is_pruned = placed.call, placed.call.ended_ns > first_prune_ns
            if call.stood_at is not None:
                self._place_refusal(placed, *call.stood_at)
            for item, result in zip(call.items, call.results, strict=False):
                if isinstance(item, Loading):
                    self._place_loading(placed, item, result, is_pruned=is_pruned)
                elif isinstance(item, Listing):
                    self._place_listing(placed, item, result, is_pruned=is_pruned)
                elif isinstance(item, Deleting) and result is False and item is first_on(call, item.workflow_id):
                    self._place_nothing_deleted(placed, item)

    def _place_nothing_deleted(self, placed: Placed, item: Deleting) -> None:
        workflow_id = item.workflow_id
        if item.expected:
            raise NotLinearizableError(Offence.NOT_THERE, [placed.call])
        if workflow_id not in placed.spans:
            self._found_nothing.append((placed, Loading(workflow_id)))
            return
        # A save of the same batch follows it.
        track, version = self._settled.tracks[workflow_id], int(placed.spans[workflow_id][0]) // 4 - 1
        if not track.is_gone_after(version):
            raise NotLinearizableError(Offence.NOT_THERE, [track.saves[version].call, placed.call])

    def _place_refusal(self, placed: Placed, workflow_id: str, head: int) -> None:
        about = [
            item
            for item in placed.call.items
            if isinstance(item, Saving | Deleting) and item.workflow_id == workflow_id
        ]
        if len(about) == 1 and about[0].expected == head:
            raise NotLinearizableError(Offence.FALSE_CONFLICT, [placed.call])
        if len(about) > 1:
            return  # it may tell what stood in the middle of its own batch
        self._place_head(placed, workflow_id, head)

    def _place_loading(self, placed: Placed, item: Loading, result: Result, *, is_pruned: bool) -> None:
        if item.version is None:
            self._place_head(placed, item.workflow_id, result.version if isinstance(result, Seen) else 0)
            return
        if isinstance(result, Seen):
            if result.version != item.version:
                raise NotLinearizableError(Offence.OTHER_CONTENT, [placed.call])
            end = self._settled.tracks[item.workflow_id].end_of(item.version)
            last = EVER if end is None else standing(end)
            self._narrow(placed, item.workflow_id, (standing(item.version), last))
        elif not is_pruned:
            self._found_nothing.append((placed, item))

    def _place_listing(self, placed: Placed, item: Listing, result: Result, *, is_pruned: bool) -> None:
        listed = result if isinstance(result, tuple) else ()
        if not listed:
            self._place_head(placed, item.workflow_id, 0)
            return
        versions = [seen.version for seen in listed]
        if versions != list(range(versions[0], versions[0] + len(versions))):
            raise NotLinearizableError(Offence.GAP, [placed.call])
        track = self._settled.tracks[item.workflow_id]
        first = track.first_with(versions[-1])
        if versions[0] < first:
            raise NotLinearizableError(Offence.RESURRECTED, [track.deletes[first - 1], placed.call])
        if versions[0] > first and not is_pruned:
            raise NotLinearizableError(Offence.CUT, [track.saves[first].call, placed.call])
        self._place_head(placed, item.workflow_id, versions[-1])

    def _place_head(self, placed: Placed, workflow_id: str, head: int) -> None:
        if head:
            self._narrow(placed, workflow_id, (standing(head), standing(head)))
        else:
            self._found_nothing.append((placed, Loading(workflow_id)))

    def _narrow(self, placed: Placed, workflow_id: str, span: Span) -> None:
        """Place a read, outside of every batch."""
        begin, end = self._outside_of_batches(workflow_id, span)
        if begin > end:
            around = (self._batch_around(workflow_id, place) for place in span)
            raise NotLinearizableError(Offence.INSIDE_BATCH, [*(batch[2] for batch in around if batch), placed.call])
        placed.narrow(workflow_id, (begin, end))

    def _outside_of_batches(self, workflow_id: str, span: Span) -> Span:
        """What somebody can see of a span: nothing of what lies in the middle of a batch."""
        around_begin, around_end = (self._batch_around(workflow_id, place) for place in span)
        begin = span[0] if around_begin is None else around_begin[1] + 1
        end = span[1] if around_end is None else around_end[0] - 1
        return begin, end

    def _batch_around(self, workflow_id: str, place: float) -> tuple[int, int, Call] | None:
        """The batch in the middle of which a place lies."""
        batches = self._batches[workflow_id]
        at = bisect_left(batches, place, key=lambda batch: batch[0]) - 1
        return batches[at] if at >= 0 and batches[at][0] < place < batches[at][1] else None

    def _gaps(self, workflow_id: str) -> list[Span]:
        """Where nothing is there, and somebody can see it."""
        ends = self._settled.tracks[workflow_id].ends if workflow_id in self._settled.tracks else []
        places = [gone(version) for version in (0, *ends)]
        return [(place, place) for place in places if self._batch_around(workflow_id, place) is None]

    def _spans_without(self, wanted: Loading) -> list[Span]:
        """Where one version is not there yet, or no more."""
        version, track = wanted.version or 0, self._settled.tracks.get(wanted.workflow_id, Track())
        end = track.end_of(version)
        spans: list[Span] = [(-EVER, saving(version) - 1), *([] if end is None else [(gone(end), EVER)])]
        seen = [self._outside_of_batches(wanted.workflow_id, span) for span in spans]
        return [span for span in seen if span[0] <= span[1]]

    def _open_deletes(self, wanted: Loading, low: float, high: float) -> list[Guess]:
        """The interrupted deletes that may have made a gap there."""
        return [
            Guess(call, at, item.expected)
            for call in self._history
            for at, item in enumerate(call.items)
            if call.outcome is Outcome.UNKNOWN
            and id(call) not in self._settled.numbers
            and isinstance(item, Deleting)
            and item.workflow_id == wanted.workflow_id
            and item.expected
            and (low <= gone(item.expected) if wanted.version is None else item.expected >= wanted.version)
            and gone(item.expected) <= high
        ]


class _Bounds:
    """How far real time holds a call on one workflow's axis."""

    def __init__(self, workflow_id: str, placed: Sequence[Placed]) -> None:
        ended = sorted(placed, key=lambda each: each.call.ended_ns)
        self._ends = [each.call.ended_ns for each in ended]
        self._lows = list(accumulate(((each.spans[workflow_id][0], each.call) for each in ended), _higher))
        began = sorted(placed, key=lambda each: each.call.began_ns, reverse=True)
        self._begins = [each.call.began_ns for each in reversed(began)]
        self._highs = list(accumulate(((each.spans[workflow_id][1], each.call) for each in began), _lower))[::-1]

    def of(self, call: Call) -> tuple[tuple[float, Call | None], tuple[float, Call | None]]:
        """The lowest and the highest place for *call*, each with the call that it is owed to."""
        before, after = bisect_left(self._ends, call.began_ns), bisect_right(self._begins, call.ended_ns)
        low = self._lows[before - 1] if before else (-EVER, None)
        high = self._highs[after] if after < len(self._highs) else (EVER, None)
        return low, high


def _higher(one: tuple[float, Call], other: tuple[float, Call]) -> tuple[float, Call]:
    return max(one, other, key=lambda each: each[0])


def _lower(one: tuple[float, Call], other: tuple[float, Call]) -> tuple[float, Call]:
    return min(one, other, key=lambda each: each[0])
