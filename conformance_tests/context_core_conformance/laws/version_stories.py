"""Laws of the version group about the history of stories."""

from datetime import timedelta

import pytest

from context_core import WorkflowContext
from context_core.records import DeleteRequest, Story, VersionRequest, Want
from context_core_conformance.promises import promise
from context_core_conformance.samples import EPOCH, a_context
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Store, a_save, apply

BY_CODE_POINT = ("B", "a", "b", "é", "\ufffd", "\U0001f600")
"""Ids in order of code points: case matters, no collation, and no UTF-16, whose surrogates sort before U+FFFD."""


def facts(contexts: list[WorkflowContext]) -> list[tuple[str, int]]:
    """Id and version of each."""
    return [(context.workflow_id, context.version) for context in contexts]


class StoryLaws:
    """Laws about what a story's history spans, and in which order."""

    @promise("VE12")
    def test_a_story_spans_all_its_workflows(self, store: Store) -> None:
        """Its history holds every version of every workflow of it, and none of its neighbours'."""
        for workflow_id in ("a", "b", "a"):
            store.save_context(a_context(workflow_id))
        for neighbour in ({"story_num": 3}, {"story_num": None}, {"epic_num": 2}, {"epic_num": 12, "story_num": 1}):
            store.save_context(a_context(f"of {neighbour}", **neighbour))
        assert facts(store.get_context_versions(1, 2)) == [("a", 1), ("b", 1), ("a", 2)]
        assert store.get_version_count(1, 2) == 3

    @promise("VE12")
    def test_the_epic_level_is_a_story_of_its_own(self, store: Store) -> None:
        """None does not stand for all stories."""
        store.save_context(a_context("epic", story_num=None))
        store.save_context(a_context("epic", story_num=None))
        store.save_context(a_context("story", story_num=1))
        assert facts(store.get_context_versions(1)) == [("epic", 1), ("epic", 2)]
        assert (store.get_version_count(1), store.get_version_count(1, 1), store.get_version_count(2)) == (2, 1, 0)
        latest = store.get_latest_context(1)
        assert latest is not None
        assert latest.workflow_id == "epic"

    @promise("VE12")
    def test_each_version_counts_for_the_story_it_was_saved_in(self, store: Store) -> None:
        """A workflow that moved leaves its past where it was."""
        for epic_num, story_num in ((1, 2), (1, 3), (1, None), (2, 2), (1, 2)):
            store.save_context(a_context(epic_num=epic_num, story_num=story_num))
        stories = {(1, 2): [1, 5], (1, 3): [2], (1, None): [3], (2, 2): [4]}
        for story, versions in stories.items():
            assert facts(store.get_context_versions(*story)) == [("order-7", version) for version in versions]
            assert store.get_version_count(*story) == len(versions)

    @promise("VE12")
    def test_a_story_is_ordered_by_version_then_time_then_id(self, subject: Subject) -> None:
        """The order does not depend on that of the saves, and each version counts by its own time."""
        backend = subject.backend()
        hour = timedelta(hours=1)
        created = {"late": [EPOCH + hour, EPOCH - hour], "early": [EPOCH, EPOCH + hour], "first": [EPOCH - hour, EPOCH]}
        for version in (0, 1):
            for workflow_id, times in created.items():
                backend.save(a_save(workflow_id, created_at=times[version], updated_at=EPOCH))
        expected = [("first", 1), ("early", 1), ("late", 1), ("late", 2), ("first", 2), ("early", 2)]
        documents = backend.version(VersionRequest(of=Story(epic_num=1, story_num=2), want=Want.DOCUMENTS)).documents
        assert [(document.workflow_id, document.version) for document in documents] == expected

    @promise("VE12", "QU03")
    def test_equal_times_are_ordered_by_code_point_of_the_id(self, store: Store) -> None:
        """Ids compare as they are, by no collation."""
        store.save_contexts(a_context(workflow_id) for workflow_id in reversed(BY_CODE_POINT))
        assert facts(store.get_context_versions(1, 2)) == [(workflow_id, 1) for workflow_id in BY_CODE_POINT]

    @promise("VE12", "VE07")
    @pytest.mark.parametrize("story_num", [2, None])
    @pytest.mark.parametrize("want", [Want.HEADERS, Want.DOCUMENTS, Want.RECORDS])
    def test_a_story_is_whole_by_pages_and_backwards(self, subject: Subject, want: Want, story_num: int | None) -> None:
        """Every page of every size, in both directions, is the matching slice."""
        backend = subject.backend()
        saves = [a_save(workflow_id, story_num=story_num) for workflow_id in ("c", "a", "b") for _ in range(3)]
        apply(backend, *saves, a_save("other", story_num=5))
        forwards = [(workflow_id, version) for version in (1, 2, 3) for workflow_id in ("a", "b", "c")]
        story = Story(epic_num=1, story_num=story_num)
        for newest_first in (False, True):
            expected = forwards[::-1] if newest_first else forwards
            for limit in (None, 0, 1, 2, 4, 9, 10):
                for offset in (0, 1, 4, 8, 9, 10):
                    request = VersionRequest(of=story, want=want, limit=limit, offset=offset, newest_first=newest_first)
                    selection = backend.version(request)
                    page = expected[offset:][:limit]
                    headers = [(header.workflow_id, header.version) for header in selection.headers]
                    documents = [(document.workflow_id, document.version) for document in selection.documents]
                    assert headers == ([] if want is Want.DOCUMENTS else page)
                    assert documents == ([] if want is Want.HEADERS else page)
        assert backend.version(VersionRequest(of=story, want=Want.COUNT)).count == 9

    @promise("VE12")
    def test_story_headers_are_those_of_the_versions(self, subject: Subject) -> None:
        """A header says the same, listed by workflow or by story."""
        backend = subject.backend()
        moments = [EPOCH, EPOCH + timedelta(days=1)]
        for moment in moments:
            backend.save(a_save(created_at=moment, updated_at=moment, tags=["a"]))
        by_story = backend.version(VersionRequest(of=Story(epic_num=1, story_num=2))).headers
        assert list(by_story) == list(backend.version(VersionRequest(of="order-7")).headers)
        assert [header.created_at for header in by_story] == moments

    @promise("VE12", "DE02")
    def test_deleted_workflows_leave_their_story(self, subject: Subject) -> None:
        """Neither history nor count shows them, and a workflow saved again brings back nothing."""
        store = subject.open()
        store.save_contexts([a_context("a"), a_context("b"), a_context("a")])
        apply(subject.backend(), DeleteRequest(workflow_id="a"))
        assert facts(store.get_context_versions(1, 2)) == [("b", 1)]
        store.save_context(a_context("a"))
        assert facts(store.get_context_versions(1, 2)) == [("b", 1), ("a", 3)]
        assert store.get_version_count(1, 2) == 2
