"""Laws of retention: prune removes what it says, and never a head."""

import itertools
import threading
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, Final

import pytest

from context_core import (
    Capability,
    InvalidQueryError,
    PruneResult,
    VersionConflictError,
    VersionNotFoundError,
)
from context_core_conformance.promises import promise
from context_core_conformance.racing import in_threads
from context_core_conformance.samples import EPOCH, TickingClock, a_context
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Contents, Store, everything

COUNTS: Final = {"five": 5, "four": 4, "one": 1, "three": 3, "two": 2}
"""How many versions each workflow has; a minute lies between two saves, and each saves all of its versions in turn."""

STATUSES: Final = {"five": "running", "four": "completed", "one": "failed", "three": "failed", "two": "paused"}
"""Of the newest version; all others are running."""

WANTED: Final[dict[str, dict[str, Any]]] = {
    "by default": {},
    "keep 1": {"keep_last": 1},
    "keep 2": {"keep_last": 2},
    "keep 4": {"keep_last": 4},
    "keep all": {"keep_last": 5},
    "keep more than there are": {"keep_last": 2**63 - 1},
    "one status": {"statuses": ["failed"]},
    "several statuses": {"statuses": ("completed", "paused", "paused")},
    "running": {"statuses": ["running"], "keep_last": 2},
    "no status": {"statuses": []},
    "inactive": {"inactive_since": EPOCH + timedelta(minutes=9)},
    "inactive, with an offset": {
        "inactive_since": (EPOCH + timedelta(minutes=9)).astimezone(timezone(timedelta(hours=9, minutes=30)))
    },
    "inactive for ever": {"inactive_since": datetime(1, 1, 1, tzinfo=UTC)},
    "inactive till the end": {"inactive_since": datetime(9999, 12, 31, tzinfo=UTC)},
    "all together": {
        "inactive_since": EPOCH + timedelta(minutes=13),
        "statuses": ["failed", "running"],
        "keep_last": 2,
    },
}
"""Arguments of prune."""

BAD: Final[dict[str, dict[str, Any]]] = {
    **{f"keep_last={bad!r}": {"keep_last": bad} for bad in (0, -1, True, 1.0, "1", None, 2**63)},
    **{f"batch_size={bad!r}": {"batch_size": bad} for bad in (0, -1, True, 1.0, "1", None, 2**63)},
    **{
        f"inactive_since={bad!r}": {"inactive_since": bad}
        for bad in (EPOCH.replace(tzinfo=None), date(2025, 1, 1), EPOCH.isoformat(), 0)
    },
    "inactive_since before all years": {"inactive_since": datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))},
    **{
        f"statuses={bad!r}": {"statuses": bad}
        for bad in (["done"], "running", ["failed", "Failed"], [None], [1], [["failed"]], 7)
    },
}

each_wanted: Final = pytest.mark.parametrize("wanted", WANTED.values(), ids=list(WANTED))


def expected_ranges(wanted: dict[str, Any], contents: Contents) -> list[tuple[str, int, int]]:
    """What a prune with these arguments removes, said a second time."""
    ranges = []
    for workflow_id, ((head, _), *history) in sorted(contents.items()):
        is_meant = "statuses" not in wanted or head.status in wanted["statuses"]
        is_meant &= "inactive_since" not in wanted or head.saved_at < wanted["inactive_since"]
        surplus = [header.version for header, _ in history][: -wanted.get("keep_last", 1)] if is_meant else []
        if surplus:
            ranges.append((workflow_id, surplus[0], surplus[-1]))
    return ranges


def ranges_of(result: PruneResult) -> list[tuple[str, int, int]]:
    """What a prune names."""
    return [(pruned.workflow_id, pruned.first, pruned.last) for pruned in result.ranges]


def versions(store: Store, workflow_id: str = "order-7") -> list[int]:
    """The versions that a workflow has."""
    return [header.version for header in store.history(workflow_id)]


