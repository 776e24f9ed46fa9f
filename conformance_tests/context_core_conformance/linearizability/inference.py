"""Which writes of a history took place, and which number each of them got.

What was acknowledged tells its number. What was interrupted took place if somebody read what it wrote, or if a number
would be left over without it; where several calls may explain that, `Undecided` tells which, and each is tried.
"""

import itertools
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import attrs

from context_core_conformance.linearizability.anomalies import Anomaly, NotLinearizableError
from context_core_conformance.linearizability.histories import (
    Call,
    Deleting,
    History,
    Item,
    Listing,
    Loading,
    Outcome,
    Pruning,
    Result,
    Saving,
    sightings,
)


class Written(NamedTuple):
    """A save, and the call that it was made in."""

    call: Call
    item: Saving


@attrs.frozen
class Track:
    """The writes of one workflow: saves by the version they made, deletes by the one that was the last before them."""

    saves: dict[int, Written] = attrs.field(factory=dict)
    deletes: dict[int, Call] = attrs.field(factory=dict)
    ends: list[int] = attrs.field(factory=list)
    """The keys of `deletes`, in order."""

    def delete(self, version: int, call: Call) -> None:
        """Note that *call* took *version* and all before it away."""
        self.deletes[version] = call
        insort(self.ends, version)

    def is_gone_after(self, version: int) -> bool:
        """Whether nothing was there between this version and the next."""
        return version == 0 or version in self.deletes

    def first_with(self, version: int) -> int:
        """The first version that stood together with *version*."""
        at = bisect_left(self.ends, version)
        return 1 + (self.ends[at - 1] if at else 0)

    def end_of(self, version: int) -> int | None:
        """The version after which *version* was deleted; None where it never was."""
        at = bisect_left(self.ends, version)
        return self.ends[at] if at < len(self.ends) else None


Tracks = Mapping[str, Track]
Numbers = dict[int, int]
"""By the place of an item in its call: the version of a save; of a delete, the last version before it."""


class Inferred(NamedTuple):
    """What took place: the writes of each workflow, and for each call that wrote the numbers of its items."""

    tracks: Tracks
    numbers: Mapping[int, Numbers]
    """By the `id` of a call: equal calls are not one."""


class Guess(NamedTuple):
    """That an interrupted call took place, and gave the item at this place this number."""

    call: Call
    at: int
    number: int


class UndecidedError(Exception):
    """One of the guesses must be true, and nothing tells which."""

    def __init__(self, guesses: Sequence[Guess]) -> None:
        super().__init__()
        self.guesses = guesses


def infer(history: History, guesses: Iterable[Guess] = ()) -> Inferred:
    """Number the writes that took place, taking *guesses* for true.

    Raises:
        NotLinearizableError: Two things cannot both be true.
        UndecidedError: More has to be guessed.
        ValueError: A delete does not tell what it deleted, or a label was used twice.
    """
    inference = _Inference(history)
    for call in history:
        if call.outcome is Outcome.DONE and call.writes:
            inference.put(call, {at: each for at, each in enumerate(call.results) if type(each) is int})
    inference.put_interrupted(guesses)
    inference.guess_ends()
    inference.guess_versions()
    inference.check_saves()
    return Inferred(inference.tracks, inference.numbers)


def spare_deletes(history: History, guesses: Iterable[Guess]) -> list[Guess]:
    """The interrupted deletes that nobody needs so far, of workflows that somebody did not find."""
    guessed = {id(guess.call) for guess in guesses}
    missed = {
        item.workflow_id
        for call in history
        for item, result in zip(call.items, call.results, strict=False)
        if isinstance(item, Loading | Listing) and not result
    }
    missed |= {call.stood_at[0] for call in history if call.stood_at is not None and not call.stood_at[1]}
    spare = [call for call in history if call.outcome is Outcome.UNKNOWN and id(call) not in guessed]
    return [
        guess
        for call in spare
        for at, item in enumerate(call.items)
        if isinstance(item, Deleting) and item.workflow_id in missed
        for guess in _guesses_of_delete(history, call, at, item)
    ]


def _guesses_of_delete(history: History, call: Call, at: int, item: Deleting) -> Iterator[Guess]:
    """What it may have taken away: what it says, or all before the version that the save behind it may have made."""
    if item.expected:
        yield Guess(call, at, item.expected)
        return
    following = next(
        (
            place
            for place, each in enumerate(call.items)
            if place > at and isinstance(each, Saving) and each.workflow_id == item.workflow_id
        ),
        None,
    )
    if following is not None:
        saves = sum(
            isinstance(each, Saving) and each.workflow_id == item.workflow_id for one in history for each in one.items
        )
        yield from (Guess(call, following, version) for version in range(2, saves + 1))


