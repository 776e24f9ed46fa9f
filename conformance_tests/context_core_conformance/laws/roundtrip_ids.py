"""Laws of the roundtrip group about ids, indexed text and numbers."""

from typing import Any, Final

import pytest

from context_core import InvalidContextError, PhaseTransition
from context_core.records import Story, VersionRequest, Want
from context_core_conformance.promises import promise
from context_core_conformance.samples import EPOCH, a_context
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Store, headers_of, refusal

IDS: Final = (
    *("a", "ab", "abc", "A", "aB", "a ", " a", "a\n", "a\t", "á", "a\u0301", "\uff41", "ß", "ss", "İ", "i"),
    *("/", "//", "a/b", "a/", "../a", ".", "..", "a.b", "a\\b", "%", "a%", "%a%", "_", "a_", "__", "a*", "a?", "[a]"),
    *("1", "01", "1.0", "1e0", "+1", "0x1", "-1", "0", "null", "None", "NULL", "true", "True"),
    *(
        "'",
        '"',
        "''",
        "`",
        "a'; DROP TABLE workflow_context; --",
        "$a",
        ":a",
        "@a",
        "#a",
        "a?b=c&d",
        "{}",
        "%00",
        "%2F",
    ),
    *("👩‍👩‍👧", "👩", "\u200f", "\ufeff", "\uffff", "\U0010ffff", "\x01", "\x7f", "con", "日本"),
    *("x" * 254, "x" * 255, "X" * 255, "😀" * 254, "😀" * 255, "é" * 255),
)
"""Ids that a file system, a collation, a pattern, a number's affinity or a shell would mix up."""

TEXT_FIELDS: Final = ("feature", "workflow_name", "current_phase")
NUMBERS: Final = (1, 2, 127, 128, 255, 256, 2**15, 2**16, 2**31 - 1, 2**31, 2**32, 2**53, 2**53 + 1, 2**63 - 1)


