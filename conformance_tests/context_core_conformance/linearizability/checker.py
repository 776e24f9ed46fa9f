"""Does a recorded history have an order? A proof or a counterexample, in O(n log n).

**What is asked.** A history linearizes if its calls can be put into one order that keeps real time (a call that had
returned before another began comes first) and in which each call gives what it gave. To find such an order is hard in
general. Here it is not, since versions tell the order of the writes of each workflow: 1, 2, 3, with each delete behind
the version that it took away (`ordering` finds where). A read tells between which two writes it stands.

**Axes.** So each call occupies a span on several axes: the time between its beginning and its end on the clock, and a
span of positions on each workflow that it touched. On every axis, a call whose span ends before another's begins must come
first, and that is all that is asked of an order:

- An order that explains the history keeps each of these precedences: those of the clock by definition, those of a
  workflow because its writes come by number and each read between its two writes.
- An order that keeps them all explains the history: the writes of each workflow come by number, each read stands
  between its two writes and so gives what it gave, no batch is split (its span covers its writes, and `ordering` refuses
  what stands within), and real time is kept.

So a history has an order exactly if the precedences have no cycle. The checker makes the order, always taking a call
that nothing left must precede: on every axis, one that begins no later than the first end among those left. On each
axis two sorted lists and two pointers find those, so the whole costs the sorting. Where nothing can be taken, the call
that ends first on an axis stands in the way of some other such call, and so on in a cycle of at most as many calls as
there are axes, from which a breadth-first search finds the shortest cycle.

**Deletes.** A read that finds nothing says only that it stands in one of the gaps between a delete and the next save.
Real time on its workflow bounds which. First each such read is put into the first gap that is left to it. If an order is
found, it explains the history. If none is, a workflow by itself has none: of reads that real time orders the later has no
lower first gap, and against all other calls the bounds were taken, so the first gaps do if any do. Only where batches
tie workflows together may a later gap be the right one. So the span is then stretched from the first to the last gap,
and a history is refused only if that has no order either. Thus no right history is refused, and a wrong one can only
slip through where nothing but the other workflows of a batch tells two gaps apart.

**Unknown outcomes.** A call that was interrupted may have been done or not. It was done if somebody saw what it wrote,
or if a number that nobody else was given can be explained by it; else it is left out. Where several explanations are
left, one after the other is tried, up to a limit beyond which nothing is said. It has no end, so it may have
been done at any time after it began. What was refused has written nothing, and is held to what it told.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from context_core_conformance.linearizability.anomalies import Anomaly, NotLinearizableError
from context_core_conformance.linearizability.histories import EVER, Call, History
from context_core_conformance.linearizability.inference import Guess, UndecidedError, spare_deletes
from context_core_conformance.linearizability.ordering import CLOCK, PositionedCall, position

MOST_TRIES: Final = 300
"""How many ways to explain interrupted calls are tried. Each has to explain itself to nobody but the reads."""

Position: TypeAlias = float
Span: TypeAlias = tuple[Position, Position, PositionedCall]
Cycle: TypeAlias = list[tuple[PositionedCall, str]]
"""Calls each of which must precede the next, the last the first, with the axis that says so."""


def linearize(history: History) -> list[Call] | None:
    """Return the calls in an order that explains the history, those left out that had no effect.

    None tells that interrupted calls may be explained in more ways than are tried, and none of those tried would do: a
    history is refused only where it is proved to have no order.

    Raises:
        NotLinearizableError: There is none; the error shows the shortest part that proves it.
        ValueError: A delete does not tell which version it took away, so that nothing can be said.
    """
    try:
        return _linearize(history, (), itertools.count())
    except _TooManyWaysError:
        return None


class _TooManyWaysError(Exception):
    """There is more to try than is tried."""


def _linearize(history: History, guesses: tuple[Guess, ...], tries: Iterator[int]) -> list[Call]:
    try:
        return _order(position(history, guesses, is_wide=False))
    except UndecidedError as undecided:
        return _linearize_with_one_of(undecided.guesses, history, guesses, tries)
    except NotLinearizableError:
        try:
            return _order(position(history, guesses, is_wide=True))
        except NotLinearizableError as error:
            return _linearize_with_one_of(spare_deletes(history, guesses), history, guesses, tries, error)


def _linearize_with_one_of(
    choices: Iterable[Guess],
    history: History,
    guesses: tuple[Guess, ...],
    tries: Iterator[int],
    failure: NotLinearizableError | None = None,
) -> list[Call]:
    """Try one guess after the other; raise *failure*, or that of the first guess, where none of them helps."""
    for guess in choices:
        if next(tries) > MOST_TRIES:
            raise _TooManyWaysError
        try:
            return _linearize(history, (*guesses, guess), tries)
        except NotLinearizableError as error:
            failure = failure or error
    raise failure or NotLinearizableError(Anomaly.TORN, history)


def _order(positioned: list[PositionedCall]) -> list[Call]:
    order = _ordered(positioned)
    if len(order) < len(positioned):
        raise _contradiction(_axes(set(positioned) - set(order)))
    return [each.call for each in order]


class Axis:
    """The spans of calls on one axis, and which calls nothing on it holds back."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self.by_end = sorted(spans, key=lambda span: span[1])
        self.by_begin = sorted(self.by_end, key=lambda span: span[0])
        self._ended = self._begun = 0

    def freed(self, taken: set[PositionedCall]) -> Iterator[PositionedCall]:
        """The calls that nothing on this axis holds back any more, each once, after *taken* were taken."""
        while self._ended < len(self.by_end) and self.by_end[self._ended][2] in taken:
            self._ended += 1
        first_end = self.by_end[self._ended][1] if self._ended < len(self.by_end) else EVER
        while self._begun < len(self.by_begin) and self.by_begin[self._begun][0] <= first_end:
            yield self.by_begin[self._begun][2]
            self._begun += 1