class _Inference:
    def __init__(self, history: History) -> None:
        self.tracks: defaultdict[str, Track] = defaultdict(Track)
        self.numbers: dict[int, Numbers] = {}
        self._history = history
        self._open = [call for call in history if call.outcome is Outcome.UNKNOWN and call.writes]
        self._by_label: dict[tuple[str, str], Written] = {}
        for call in history:
            for item in call.items:
                if isinstance(item, Saving):
                    if (item.workflow_id, item.label) in self._by_label:
                        raise ValueError(
                            f"two saves are called {item.label!r}: a read could not be matched to one of them"
                        )
                    self._by_label[item.workflow_id, item.label] = Written(call, item)

    def put(self, call: Call, known: Numbers) -> None:
        """Write down what *call* wrote, of which the numbers of some items are known."""
        numbers = _numbered(call, known)
        for at, item in enumerate(call.items):
            if at not in numbers:
                continue
            if isinstance(item, Saving):
                self._put_save(Written(call, item), numbers[at])
            elif isinstance(item, Deleting) and not self._put_delete(call, item.workflow_id, numbers[at]):
                del numbers[at]
        self.numbers[id(call)] = numbers

    def _put_save(self, written: Written, version: int) -> None:
        saves = self.tracks[written.item.workflow_id].saves
        if version in saves:
            raise NotLinearizableError(Anomaly.DUPLICATE, [saves[version].call, written.call])
        saves[version] = written

    def _put_delete(self, call: Call, workflow_id: str, version: int) -> bool:
        """Whether there was something to delete, as an interrupted call need not have found."""
        track = self.tracks[workflow_id]
        if not track.is_gone_after(version):
            track.delete(version, call)
            return True
        if call.outcome is Outcome.DONE:
            before = [track.deletes[version]] if version else []
            raise NotLinearizableError(Anomaly.NOTHING_TO_DELETE, [*before, call])
        return False

    def put_interrupted(self, guesses: Iterable[Guess]) -> None:
        """Take what somebody read, and what is guessed, for done; refuse what nobody can have written."""
        known = self._evidence()
        for call, at, number in guesses:
            known[id(call)][at] = number
        for call in self._open:
            if id(call) in known:
                self.put(call, known[id(call)])
        for call in self._open:
            for at, item in enumerate(call.items if id(call) in known else ()):
                if isinstance(item, Saving) and at not in self.numbers[id(call)]:
                    self._guess_version_of(call, at, item)

    def _evidence(self) -> defaultdict[int, Numbers]:
        """What was read of each interrupted call."""
        evidence: defaultdict[int, Numbers] = defaultdict(dict)
        for call, workflow_id, seen in sightings(self._history):
            written = self._by_label.get((workflow_id, seen.label))
            there = self.tracks[workflow_id].saves.get(seen.version)
            others = [there.call] if there is not None else []
            if written is None:
                raise NotLinearizableError(Anomaly.OTHER_CONTENT if others else Anomaly.INVENTED, [*others, call])
            if written.call.outcome is Outcome.REFUSED:
                raise NotLinearizableError(Anomaly.REFUSED_BUT_WRITTEN, [written.call, call])
            if written.call.outcome is Outcome.UNKNOWN:
                at = written.call.items.index(written.item)
                if evidence[id(written.call)].setdefault(at, seen.version) != seen.version:
                    raise NotLinearizableError(Anomaly.DUPLICATE, [written.call, call])
            elif there != written:
                raise NotLinearizableError(Anomaly.OTHER_CONTENT, [*others, written.call, call])
        return evidence

    def _guess_version_of(self, call: Call, at: int, item: Saving) -> None:
        """Part of *call* was read, this item was not."""
        saves = self.tracks[item.workflow_id].saves
        beyond = max(saves, default=0) + len(self._open) + 1
        raise UndecidedError(
            [
                Guess(call, at, version)
                for version in range(1, beyond)
                if version not in saves and item.expected in (None, 0, version - 1)
            ]
        )

    def guess_ends(self) -> None:
        """Where a later history began anew, somebody must have deleted the one before."""
        for workflow_id, version in self._noticed_ends():
            if not self.tracks[workflow_id].is_gone_after(version):
                guesses = [
                    Guess(call, at, version)
                    for call, at, item in self._unexplained()
                    if item == Deleting(workflow_id, expected=version)
                ]
                if guesses:
                    raise UndecidedError(guesses)

    def guess_versions(self) -> None:
        """Every number up to the highest was given to somebody."""
        for workflow_id, told in self._told().items():
            track = self.tracks[workflow_id]
            for version in range(1, max([*track.saves, *told], default=0) + 1):
                if version in track.saves:
                    continue
                guesses = [
                    Guess(call, at, version)
                    for call, at, item in self._unexplained()
                    if isinstance(item, Saving)
                    and item.workflow_id == workflow_id
                    and item.expected in (None, 0, version - 1)
                ]
                if guesses:
                    raise UndecidedError(guesses)
                around = [track.saves[near].call for near in (version - 1, version + 1) if near in track.saves]
                raise NotLinearizableError(Anomaly.GAP, [*around, *told.get(version, [])])

    def _told(self) -> dict[str, dict[int, list[Call]]]:
        """By workflow, the versions that somebody told of otherwise than by saving them."""
        told: defaultdict[str, dict[int, list[Call]]] = defaultdict(dict)
        for workflow_id, track in self.tracks.items():
            told[workflow_id] = {version: [call] for version, call in track.deletes.items()}
        for call in self._history:
            if call.stood_at is not None:
                workflow_id, head = call.stood_at
                told[workflow_id].setdefault(head, [call])
        return dict(told)

    def _noticed_ends(self) -> Iterator[tuple[str, int]]:
        """After which versions a workflow must have been deleted, since a later history began anew."""
        prunes = any(isinstance(item, Pruning) for call in self._history for item in call.items)
        for call in self._history:
            for at, (item, result) in enumerate(zip(call.items, call.results, strict=False)):
                if isinstance(item, Listing) and isinstance(result, tuple) and result and not prunes:
                    yield item.workflow_id, result[0].version - 1
                elif isinstance(item, Saving) and item.expected == 0 and type(result) is int:
                    yield item.workflow_id, result - 1
                elif isinstance(item, Deleting) and result is False and _number_after(call, at):
                    yield item.workflow_id, _number_after(call, at) - 1

    def _unexplained(self) -> Iterator[tuple[Call, int, Item]]:
        """The items of interrupted calls that need not have taken place."""
        for call in self._open:
            if id(call) not in self.numbers:
                for at, item in enumerate(call.items):
                    yield call, at, item

    def check_saves(self) -> None:
        """Refuse a conditional save that did not find what it expected."""
        for track in self.tracks.values():
            for version, (call, item) in track.saves.items():
                before = 0 if track.is_gone_after(version - 1) else version - 1
                is_first = item is first_on(call, item.workflow_id)
                if is_first and ((item.must_exist and not before) or item.expected not in (None, before)):
                    raise NotLinearizableError(Anomaly.LOST_UPDATE, [*_in_between(track, item.expected, version), call])