class IdRoundtripLaws:
    """Laws about what stands in columns of its own."""

    @promise("RT13")
    def test_similar_ids_stay_apart(self, store: Store) -> None:
        """Each id is a workflow of its own, found by itself and by nothing else."""
        contexts = [a_context(workflow_id, metadata={"id": workflow_id}) for workflow_id in IDS]
        assert [store.save_context(context) for context in contexts] == [1] * len(IDS)
        assert [store.load_context(workflow_id) for workflow_id in IDS] == contexts
        assert store.load_contexts(IDS) == contexts
        for context in contexts:
            assert store.search_contexts({"workflow_id": context.workflow_id}) == [context]
            assert [header.workflow_id for header in store.history(context.workflow_id)] == [context.workflow_id]
        assert sorted(context.workflow_id for context in store.search_contexts()) == sorted(IDS)

    @promise("RT13", "VE01")
    def test_saves_under_similar_ids_number_apart(self, store: Store) -> None:
        """Saving one again moves none of the others, in a batch too."""
        store.save_contexts(a_context(workflow_id) for workflow_id in IDS)
        for workflow_id in IDS:
            assert store.save_context(a_context(workflow_id)) == 2
        assert store.save_contexts(a_context(workflow_id) for workflow_id in reversed(IDS)) == [3] * len(IDS)

    @promise("RT13")
    @pytest.mark.parametrize(
        "workflow_id", ["", "x" * 256, "😀" * 256, "a" * 100_000], ids=["empty", "256", "emoji", "huge"]
    )
    def test_ids_that_are_empty_or_too_long_are_refused(self, store: Store, workflow_id: str) -> None:
        """Over 255 characters, or none, is refused: never cut, and never looked up."""
        for action in (
            a_context,
            store.load_context,
            store.delete_context,
            store.history,
            store.context_exists,
            lambda wanted: store.load_contexts(["a", wanted]),
            lambda wanted: store.rollback(wanted, 1),
        ):
            with pytest.raises(InvalidContextError) as caught:
                action(workflow_id)
            assert caught.value.field == "workflow_id"

    @promise("RT05", "RT13")
    @pytest.mark.parametrize("text", ["a\0", "\0", "\ud800", "a\udfff", "x" * 256, 1, True, None, b"a"], ids=repr)
    @pytest.mark.parametrize("field", ["workflow_id", *TEXT_FIELDS])
    def test_indexed_text_that_no_column_holds_is_refused(self, field: str, text: Any) -> None:
        """NUL, half characters, more than 255 characters and other types never reach a driver."""
        with pytest.raises(InvalidContextError) as caught:
            a_context(**{field: text})
        assert caught.value.field == field
        with pytest.raises(InvalidContextError):
            a_context().copy_with(**{field: text})

    @promise("RT05")
    @pytest.mark.parametrize("phase", ["a\0", "\ud800", "x" * 256])
    def test_phases_keep_the_rule_of_indexed_text(self, phase: str) -> None:
        """A phase that was left stood in a column once."""
        with pytest.raises(InvalidContextError):
            PhaseTransition(phase=phase, timestamp=EPOCH)
        with pytest.raises(InvalidContextError):
            a_context().transition_phase(phase)

    @promise("RT04", "RT05")
    @pytest.mark.parametrize(
        "text",
        [
            "",
            " ",
            "a ",
            "A",
            "é",
            "e\u0301",
            "\r\n",
            "1.0",
            "007",
            "1e3",
            "null",
            "%_",
            "x" * 255,
            "😀" * 255,
            "\U0010ffff",
        ],
        ids=ascii,
    )
    @pytest.mark.parametrize("field", TEXT_FIELDS)
    def test_indexed_text_is_kept_to_the_character(self, subject: Subject, field: str, text: str) -> None:
        """The column and the document hold the same text, up to 255 characters of any kind."""
        store = subject.open()
        store.save_context(a_context(**{field: text}))
        assert getattr(store.load_context("order-7"), field) == text
        assert [getattr(header, field) for header in headers_of(subject.backend(), "order-7")] == [text]
        assert [context.workflow_id for context in store.search_contexts({field: text})] == ["order-7"]

    @promise("RT04", "RT05")
    @pytest.mark.parametrize(
        "tags", [[], [""], ["a", "a"], ["b", "a"], ["a,b", '"', "[]"], ["1"], [" a "], ["x" * 1000], ["é", "e\u0301"]]
    )
    def test_tags_keep_order_and_repeats(self, subject: Subject, tags: list[str]) -> None:
        """Tags are a list of text, not a set and not a joined text."""
        store = subject.open()
        store.save_context(a_context(tags=tags))
        assert store.load_context("order-7").tags == tags
        assert [header.tags for header in headers_of(subject.backend(), "order-7")] == [tuple(tags)]

    @promise("RT05")
    def test_a_tag_with_nul_is_kept_or_refused(self, store: Store) -> None:
        """What an engine's column may not hold is never cut."""
        if refusal(InvalidContextError, lambda: store.save_context(a_context(tags=["a\0b"]))) is not None:
            assert not store.context_exists("order-7")
            return
        assert store.load_context("order-7").tags == ["a\0b"]
        assert len(store.search_contexts({"tags__contains": "a\0b"})) == 1
        assert store.search_contexts({"tags__contains": "a"}) == []

    @promise("RT01", "RT16")
    @pytest.mark.parametrize("number", NUMBERS)
    def test_story_numbers_are_kept_up_to_64_bits(self, subject: Subject, number: int) -> None:
        """Neighbours of a large number are other stories."""
        store = subject.open()
        store.save_context(a_context(epic_num=number, story_num=number))
        (header,) = headers_of(subject.backend(), "order-7")
        assert (header.epic_num, header.story_num) == (number, number)
        found = store.get_latest_context(number, number)
        assert found is not None
        assert (found.epic_num, found.story_num) == (number, number)
        for other in {number - 1, number + 1} - {0, 2**63}:
            assert store.get_latest_context(number, other) is None
            assert store.get_latest_context(other, number) is None
            assert store.get_version_count(other, number) == 0

    @promise("RT16")
    @pytest.mark.parametrize("number", [0, -1, 2**63, 1.0, True, "1"])
    def test_numbers_that_count_no_story_are_refused(self, number: Any) -> None:
        """Epics and stories count from 1, in 64 bits, and are ints."""
        for field in ("epic_num", "story_num"):
            with pytest.raises(InvalidContextError) as caught:
                a_context(**{field: number})
            assert caught.value.field == field

    @promise("RT16", "VE12")
    @pytest.mark.parametrize("number", [0, -1, -(2**63), 2**63 - 1, 1])
    def test_no_number_stands_for_the_epic_level(self, subject: Subject, number: int) -> None:
        """A workflow without a story is found under None, never under a number that might stand for it."""
        store = subject.open()
        context = a_context(story_num=None)
        store.save_context(context)
        assert store.load_context("order-7").story_num is None
        assert store.get_latest_context(1, None) == context
        assert store.search_contexts({"epic_num": 1, "story_num": None}) == [context]
        assert store.get_latest_context(1, number) is None
        assert store.search_contexts({"story_num": number}) == []
        assert store.get_version_count(1, number) == 0
        assert store.get_context_versions(1, number) == []
        request = VersionRequest(of=Story(epic_num=1, story_num=number), want=Want.RECORDS)
        assert list(subject.backend().version(request).documents) == []

    @promise("RT16")
    def test_a_story_is_not_found_at_the_epic_level(self, store: Store) -> None:
        """None finds what has no story, and nothing else."""
        store.save_context(a_context("epic", story_num=None))
        store.save_context(a_context("story", story_num=1))
        assert [context.workflow_id for context in store.search_contexts({"story_num": None})] == ["epic"]
        assert [context.workflow_id for context in store.search_contexts({"story_num__isnull": False})] == ["story"]
        assert [context.workflow_id for context in store.search_contexts({"story_num": 1})] == ["story"]
        assert len(store.get_contexts_by_epic(1)) == 2