def _axes(positioned: Iterable[PositionedCall]) -> dict[str, Axis]:
    spans: dict[str, list[Span]] = {}
    for each in positioned:
        spans.setdefault(CLOCK, []).append((each.call.began_ns, each.call.ended_ns, each))
        for workflow_id, (begin, end) in each.spans.items():
            spans.setdefault(workflow_id, []).append((begin, end, each))
    return {name: Axis(each) for name, each in spans.items()}


def _ordered(positioned: Sequence[PositionedCall]) -> list[PositionedCall]:
    """As many calls as can be put into an order."""
    axes = _axes(positioned)
    held_by = {each: 1 + len(each.spans) for each in positioned}
    ready: list[tuple[bool, int, PositionedCall]] = []
    order: list[PositionedCall] = []
    taken: set[PositionedCall] = set()

    def look_at(names: Iterable[str]) -> None:
        for name in names:
            for each in axes[name].freed(taken):
                held_by[each] -= 1
                if not held_by[each]:
                    # Reads come first, while what they saw still stands.
                    heapq.heappush(ready, (each.writes, each.number, each))

    look_at(axes)
    while ready:
        *_, each = heapq.heappop(ready)
        order.append(each)
        taken.add(each)
        look_at((CLOCK, *each.spans))
    return order


def _contradiction(axes: dict[str, Axis]) -> NotLinearizableError:
    """The shortest cycle through the calls that end first on their axes: those are in each other's way."""
    heads = dict.fromkeys(axis.by_end[0][2] for axis in axes.values())
    cycles = [cycle for head in heads if (cycle := _shortest_cycle(axes, head)) is not None]
    cycle = min(cycles, key=len)
    reasons = [
        _reason(each, axis, following)
        for (each, axis), (following, _) in zip(cycle, cycle[1:] + cycle[:1], strict=True)
    ]
    calls = sorted((each.call for each, _ in cycle), key=lambda call: (call.began_ns, call.ended_ns))
    return NotLinearizableError(_anomaly(cycle), calls, reasons)


def _shortest_cycle(axes: dict[str, Axis], start: PositionedCall) -> Cycle | None:
    """Breadth first along the precedences: on each axis, all that begins behind the end of a call, each looked at once."""
    unseen = {name: deque(axis.by_begin) for name, axis in axes.items()}
    came_from: dict[PositionedCall, tuple[PositionedCall, str]] = {}
    queue = deque([start])
    while queue:
        each = queue.popleft()
        for name, end in each.ends():
            behind = unseen[name]
            while behind and behind[-1][0] > end:
                following = behind.pop()[2]
                if following in came_from:
                    continue
                came_from[following] = (each, name)
                if following is start:
                    return _way_back(came_from, start)
                queue.append(following)
    return None


def _way_back(came_from: dict[PositionedCall, tuple[PositionedCall, str]], start: PositionedCall) -> Cycle:
    cycle = [came_from[start]]
    while cycle[-1][0] is not start:
        cycle.append(came_from[cycle[-1][0]])
    return cycle[::-1]


def _reason(each: PositionedCall, axis: str, following: PositionedCall) -> str:
    if axis == CLOCK:
        return f"{each.call.who} had its answer ({each.call.got}) before {following.call.who} began"
    return f"{each.call.who} stands before {following.call.who} in the history of {axis}: {each.call.got}, then {following.call.got}"


def _anomaly(cycle: Cycle) -> Anomaly:
    """Name a cycle of two calls on the clock and one workflow; there is no name for larger ones."""
    if len(cycle) != 2 or CLOCK not in {axis for _, axis in cycle}:
        return Anomaly.TORN
    # The one ended before the other began, though the workflow has them the other way round.
    (early, _), (late, _) = cycle if cycle[0][1] == CLOCK else cycle[::-1]
    if early.writes and late.writes:
        return Anomaly.BELOW_EARLIER
    if not early.writes and late.writes:
        return Anomaly.TIME_TRAVEL
    return Anomaly.STALE if early.writes else Anomaly.WENT_BACK