def _numbered(call: Call, known: Numbers) -> Numbers:
    """The numbers of all items of a call, as far as they follow from those that are known."""
    numbers = dict(known)
    for workflow_id in {item.workflow_id for item in call.items if isinstance(item, Saving | Deleting)}:
        places = [
            at
            for at, item in enumerate(call.items)
            if isinstance(item, Saving | Deleting) and item.workflow_id == workflow_id
        ]
        _number_one_workflow(call, places, numbers)
    return numbers


def _number_one_workflow(call: Call, places: list[int], numbers: Numbers) -> None:
    """Saves are numbered on from each other, forward and back; what is deleted is the version before."""
    saves = [at for at in places if isinstance(call.items[at], Saving)]
    for one, following in itertools.pairwise(saves):
        if one in numbers:
            numbers.setdefault(following, numbers[one] + 1)
    for following, one in itertools.pairwise(saves[::-1]):
        if following in numbers:
            numbers.setdefault(one, numbers[following] - 1)
    for at in places:
        item = call.items[at]
        if not isinstance(item, Deleting) or _result(call, at) is False:
            continue
        before = [numbers[save] for save in saves if save < at and save in numbers]
        after = [numbers[save] - 1 for save in saves if save > at and save in numbers]
        version = next(iter([*before[-1:], *([] if item.expected is None else [item.expected]), *after]), None)
        if version is None:
            raise ValueError(f"{call.asked!r} does not tell which version it deleted: nothing can be said")
        numbers.setdefault(at, version)


def _number_after(call: Call, at: int) -> int:
    """The version of the first save of the same workflow behind a delete of a batch; 0 where there is none."""
    deleting = call.items[at]
    for item, result in zip(call.items[at + 1 :], call.results[at + 1 :], strict=True):
        if (
            isinstance(item, Saving)
            and isinstance(deleting, Deleting)
            and item.workflow_id == deleting.workflow_id
            and type(result) is int
        ):
            return result
    return 0


def _result(call: Call, at: int) -> Result:
    return call.results[at] if at < len(call.results) else None


def first_on(call: Call, workflow_id: str) -> Item:
    """The first item of a call that writes to a workflow."""
    return next(item for item in call.items if isinstance(item, Saving | Deleting) and item.workflow_id == workflow_id)


def _in_between(track: Track, expected: int | None, version: int) -> list[Call]:
    """The first write that a save with this expectation should have seen."""
    if expected in track.deletes:
        return [track.deletes[expected]]
    if expected is None:  # it expected to find anything
        return [track.deletes[version - 1]] if version - 1 in track.deletes else []
    following = expected + 1 if expected else version - 1
    return [track.saves[following].call] if following in track.saves and following != version else []
