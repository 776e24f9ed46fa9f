"""Laws of many: what is right for few is right for more than any engine takes or gives at a time.

Engines hand out rows by pages, and take statements, transactions and lists up to a limit: 25, 50, 100, 128, 250, 256, 500,
999, 1,000, 1,024. Each law goes past all of these.
"""

import itertools
import threading
from typing import Final

import pytest

from context_core import Capability, Delete, IdempotencyConflictError, Save, VersionConflictError
from context_core.records import (
    DeleteRequest,
    QueryRequest,
    SavedVersion,
    VersionRequest,
    Want,
)
from context_core_conformance.promises import promise
from context_core_conformance.racing import PATIENCE_S
from context_core_conformance.samples import TickingClock, a_context
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Store, a_save, apply, headers_of, loaded

MANY: Final = 1_100
"""More than an engine's page, less than what makes a law slow."""

PLACES: Final = (0, 24, 49, 99, 249, 255, 499, 998, 1_000, 1_024, MANY - 1)
"""Items that lie at, before and behind the limits of engines."""


class ManyLaws:
    @promise("ID01", "ID02", "BA02")
    def test_every_one_of_many_keys_is_known(self, subject: Subject) -> None:
        """A workflow with many idempotency keys repeats the save of each, and refuses other content for each."""
        subject.requires(Capability.IDEMPOTENCY)
        backend = subject.backend()
        apply(backend, *(a_save(epic_num=number + 1, key=f"k{number}") for number in range(MANY)))
        for place in PLACES:
            again = backend.save(a_save(epic_num=place + 1, key=f"k{place}"))
            assert (again.version, again.is_replay) == (place + 1, True)
            with pytest.raises(IdempotencyConflictError) as caught:
                backend.save(a_save(epic_num=MANY + 7, key=f"k{place}"))
            assert caught.value.version == place + 1
        replayed = apply(backend, *(a_save(epic_num=number + 1, key=f"k{number}") for number in range(MANY)))
        assert [outcome.version for outcome in replayed if isinstance(outcome, SavedVersion)] == list(
            range(1, MANY + 1)
        )
        assert len(headers_of(backend, "order-7")) == MANY

    @promise("VE05", "CA06", "DE02")
    def test_every_one_of_many_tombstones_is_kept(self, subject: Subject) -> None:
        """Many workflows that are deleted at once leave a tombstone each: all are listed, and all numbers go on."""
        backend = subject.backend()
        names = [f"w{number:05}" for number in range(MANY)]
        apply(backend, *(a_save(name) for name in names))
        apply(backend, *(DeleteRequest(workflow_id=name, expected_version=1) for name in names))
        listed = backend.query(QueryRequest(want=Want.TOMBSTONES)).tombstones
        assert [(tombstone.workflow_id, tombstone.last_version) for tombstone in listed] == [
            (name, 1) for name in names
        ]
        assert backend.query(QueryRequest(want=Want.COUNT)).count == 0
        again = apply(backend, *(a_save(names[place]) for place in PLACES))
        assert [outcome.version for outcome in again if isinstance(outcome, SavedVersion)] == [2] * len(PLACES)
        left = backend.query(QueryRequest(want=Want.TOMBSTONES)).tombstones
        assert len(left) == MANY - len(PLACES)

    @promise("VE01", "VE03", "VE07", "VE08", "VE12")
    def test_every_one_of_many_versions_is_there(self, subject: Subject) -> None:
        """A history of many versions has each of them, by number, by time, by pages and by its story."""
        clock = TickingClock()
        backend = subject.backend(clock=clock)
        moments = []
        for number in range(MANY):
            if number % 100 == 0:
                moments.append((clock.advance(60), min(number + 100, MANY)))
                numbers = range(number, min(number + 100, MANY))
                apply(backend, *(a_save(epic_num=1, feature=f"f{each}") for each in numbers))
        headers = headers_of(backend, "order-7")
        assert [header.version for header in headers] == list(range(1, MANY + 1))
        assert [headers[place].feature for place in PLACES] == [f"f{place}" for place in PLACES]
        for place in PLACES:
            (document,) = loaded(backend, "order-7", version=place + 1)
            assert document.version == place + 1
            assert f'"f{place}"'.encode() in document.document
        for moment, newest in moments:
            assert loaded(backend, "order-7", as_of=moment)[0].version == newest
        story = subject.open()
        assert story.get_version_count(1, 2) == MANY
        assert [context.version for context in story.get_context_versions(1, 2)] == list(range(1, MANY + 1))
        backwards = backend.version(VersionRequest(of="order-7", newest_first=True, limit=3, offset=MANY - 3))
        assert [header.version for header in backwards.headers] == [3, 2, 1]

    @promise("DE01", "DE02", "VE05", "DE04")
    def test_a_delete_removes_every_one_of_many_versions_at_once(self, subject: Subject) -> None:
        """A reader beside it sees all versions or none, and afterwards no version of before is left."""
        backend = subject.backend()
        apply(backend, *(a_save(epic_num=1, feature=f"f{number}") for number in range(MANY)))
        apply(backend, a_save("order-70"))
        seen: set[int] = set()
        reader, is_over, has_begun = subject.backend(), threading.Event(), threading.Event()
        errors: list[BaseException] = []

        def read() -> None:
            try:
                while not is_over.is_set():
                    seen.add(reader.version(VersionRequest(of="order-7", want=Want.COUNT)).count)
                    has_begun.set()
            except BaseException as error:  # noqa: BLE001  # it is raised in the law's own thread
                errors.append(error)
                has_begun.set()

        reading = threading.Thread(target=read, daemon=True)
        reading.start()
        try:
            assert has_begun.wait(PATIENCE_S)
            apply(backend, DeleteRequest(workflow_id="order-7", expected_version=MANY))
        finally:
            is_over.set()
            reading.join(PATIENCE_S)
        assert not errors, errors[0]
        assert seen <= {0, MANY}
        assert headers_of(backend, "order-7") == []
        for place in PLACES:
            assert loaded(backend, "order-7", version=place + 1) == []
        (saved,) = apply(backend, a_save())
        assert isinstance(saved, SavedVersion)
        assert saved.version == MANY + 1
        assert [header.version for header in headers_of(backend, "order-7")] == [MANY + 1]
        assert len(headers_of(backend, "order-70")) == 1

    @promise("BA01", "BA04")
    @pytest.mark.parametrize("failing", [MANY - 1, 500, 101, 26])
    def test_a_failure_behind_many_items_leaves_none_of_them(self, subject: Subject, failing: int) -> None:
        """However far the failing item stands behind the first, none is visible, beside what was there."""
        backend = subject.backend()
        backend.save(a_save("there"))
        operations = [a_save(f"w{number}") for number in range(failing)]
        with pytest.raises(VersionConflictError):
            apply(backend, *operations, a_save("there", expected_version=9), a_save("behind"))
        assert backend.query(QueryRequest(want=Want.COUNT)).count == 1
        assert len(headers_of(backend, "there")) == 1
        assert loaded(backend, "w0", f"w{failing - 1}", "behind") == []

    @promise("BA01", "BA06", "CA07")
    def test_a_failure_behind_many_deletes_brings_all_of_them_back(self, subject: Subject) -> None:
        """Deletes and saves in one batch are one transaction, also where there are many."""
        store = subject.open()
        names = [f"w{number:05}" for number in range(MANY)]
        store.save_contexts(a_context(name) for name in names)
        operations: list[Save | Delete] = [
            *map(Delete, names),
            Save(a_context("new")),
            Delete("new", expected_version=7),
        ]
        with pytest.raises(VersionConflictError):
            store.batch(operations)
        assert store.count_contexts() == MANY
        assert not store.context_exists("new")
        assert [store.load_context(names[place]).version for place in PLACES] == [1] * len(PLACES)

    @promise("QU01", "QU09", "QU11", "BA08")
    def test_a_result_without_a_limit_is_whole(self, subject: Subject) -> None:
        """Lists, counts and loads of many ids know no page of the engine; 10,000 and some."""
        store = _populated(subject, 10_001)
        names = [f"w{number:05}" for number in range(10_001)]
        assert [header.workflow_id for header in store.list_headers(order_by="workflow_id")] == names
        assert store.count_contexts() == len(store.search_contexts()) == len(names)
        assert [context.workflow_id for context in store.load_contexts(reversed(names))] == names[::-1]
        assert len(store.list_headers(offset=9_999)) == 2
        assert len(store.list_headers(offset=4, limit=2**63 - 1)) == len(names) - 4

    @promise("QU01", "QU10", "QU11")
    @pytest.mark.parametrize("place", [0, MANY - 1])
    def test_a_condition_is_asked_of_every_one_of_many_rows(self, subject: Subject, place: int) -> None:
        """A limit counts what was found: the one workflow that fits is found wherever it stands, newest or oldest."""
        store = subject.open()
        names = [f"w{number:05}" for number in range(MANY)]
        store.save_contexts(
            a_context(name, tags=["wanted"] if number == place else ["other"], metadata={"n": number})
            for number, name in enumerate(names)
        )
        assert store.count_contexts({"workflow_id__in": names}) == MANY
        others = [name for name in names if name != names[place]]
        assert len(store.list_headers({"workflow_id__in": [*others, "missing"]})) == MANY - 1
        wanted = [names[place]]
        filters: list[dict[str, object]] = [{"tags__contains": "wanted"}, {"workflow_id__prefix": names[place]}]
        if Capability.JSON_PATHS in store.describe().capabilities:
            filters.append({"metadata.n": place})
        for one, order_by in itertools.product(filters, ("workflow_id", "-workflow_id", None)):
            for limit in (1, 2, None):
                found = store.search_contexts(one, limit=limit, order_by=order_by)
                assert [context.workflow_id for context in found] == wanted
            assert store.count_contexts(one) == 1
            assert [header.workflow_id for header in store.list_headers(one, limit=1, order_by=order_by)] == wanted
            assert store.list_headers(one, offset=1, order_by=order_by) == []

    @promise("RE01", "ID01", "VE07")
    def test_a_prune_removes_every_one_of_many_versions(self, subject: Subject) -> None:
        """The versions that its dry run names go, of a long history and of many short ones, and their keys with them."""
        subject.requires(Capability.PRUNE)
        backend = subject.backend()
        has_keys = Capability.IDEMPOTENCY in backend.describe().capabilities
        key = "k{}".format if has_keys else lambda _: None
        apply(backend, *(a_save("long", epic_num=1, feature=f"f{n}", key=key(n)) for n in range(MANY)))
        names = [f"w{number:05}" for number in range(MANY)]
        apply(backend, *(a_save(name) for name in names for _ in range(2)))
        store = subject.around(backend)
        named = store.prune(keep_last=1, dry_run=True)
        assert named.count == MANY - 1 + MANY
        assert store.prune(keep_last=1) == named
        assert [header.version for header in headers_of(backend, "long")] == [MANY]
        assert all(len(headers_of(backend, names[place])) == 1 for place in PLACES)
        assert store.prune(keep_last=1, dry_run=True).count == 0
        if has_keys:
            assert backend.save(a_save("long", epic_num=1, feature="f7", key="k7")).version == MANY + 1
            assert backend.save(a_save("long", epic_num=1, feature=f"f{MANY - 1}", key=f"k{MANY - 1}")).is_replay


def _populated(subject: Subject, count: int) -> Store:
    store = subject.open()
    store.save_contexts(a_context(f"w{number:05}") for number in range(count))
    return store
