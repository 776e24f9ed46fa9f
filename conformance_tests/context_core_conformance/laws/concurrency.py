"""Laws of many threads on one store and many handles on one storage."""

import itertools
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Final

import attrs

from context_core import Capability
from context_core.model import utc_now
from context_core_conformance.promises import promise
from context_core_conformance.racing import PATIENCE_S, in_processes, in_threads
from context_core_conformance.samples import EPOCH, a_context
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Store
from context_core_conformance.workers import process_workers
from context_core_conformance.workers.racing_workers import watch

LONGEST_READ_S: Final = 6
"""A read of one small workflow takes a thousandth of that; who is not done by then waits for the writer."""


class ConcurrencyLaws:
    @promise("CO01")
    def test_one_store_serves_many_threads(self, store: Store) -> None:
        """Eight threads save, load, search, list and delete at once; each finds its own work done."""

        def work(number: int) -> list[int]:
            own = f"own-{number}"
            versions = []
            for turn in range(10):
                versions.append(store.save_context(a_context(own, epic_num=number + 1, metadata={"turn": turn})))
                assert store.load_context(own).metadata == {"turn": turn}
                assert [found.workflow_id for found in store.search_contexts({"epic_num": number + 1})] == [own]
                assert [header.version for header in store.history(own)] == versions
                store.save_context(a_context(f"gone-{number}", epic_num=99))
                assert store.delete_context(f"gone-{number}") is True
            return versions

        assert in_threads(8, work) == [list(range(1, 11))] * 8
        assert sorted(found.workflow_id for found in store.search_contexts()) == [
            f"own-{number}" for number in range(8)
        ]

    @promise("CO02")
    def test_processes_write_side_by_side(self, subject: Subject) -> None:
        """Four processes save to one workflow and to their own; none is told that the store is locked."""
        subject.requires(Capability.MULTI_PROCESS)
        store = subject.open()
        versions = in_processes(4, process_workers.save_shared_and_own, subject.url, 15)
        assert sorted(itertools.chain(*versions)) == list(range(1, 61))
        assert [header.version for header in store.history("shared")] == list(range(1, 61))
        assert [store.load_context(f"own-{number}").metadata for number in range(4)] == [{"turn": 14}] * 4

    @promise("CO02", "CO05")
    def test_a_process_reads_while_others_write(self, subject: Subject) -> None:
        """Reads beside writing processes neither fail nor go back."""
        subject.requires(Capability.MULTI_PROCESS)
        subject.open().save_context(a_context("shared"))
        seen, *written = in_processes(3, process_workers.read_while_others_write, subject.url, 40)
        assert seen == sorted(seen)
        assert sorted(itertools.chain(*written)) == list(range(2, 82))

    @promise("CO03")
    def test_readers_go_on_during_a_long_write(self, subject: Subject) -> None:
        """While a writer stands inside its transaction, others read the state before it."""
        is_inside, may_go_on = threading.Event(), threading.Event()

        def slow_clock() -> datetime:
            is_inside.set()
            assert may_go_on.wait(PATIENCE_S)
            return utc_now()

        reader = subject.open()
        reader.save_context(a_context("w", metadata={"n": 1}))
        writer = subject.open(clock=slow_clock)
        writing = threading.Thread(target=writer.save_context, args=(a_context("w", metadata={"n": 2}),))
        reading = threading.Thread(target=lambda: seen.append(_look(reader)))
        seen: list[object] = []
        writing.start()
        try:
            assert is_inside.wait(PATIENCE_S)
            reading.start()
            reading.join(LONGEST_READ_S)
            seen_meanwhile = list(seen)
        finally:
            may_go_on.set()
            writing.join(PATIENCE_S)
            reading.join(PATIENCE_S)
        assert seen_meanwhile == [({"n": 1}, [1], {"n": 1})]
        assert _look(reader) == ({"n": 2}, [1, 2], {"n": 2})

    @promise("CO03", "BA04")
    def test_readers_see_a_consistent_state(self, subject: Subject) -> None:
        """A search beside writers of batches sees both workflows of a batch, or neither."""
        store, watcher = subject.open(), subject.open()
        store.save_contexts([a_context("a", epic_num=1), a_context("b", epic_num=1)])

        def look() -> list[int]:
            return [found.epic_num for found in watcher.search_contexts({"feature": "checkout"})]

        def work(number: int) -> list[list[int]]:
            if number:
                return watch(look, until=lambda epics: epics == [50, 50])
            for epic in range(2, 51):
                store.save_contexts([a_context("a", epic_num=epic), a_context("b", epic_num=epic)])
            return []

        views = in_threads(2, work)[1]
        assert [epics for epics in views if len(epics) != 2 or len(set(epics)) != 1] == []

    @promise("CO04")
    def test_a_write_is_read_at_once_through_any_handle(self, subject: Subject) -> None:
        """What one handle wrote, the other loads, lists and finds right after, and so back."""
        handles = (subject.open(), subject.open())
        for turn in range(1, 7):
            writer, reader = handles[turn % 2], handles[1 - turn % 2]
            assert writer.save_context(a_context("w", epic_num=turn)) == turn
            for handle in (writer, reader):
                assert handle.load_context("w").epic_num == turn
                assert [header.version for header in handle.history("w")] == list(range(1, turn + 1))
                assert [found.version for found in handle.search_contexts({"epic_num": turn})] == [turn]
        assert handles[0].delete_context("w") is True
        assert handles[1].context_exists("w") is False

    @promise("CO05")
    def test_reads_never_go_back(self, store: Store) -> None:
        """Each thread that reads beside a writer sees versions that only grow, each with its own content."""
        store.save_context(a_context("w", epic_num=1))

        def look() -> tuple[int, int]:
            seen = store.load_context("w")
            return seen.version, seen.epic_num

        def work(number: int) -> list[tuple[int, int]]:
            if number:
                return watch(look, until=lambda seen: seen[0] == 60)
            return [(store.save_context(a_context("w", epic_num=epic)), epic) for epic in range(2, 61)]

        for seen in in_threads(4, work):
            assert seen == sorted(seen)
            assert [version for version, epic in seen if version != epic] == []

    @promise("CO06")
    def test_racing_operations_linearize(self, subject: Subject) -> None:
        """A recorded history has one order that keeps real time: no later save below, no later read before."""
        handles = (subject.open(), subject.open())
        handles[0].save_context(a_context("w"))

        def work(number: int) -> list[_Operation]:
            store = handles[number % 2]
            return [_record(store, is_save=(number + turn) % 3 != 0) for turn in range(25)]

        operations = list(itertools.chain(*in_threads(6, work)))
        saves = [operation for operation in operations if operation.is_save]
        assert sorted(save.version for save in saves) == list(range(2, len(saves) + 2))
        assert list(_out_of_order(operations)) == []

    @promise("CO06", "VE08")
    def test_saved_at_grows_with_the_version(self, store: Store) -> None:
        """Also among racing threads, the later version is not saved earlier."""
        in_threads(4, lambda _: [store.save_context(a_context("w")) for _ in range(10)])
        times = [header.saved_at for header in store.history("w")]
        assert len(times) == 40
        assert times == sorted(times)

    @promise("CO07")
    def test_opposite_order_batches_do_not_deadlock(self, subject: Subject) -> None:
        """Two handles write the same workflows in opposite orders, again and again; both succeed."""
        handles, names = (subject.open(), subject.open()), [f"w{number}" for number in range(5)]

        def work(number: int) -> None:
            for _ in range(20):
                handles[number].save_contexts([a_context(name) for name in (names, names[::-1])[number]])

        in_threads(2, work)
        assert {name: len(handles[0].history(name)) for name in names} == dict.fromkeys(names, 40)

    @promise("CO08")
    def test_parent_and_child_go_on_after_fork(self, subject: Subject) -> None:
        """A store that was open at fork() serves both sides, at once."""
        subject.requires(Capability.MULTI_PROCESS)
        assert in_processes(1, process_workers.use_across_fork, subject.url, 20) == [0]
        store = subject.open()
        assert [header.version for header in store.history("shared")] == list(range(1, 43))
        assert [len(store.history(name)) for name in ("parent", "child")] == [20, 20]

    @promise("CO08")
    def test_close_in_a_child_takes_nothing_from_the_parent(self, subject: Subject) -> None:
        """A child that closes the inherited store leaves its parent's as it was."""
        subject.requires(Capability.MULTI_PROCESS)
        assert in_processes(1, process_workers.close_in_child, subject.url, 5) == [0]
        assert [header.version for header in subject.open().history("shared")] == list(range(1, 7))


