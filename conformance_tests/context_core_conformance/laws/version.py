"""Laws of the version group: history is append-only."""

from datetime import timedelta

import attrs
import pytest

from context_core import Capability, ContextNotFoundError, VersionConflictError, VersionHeader, VersionNotFoundError
from context_core.records import DeleteRequest, Origin, QueryRequest, SavedVersion, Story, VersionRequest, Want
from context_core_conformance.laws.version_stories import StoryLaws
from context_core_conformance.laws.version_times import AsOfLaws
from context_core_conformance.promises import promise
from context_core_conformance.samples import EPOCH, TickingClock, a_context
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Store, a_save, apply, everything, headers_of, loaded


def save_numbered(store: Store, count: int, workflow_id: str = "order-7") -> None:
    """Save versions 1 to *count*, each of which holds its number."""
    for number in range(1, count + 1):
        store.save_context(a_context(workflow_id, metadata={"number": number}))


class VersionLaws(AsOfLaws, StoryLaws):
    """Laws about numbers, histories and rollback; those about times and stories come with them."""

    @promise("VE01")
    def test_versions_grow_by_one_for_each_save_of_a_workflow(self, store: Store) -> None:
        """Workflows number apart, whatever verb saves them."""
        assert [store.save_context(a_context("a")) for _ in range(3)] == [1, 2, 3]
        assert store.save_context(a_context("b")) == 1
        assert store.update_context(a_context("a")) == 4
        assert store.save_contexts([a_context("b"), a_context("a"), a_context("c"), a_context("b")]) == [2, 5, 1, 3]
        assert store.rollback("a", 2) == 6
        assert [store.save_context(a_context(name)) for name in "abc"] == [7, 4, 2]

    @promise("VE03", "VE08", "TI02", "QU12")
    def test_the_head_is_the_highest_version_whatever_its_times(self, subject: Subject) -> None:
        """Not the one that says that it was updated last; its header is that of the version, with the first's birth."""
        backend = subject.backend(clock=TickingClock())
        has_keys = Capability.IDEMPOTENCY in subject.capabilities
        for days in (2, 9, 5, 1):
            moment = EPOCH + timedelta(days=days)
            key = f"k{days}" if has_keys else None
            request = a_save(key=key, created_at=moment, updated_at=moment, feature=f"f{days}", tags=["b", "a", "b"])
            backend.save(attrs.evolve(request, origin=Origin(workflow_id="source", version=days)))
        assert [document.version for document in loaded(backend, "order-7")] == [4]
        assert [document.version for document in loaded(backend, "order-7", as_of=EPOCH)] == [4]
        newest = headers_of(backend, "order-7")[-1]
        expected = attrs.evolve(newest, created_at=EPOCH + timedelta(days=2))
        assert (newest.version, newest.feature, newest.tags) == (4, "f1", ("b", "a", "b"))
        for want in (Want.HEADERS, Want.RECORDS):
            assert list(backend.query(QueryRequest(want=want)).headers) == [expected]

    @promise("VE07", "VE12", "QU09")
    @pytest.mark.parametrize("of", ["order-7", Story(epic_num=1, story_num=2)], ids=["workflow", "story"])
    def test_a_count_of_a_history_ignores_the_page(self, subject: Subject, of: str | Story) -> None:
        """It is of all versions."""
        backend = subject.backend()
        apply(backend, *(a_save() for _ in range(3)))
        for limit, offset in ((0, 0), (2, 0), (None, 2), (1, 1)):
            request = VersionRequest(of=of, want=Want.COUNT, limit=limit, offset=offset)
            assert backend.version(request).count == 3

    @promise("VE01")
    def test_a_refused_save_uses_no_number(self, subject: Subject) -> None:
        """Only acknowledged saves count."""
        backend = subject.backend()
        backend.save(a_save())
        for refused in (a_save(expected_version=0), a_save(expected_version=2)):
            with pytest.raises(VersionConflictError):
                backend.save(refused)
            with pytest.raises(VersionConflictError):
                apply(backend, a_save(), a_save(), refused)
        assert backend.save(a_save()).version == 2

    @promise("VE01")
    def test_version_in_the_object_is_not_looked_at(self, store: Store) -> None:
        """An object loaded from an old version is saved as the next."""
        save_numbered(store, 3)
        old = store.load_context("order-7", version=1)
        assert store.save_context(old) == 4
        assert store.load_context("order-7").version == 4

    @promise("VE02")
    def test_a_version_never_changes(self, subject: Subject) -> None:
        """Neither content nor header of a version is moved by anything that comes later."""
        store, backend = subject.open(), subject.backend()
        store.save_context(a_context(feature="first", story_num=None, tags=["a"], metadata={"number": 1}))
        (first,) = everything(backend)["order-7"][1:]
        store.save_context(a_context(feature="second", epic_num=9, status="failed", current_phase="x"))
        store.save_contexts([a_context(), a_context("other")])
        store.rollback("order-7", 2)
        store.delete_context("other")
        history = everything(backend)["order-7"][1:]
        assert history[0] == first
        assert [(header.version, header.feature) for header, _ in history] == [
            *((1, "first"), (2, "second"), (3, "checkout"), (4, "second")),
        ]

    @promise("VE02", "QU10")
    def test_a_head_keeps_the_time_its_workflow_was_created(self, subject: Subject) -> None:
        """Later versions carry times of their own; the workflow's stays, for all orders and filters."""
        store = subject.open()
        first = a_context()
        created_at, later = first.created_at, first.created_at.replace(year=2031)
        store.save_context(first)
        store.save_context(a_context(created_at=later, updated_at=later))
        store.save_contexts([a_context(created_at=later, updated_at=later)])
        assert [header.created_at for header in headers_of(subject.backend(), "order-7")] == [created_at, later, later]
        head = everything(subject.backend())["order-7"][0][0]
        assert (head.version, head.created_at, head.updated_at) == (3, created_at, later)
        assert len(store.search_contexts({"created_at": created_at})) == 1
        assert store.search_contexts({"created_at": later}) == []

    @promise("VE02", "QU10")
    def test_a_workflow_grows_no_older(self, subject: Subject) -> None:
        """A later version that says an earlier time of creation does not move its workflow either."""
        store = subject.open()
        first, earlier = a_context(), EPOCH.replace(year=2001)
        store.save_context(first)
        store.save_context(a_context("other", created_at=EPOCH.replace(year=2011)))
        store.save_context(a_context(created_at=earlier))
        heads = store.list_headers()
        assert [(head.workflow_id, head.version) for head in heads] == [("order-7", 2), ("other", 1)]
        assert heads[0].created_at == first.created_at
        assert store.search_contexts({"created_at__lt": EPOCH.replace(year=2011)}) == []

    @promise("VE03")
    def test_load_gives_the_highest_version_and_each_by_number(self, store: Store) -> None:
        """The head is the last that was saved; a number gives exactly that version."""
        save_numbered(store, 12)
        head = store.load_context("order-7")
        assert (head.version, head.metadata["number"]) == (12, 12)
        for number in range(1, 13):
            context = store.load_context("order-7", version=number)
            assert (context.version, context.metadata["number"]) == (number, number)
            assert store.get_context_by_version("order-7", number) == context

    @promise("VE03")
    def test_documents_carry_id_and_version(self, subject: Subject) -> None:
        """A bare load says what it gives."""
        backend = subject.backend()
        for number in (1, 2):
            backend.save(a_save("a", metadata={"number": number}))
        for version, expected in ((None, 2), (1, 1), (2, 2)):
            (document,) = loaded(backend, "a", version=version)
            assert (document.workflow_id, document.version) == ("a", expected)
            assert document.document == a_save("a", metadata={"number": expected}).record.document

    @promise("VE04")
    @pytest.mark.parametrize("version", [None, 1, 0, -1, 2**63 - 1])
    def test_a_missing_workflow_is_not_found(self, store: Store, version: int | None) -> None:
        """No workflow is one error, whatever version is asked."""
        store.save_context(a_context("other"))
        with pytest.raises(ContextNotFoundError) as caught:
            store.load_context("order-7", version=version)
        assert (type(caught.value), caught.value.workflow_id) == (ContextNotFoundError, "order-7")

    @promise("VE04")
    @pytest.mark.parametrize("version", [0, -1, 3, 4, 2**31, 2**63 - 1, -(2**63)])
    def test_a_missing_version_is_another_error(self, subject: Subject, version: int) -> None:
        """A workflow without this version says which it has; no number stands for the head."""
        store = subject.open()
        save_numbered(store, 2)
        with pytest.raises(VersionNotFoundError) as caught:
            store.load_context("order-7", version=version)
        assert (caught.value.workflow_id, caught.value.head_version) == ("order-7", 2)
        assert str(version) in caught.value.wanted
        assert store.get_context_by_version("order-7", version) is None
        assert loaded(subject.backend(), "order-7", version=version) == []

    @promise("VE04")
    def test_what_does_not_exist_is_none_or_empty_where_the_api_says_so(self, store: Store) -> None:
        """Looking is no error."""
        assert store.get_context_by_version("order-7", 1) is None
        assert store.history("order-7") == []
        assert store.context_exists("order-7") is False
        assert store.get_latest_context(1, 2) is None
        assert store.get_context_versions(1, 2) == []
        assert store.get_version_count(1, 2) == 0

    @promise("VE05")
    def test_numbers_go_on_after_delete(self, subject: Subject) -> None:
        """No number is used twice, however often a workflow is deleted, and a new handle knows it too."""
        store = subject.open()
        save_numbered(store, 3)
        store.delete_context("order-7")
        assert store.save_context(a_context()) == 4
        store.delete_context("order-7")
        store.delete_context("order-7")
        assert subject.open().save_contexts([a_context(), a_context()]) == [5, 6]
        store.delete_context("order-7")
        assert subject.open().save_context(a_context(), expected_version=0) == 7
        assert [header.version for header in store.history("order-7")] == [7]
        with pytest.raises(VersionNotFoundError):
            store.load_context("order-7", version=3)

    @promise("VE05", "BA06")
    def test_numbers_go_on_within_a_batch(self, subject: Subject) -> None:
        """A delete between two saves of a batch takes no number back."""
        backend = subject.backend()
        outcomes = apply(backend, a_save(), a_save(), DeleteRequest(workflow_id="order-7"), a_save(), a_save())
        assert [outcome.version for outcome in outcomes if isinstance(outcome, SavedVersion)] == [1, 2, 3, 4]
        assert [header.version for header in headers_of(backend, "order-7")] == [3, 4]

    @promise("VE05", "DE03")
    def test_deleting_what_never_existed_uses_no_number(self, store: Store) -> None:
        """The first version is 1, whatever was deleted before it."""
        for _ in range(2):
            store.delete_context("order-7")
        assert store.save_context(a_context()) == 1

    @promise("VE06")
    def test_identical_content_makes_a_new_version(self, store: Store) -> None:
        """A save is an event, not a state."""
        context = a_context(metadata={"same": [1, 2]})
        assert [store.save_context(context) for _ in range(3)] == [1, 2, 3]
        assert store.save_contexts([context, context]) == [4, 5]
        assert store.save_context(store.load_context("order-7")) == 6
        assert [store.load_context("order-7", version=number) for number in range(1, 7)] == [context] * 6

    @promise("VE07")
    @pytest.mark.parametrize("want", [Want.HEADERS, Want.DOCUMENTS, Want.RECORDS, Want.COUNT])
    def test_a_history_is_whole_by_pages_and_backwards(self, subject: Subject, want: Want) -> None:
        """Every page of every size, in both directions, is the matching slice of one contiguous list."""
        backend = subject.backend()
        apply(backend, *(a_save("a", metadata={"number": number}) for number in range(1, 8)), a_save("ab"))
        forwards = list(range(1, 8))
        for newest_first in (False, True):
            expected = forwards[::-1] if newest_first else forwards
            for limit in (None, 0, 1, 2, 3, 6, 7, 8, 2**63 - 1):
                for offset in (0, 1, 5, 6, 7, 8, 2**63 - 1):
                    request = VersionRequest(of="a", want=want, limit=limit, offset=offset, newest_first=newest_first)
                    selection = backend.version(request)
                    page = expected[offset:][:limit]
                    headers = page if want in (Want.HEADERS, Want.RECORDS) else []
                    documents = page if want in (Want.DOCUMENTS, Want.RECORDS) else []
                    assert [header.version for header in selection.headers] == headers
                    assert [document.version for document in selection.documents] == documents
                    if want is not Want.COUNT:
                        assert selection.count == len(page)

    @promise("VE07")
    def test_a_long_history_has_no_end_of_its_own(self, subject: Subject) -> None:
        """Asked without a limit, a history of a thousand versions is whole; so are a search and a story of as many."""
        backend, numbers = subject.backend(), list(range(1, 1_101))
        apply(backend, *(a_save("long") for _ in numbers), *(a_save(f"w{number:04}", epic_num=9) for number in numbers))
        assert [header.version for header in backend.version(VersionRequest(of="long")).headers] == numbers
        store = subject.open()
        assert [found.version for found in store.get_context_versions(1, 2)] == numbers
        assert len(store.get_context_versions(9, 2)) == len(store.search_contexts({"epic_num": 9})) == len(numbers)
        assert len(store.list_headers()) == store.count_contexts() == len(numbers) + 1

    @promise("VE07", "QU12")
    def test_a_history_is_counted(self, subject: Subject) -> None:
        """COUNT says how many versions there are and lists none."""
        backend = subject.backend()
        apply(backend, *(a_save("a") for _ in range(5)), a_save("ab"))
        selection = backend.version(VersionRequest(of="a", want=Want.COUNT))
        assert (selection.count, selection.headers, selection.documents) == (5, (), ())

    @promise("VE07")
    def test_headers_say_what_each_version_was(self, subject: Subject) -> None:
        """Each row carries its own epic, story, status, phase, times and tags, in documents and headers alike."""
        requests = [
            a_save(feature=f"f{number}", epic_num=number, story_num=number if number % 2 else None, tags=[str(number)])
            for number in range(1, 4)
        ] + [a_save(status=status, current_phase=status, workflow_name=status) for status in ("failed", "paused")]
        backend = subject.backend()
        saved = [backend.save(request) for request in requests]
        assert headers_of(backend, "order-7") == [
            VersionHeader(
                workflow_id="order-7",
                version=number,
                epic_num=request.record.epic_num,
                story_num=request.record.story_num,
                feature=request.record.feature,
                workflow_name=request.record.workflow_name,
                current_phase=request.record.current_phase,
                status=request.record.status,
                created_at=request.record.created_at,
                updated_at=request.record.updated_at,
                saved_at=acknowledged.saved_at,
                tags=request.record.tags,
            )
            for number, (request, acknowledged) in enumerate(zip(requests, saved, strict=True), start=1)
        ]
        documents = backend.version(VersionRequest(of="order-7", want=Want.DOCUMENTS)).documents
        assert [document.document for document in documents] == [request.record.document for request in requests]

    @promise("VE09")
    def test_rollback_appends_a_version_equal_to_its_target(self, store: Store) -> None:
        """What was rolled back over is still there."""
        save_numbered(store, 3)
        before = [store.load_context("order-7", version=number) for number in (1, 2, 3)]
        assert store.rollback("order-7", 1) == 4
        assert store.load_context("order-7") == before[0]
        assert [store.load_context("order-7", version=number) for number in (1, 2, 3, 4)] == [*before, before[0]]
        assert store.rollback("order-7", 4) == 5
        assert [header.version for header in store.history("order-7")] == [1, 2, 3, 4, 5]

    @promise("VE09")
    def test_rollback_moves_the_indexed_fields_too(self, store: Store) -> None:
        """Queries find the workflow where its target version stood."""
        store.save_context(a_context(feature="old", status="running", story_num=1))
        store.save_context(a_context(feature="new", status="failed", story_num=None))
        store.rollback("order-7", 1)
        assert [context.version for context in store.search_contexts({"feature": "old", "story_num": 1})] == [3]
        assert store.get_failed_contexts() == []
        assert store.get_latest_context(1, None) is None

    @promise("VE09", "VE04")
    @pytest.mark.parametrize("version", [0, -1, 3, 2**63 - 1])
    def test_rollback_to_a_missing_version_changes_nothing(self, subject: Subject, version: int) -> None:
        """There is nothing to go back to."""
        store = subject.open()
        save_numbered(store, 2)
        before = everything(subject.backend())
        with pytest.raises(VersionNotFoundError):
            store.rollback("order-7", version)
        assert everything(subject.backend()) == before

    @promise("VE09", "VE05")
    def test_rollback_does_not_bring_back_what_was_deleted(self, store: Store) -> None:
        """A deleted workflow has no version to go back to."""
        save_numbered(store, 2)
        store.delete_context("order-7")
        with pytest.raises(ContextNotFoundError) as caught:
            store.rollback("order-7", 1)
        assert type(caught.value) is ContextNotFoundError
        assert not store.context_exists("order-7")