class RetentionLaws:
    @pytest.fixture
    def aged(self, subject: Subject) -> Store:
        """A store of workflows of several ages, saved one after the other, a minute between two saves."""
        subject.requires(Capability.PRUNE)
        clock = TickingClock()
        store = subject.open(clock=clock)
        for workflow_id, count in COUNTS.items():
            for number in range(1, count + 1):
                status = STATUSES[workflow_id] if number == count else "running"
                store.save_context(a_context(workflow_id, status=status, metadata={"number": number}))
                clock.advance(60)
        return store

    @promise("RE01")
    @pytest.mark.parametrize("dry_run", [False, True])
    def test_what_was_pruned_is_told_by_id(self, subject: Subject, dry_run: bool) -> None:  # noqa: FBT001  # a parameter
        """By code point, whatever was made or saved first."""
        subject.requires(Capability.PRUNE)
        store = subject.open()
        for workflow_id in ("b", "é", "a", "B", "a-", "c"):
            store.save_contexts([a_context(workflow_id)] * 2)
        pruned = store.prune(dry_run=dry_run)
        assert ranges_of(pruned) == [(workflow_id, 1, 1) for workflow_id in ("B", "a", "a-", "b", "c", "é")]

    @promise("RE01", "RE02")
    @each_wanted
    def test_prune_removes_exactly_what_its_dry_run_names(
        self, subject: Subject, aged: Store, wanted: dict[str, Any]
    ) -> None:
        """All but the newest few, by status and by last activity; the dry run itself removes nothing."""
        before = everything(subject.backend())
        named = aged.prune(**wanted, dry_run=True)
        assert everything(subject.backend()) == before
        assert ranges_of(named) == expected_ranges(wanted, before)
        assert aged.prune(**wanted) == named
        gone = {(name, number) for name, first, last in ranges_of(named) for number in range(first, last + 1)}
        assert named.count == len(gone)
        assert everything(subject.backend()) == {
            name: tuple(pair for pair in pairs if (name, pair[0].version) not in gone) for name, pairs in before.items()
        }

    @promise("RE01")
    @pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 100])
    def test_the_size_of_a_batch_changes_nothing_of_the_outcome(
        self, subject: Subject, aged: Store, batch_size: int
    ) -> None:
        """Bounded transactions, also in the middle of a workflow, add up to the same."""
        before = everything(subject.backend())
        assert ranges_of(aged.prune(batch_size=batch_size)) == expected_ranges({}, before)
        assert {name: versions(aged, name) for name in COUNTS} == {name: [count] for name, count in COUNTS.items()}

    @promise("RE01")
    def test_pruning_again_removes_nothing(self, aged: Store) -> None:
        """Nor does it in an empty store, or in one of single versions."""
        aged.prune(keep_last=2)
        assert aged.prune(keep_last=2) == aged.prune(keep_last=2, dry_run=True) == PruneResult(ranges=())
        for name in COUNTS:
            aged.delete_context(name)
        assert aged.prune() == PruneResult(ranges=())

    @promise("RE01", "VE03")
    def test_heads_are_never_pruned(self, subject: Subject, aged: Store) -> None:
        """Every workflow is still there, with its newest version, for all ways to find it."""
        heads = {name: pairs[0] for name, pairs in everything(subject.backend()).items()}
        found = aged.search_contexts()
        aged.prune()
        assert {name: pairs[0] for name, pairs in everything(subject.backend()).items()} == heads
        assert aged.search_contexts() == found
        assert [aged.load_context(name).metadata for name in COUNTS] == [{"number": n} for n in COUNTS.values()]

    @promise("RE01", "VE04")
    def test_a_pruned_version_is_not_found(self, aged: Store) -> None:
        """By the error of a version that does not exist; nor can it be rolled back to, forked or compared with."""
        aged.prune(keep_last=2)
        for action in (
            lambda: aged.load_context("five", version=3),
            lambda: aged.load_context("five", as_of=EPOCH + timedelta(minutes=2)),
            lambda: aged.rollback("five", 1),
            lambda: aged.fork("five", "fork", 2),
            lambda: aged.diff("five", 3, 4),
        ):
            with pytest.raises(VersionNotFoundError) as caught:
                action()
            assert caught.value.head_version == 5
        assert aged.get_context_by_version("five", 3) is None
        assert aged.get_version_count(1, 2) == 2 + 2 + 1 + 2 + 2

    @promise("RE01", "VE07")
    def test_a_pruned_history_is_contiguous(self, aged: Store) -> None:
        """From its first retained version, by pages and backwards too."""
        aged.prune(keep_last=3)
        assert versions(aged, "five") == [3, 4, 5]
        assert [header.version for header in aged.history("five", newest_first=True, limit=2)] == [5, 4]
        assert [header.version for header in aged.history("five", offset=1, limit=1)] == [4]
        assert [context.metadata["number"] for context in aged.get_context_versions(1, 2)][-1] == 5

    @promise("RE01", "VE05", "CA01")
    def test_numbers_go_on_after_a_prune(self, aged: Store) -> None:
        """For saves, expected versions, rollbacks and deletes alike."""
        aged.prune()
        assert aged.save_context(a_context("five"), expected_version=5) == 6
        with pytest.raises(VersionConflictError):
            aged.save_context(a_context("four"), expected_version=1)
        assert aged.rollback("five", 5) == 7
        assert aged.delete_context("five") is True
        assert aged.save_context(a_context("five")) == 8

    @promise("RE01", "QU10", "VE02")
    def test_a_head_keeps_its_creation_time_when_its_first_version_goes(self, subject: Subject) -> None:
        """Also after further saves, and for a handle that is opened later."""
        subject.requires(Capability.PRUNE)
        store = subject.open()
        for year in (2025, 2026, 2027):
            moment = EPOCH.replace(year=year)
            store.save_context(a_context(created_at=moment, updated_at=moment))
        store.prune()
        for handle, newest in ((store, 2027), (subject.open(), 2028)):
            assert [header.created_at for header in handle.list_headers()] == [EPOCH]
            assert [header.created_at.year for header in handle.history("order-7")][-1] == newest
            assert handle.count_contexts({"created_at": EPOCH}) == 1
            handle.save_context(a_context(created_at=EPOCH.replace(year=newest + 1)))

    @promise("RE02")
    def test_retention_keys_on_last_activity(self, subject: Subject) -> None:
        """An old workflow that was saved yesterday is active; the boundary itself counts as active."""
        subject.requires(Capability.PRUNE)
        clock = TickingClock()
        store = subject.open(clock=clock)
        for name in ("idle", "busy", "boundary"):
            store.save_contexts([a_context(name), a_context(name)])
        boundary = clock.advance(3_600)
        store.save_context(a_context("boundary"))
        clock.advance(3_600)
        store.save_context(a_context("busy", created_at=EPOCH, updated_at=EPOCH))
        assert ranges_of(store.prune(inactive_since=boundary)) == [("idle", 1, 1)]
        assert ranges_of(store.prune(inactive_since=boundary + timedelta(microseconds=1))) == [("boundary", 1, 2)]

    @promise("RE02", "CO03")
    @pytest.mark.parametrize("batch_size", [1, 10, 500])
    def test_prune_runs_beside_writers(self, subject: Subject, batch_size: int) -> None:
        """Every acknowledged save stays among the newest, histories stay contiguous, and what was named is gone."""
        subject.requires(Capability.PRUNE)
        names = [f"w{number}" for number in range(4)]
        stores = [subject.open() for _ in range(3)]
        stores[0].save_contexts(a_context(name) for name in names * 10)
        is_pruned = threading.Event()

        def work(number: int) -> list[tuple[str, int]]:
            if number == 0:
                try:
                    return [
                        (pruned.workflow_id, pruned.last)
                        for _ in range(15)
                        for pruned in stores[0].prune(keep_last=2, batch_size=batch_size).ranges
                    ]
                finally:
                    is_pruned.set()
            saved = []
            for turn in range(number, 300):  # an end, or a store that saves faster than it prunes would never find one
                name = names[turn % 4]
                saved.append((name, stores[number].save_context(a_context(name, metadata={"writer": number}))))
                if is_pruned.is_set():
                    break
            return saved

        pruned, *saved = in_threads(3, work)
        for name in names:
            acknowledged = [version for workflow_id, version in itertools.chain(*saved) if workflow_id == name]
            gone = max((last for workflow_id, last in pruned if workflow_id == name), default=0)
            newest = max([10, *acknowledged])
            assert versions(stores[0], name) == list(range(gone + 1, newest + 1))
            assert stores[0].load_context(name).version == newest
        stores[0].prune(keep_last=2)
        assert {len(versions(stores[1], name)) for name in names} == {2}

    @promise("RE01", "ER04")
    @pytest.mark.parametrize("bad", BAD.values(), ids=list(BAD))
    @pytest.mark.parametrize("dry_run", [False, True])
    def test_bad_arguments_prune_nothing(
        self,
        subject: Subject,
        aged: Store,
        bad: dict[str, Any],
        dry_run: bool,  # noqa: FBT001  # a parameter of the law
    ) -> None:
        """They are refused, by one class."""
        before = everything(subject.backend())
        with pytest.raises(InvalidQueryError):
            aged.prune(**bad, dry_run=dry_run)
        assert everything(subject.backend()) == before

    @promise("RE01", "ID01", "ID02")
    def test_keys_of_pruned_versions_are_free_again(self, subject: Subject) -> None:
        """A key dies with its row; those of the versions that stay are known as before."""
        subject.requires(Capability.PRUNE)
        subject.requires(Capability.IDEMPOTENCY)
        store = subject.open()
        for number in range(1, 5):
            store.save_context(a_context(epic_num=number), idempotency_key=f"k{number}")
        store.prune(keep_last=2)
        assert store.save_context(a_context(epic_num=3), idempotency_key="k3") == 3
        assert store.save_context(a_context(epic_num=9), idempotency_key="k1") == 5
        assert store.save_context(a_context(epic_num=9), idempotency_key="k1") == 5

    @promise("RE01", "VE10")
    def test_a_fork_outlives_the_version_it_came_from(self, aged: Store) -> None:
        """Its own history still names it."""
        aged.fork("five", "fork", 2)
        before = aged.history("fork")
        aged.prune()
        assert aged.history("fork") == before
        assert before[0].origin is not None
        assert before[0].origin.version == 2

    @promise("RE01", "DE01")
    def test_pruned_content_is_gone_from_the_storage(self, subject: Subject) -> None:
        """Through the storage access hook nothing of it is seen, and what is left is sound."""
        subject.requires(Capability.PRUNE)
        store = subject.open()
        store.save_contexts(
            [a_context(metadata={"k": f"xyzzy{number}"}, feature=f"plugh{number}") for number in (1, 2, 3)]
        )
        assert b"xyzzy1" in subject.raw_storage()
        store.prune(keep_last=2)
        stored = subject.raw_storage()
        assert [mark in stored for mark in (b"xyzzy1", b"plugh1", b"xyzzy2", b"xyzzy3")] == [False, False, True, True]

    @promise("RE01", "CR06")
    def test_a_pruned_store_is_sound(self, subject: Subject, aged: Store) -> None:
        """No orphan, no gap, no head without its version."""
        subject.requires(Capability.VERIFY)
        aged.prune(keep_last=2, batch_size=2)
        report = aged.verify()
        assert (report.checked_versions, report.is_sound) == (9, True)