def _look(store: Store) -> object:
    (found,) = store.search_contexts({"workflow_id": "w"})
    return store.load_context("w").metadata, [header.version for header in store.history("w")], found.metadata


@attrs.frozen
class _Operation:
    """A save or a load of one workflow, with the version it gave, and when it began and ended."""

    began_ns: int
    ended_ns: int
    is_save: bool
    version: int


def _record(store: Store, *, is_save: bool) -> _Operation:
    began_ns = time.monotonic_ns()
    version = store.save_context(a_context("w", updated_at=EPOCH)) if is_save else store.load_context("w").version
    return _Operation(began_ns, time.monotonic_ns(), is_save, version)


def _out_of_order(operations: list[_Operation]) -> Iterator[tuple[_Operation, _Operation]]:
    """Pairs of which the first ended before the second began, though their versions say otherwise.

    The workflow is a counter: a save must give more than all before it, a load no less than all before it, and no
    more than the saves that had begun.
    """
    for one, other in itertools.permutations(operations, 2):
        if one.ended_ns < other.began_ns and one.version + other.is_save > other.version:
            yield one, other
    for save in operations:
        yield from ((save, load) for load in operations if save.is_save and _is_from_the_future(load, save))


def _is_from_the_future(load: _Operation, save: _Operation) -> bool:
    return not load.is_save and load.version == save.version and load.ended_ns < save.began_ns
