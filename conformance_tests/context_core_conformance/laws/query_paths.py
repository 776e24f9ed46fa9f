"""Laws of looking into free-form fields: keys as segments, and JSON values compared by one table."""

from typing import Any, Final

import pytest

from context_core import Capability, JsonPath, UnsupportedOperationError
from context_core_conformance.promises import promise
from context_core_conformance.samples import a_context
from context_core_conformance.skipping import refuses
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Store

CORPUS: Final[dict[str, dict[str, Any]]] = {
    "absent": {},
    "big": {"v": 2**53 + 1},
    "bool": {"v": True},
    "empty": {"v": ""},
    "false": {"v": False},
    "float": {"v": 1.0},
    "half": {"v": 0.5},
    "int": {"v": 1},
    "list": {"v": [1]},
    "null": {"v": None},
    "object": {"v": {"k": 1}},
    "text": {"v": "1"},
    "true-text": {"v": "true"},
    "zero": {"v": 0},
}
"""One workflow a JSON value, under `decisions.v`."""

EQUALS: Final[tuple[tuple[Any, list[str]], ...]] = (
    (None, ["absent", "null"]),
    (True, ["bool"]),
    (False, ["false"]),
    (1, ["float", "int"]),
    (1.0, ["float", "int"]),
    (0, ["zero"]),
    (-0.0, ["zero"]),
    (2**53, []),
    (2**53 + 1, ["big"]),
    ("1", ["text"]),
    ("true", ["true-text"]),
    ("", ["empty"]),
    ("null", []),
    ([1], ["list"]),
    ([True], []),
    ([], []),
    ({"k": 1.0}, ["object"]),
    ({"k": True}, []),
    ({}, []),
)
"""What equals what."""

RANGES: Final[tuple[tuple[str, Any, list[str]], ...]] = (
    ("gt", 0, ["big", "float", "half", "int"]),
    ("gte", 1, ["big", "float", "int"]),
    ("lt", 1, ["half", "zero"]),
    ("lt", 0.25, ["zero"]),
    ("gt", 2**53, ["big"]),
    ("gt", float(2**53), ["big"]),
    ("gte", "", ["empty", "text", "true-text"]),
    ("lt", "2", ["empty", "text"]),
    ("gte", True, []),
    ("lte", [1], []),
    ("gte", {"k": 1}, []),
)
"""Ranges hold between two numbers or between two texts."""

KEYS: Final = (
    *("plain", "a.b", "a..b", ".", 'say "it"', "it's", "[0]", "a[0].b", "$", "$.a", "", " ", "0", "-1", "#", "#-1"),
    *("%", "_", "*", "\\", "\\u0041", "a\tb\n", "a\0b", "é", "e\u0301", "😀", "__eq", "a__gt", "'; DROP TABLE x; --"),
)
"""Keys that path languages are tempted to read something into."""


def found(store: Store, filters: Any) -> list[str]:
    """The ids that a search finds, sorted."""
    return [context.workflow_id for context in store.search_contexts(filters, order_by="workflow_id")]


class QueryPathLaws:
    @pytest.fixture
    def corpus(self, subject: Subject) -> Store:
        """A store that holds the corpus."""
        subject.requires(Capability.JSON_PATHS)
        store = subject.open()
        store.save_contexts([a_context(name, decisions=decisions) for name, decisions in CORPUS.items()])
        return store

    @promise("QU04", "QU05")
    def test_a_path_does_not_step_into_lists(self, subject: Subject) -> None:
        """A key below a list leads to nothing, also where an object in the list has it; so does a number as a key."""
        subject.requires(Capability.JSON_PATHS)
        store = subject.open()
        store.save_context(a_context("list", metadata={"items": [{"name": "x"}, {"0": "x"}, "x"]}))
        store.save_context(a_context("object", metadata={"items": {"name": "x", "0": "x"}}))
        for key in ("name", "0"):
            path = JsonPath("metadata", "items", key)
            assert [each.workflow_id for each in store.search_contexts({path: "x"})] == ["object"]
            assert [each.workflow_id for each in store.search_contexts({(path, "isnull"): True})] == ["list"]
            assert [each.workflow_id for each in store.search_contexts({(path, "in"): ["x", "y"]})] == ["object"]

    @promise("QU02", "QU03")
    def test_json_values_are_equal_by_one_table(self, corpus: Store) -> None:
        """The value true is not 1, 1 is 1.0, text is no number, null and absent are one; in lists and objects too."""
        for value, expected in EQUALS:
            assert (value, found(corpus, {"decisions.v": value})) == (value, expected)

    @promise("QU02", "QU03")
    def test_not_equal_is_the_opposite_of_equal(self, corpus: Store) -> None:
        """What is not equal is found by `ne`, the absent included."""
        for value, equal in EQUALS:
            assert found(corpus, {"decisions.v__ne": value}) == [name for name in CORPUS if name not in equal]

    @promise("QU02", "QU03")
    def test_in_is_equal_to_any(self, corpus: Store) -> None:
        """`in` finds what `eq` finds for one of the values."""
        assert found(corpus, {"decisions.v__in": [None, True, "1"]}) == ["absent", "bool", "null", "text"]
        assert found(corpus, {"decisions.v__in": [[1], {"k": 1}]}) == ["list", "object"]
        assert found(corpus, {"decisions.v__in": [1]}) == ["float", "int"]
        assert found(corpus, {"decisions.v__in": []}) == []

    @promise("QU03")
    def test_ranges_hold_between_two_of_a_kind(self, corpus: Store) -> None:
        """Numbers with numbers, by value and exactly; text with text; nothing else."""
        for operator, value, expected in RANGES:
            assert (operator, value, found(corpus, {f"decisions.v__{operator}": value})) == (operator, value, expected)

    @promise("QU02")
    def test_null_and_absent_are_one(self, corpus: Store) -> None:
        """`isnull` holds for a null, a missing key, and a path that leads through something else."""
        assert found(corpus, {"decisions.v__isnull": True}) == ["absent", "null"]
        assert found(corpus, {"decisions.v.k__isnull": False}) == ["object"]
        assert found(corpus, {"decisions.v.k": None}) == [name for name in CORPUS if name != "object"]

    @promise("QU03")
    def test_integers_beyond_64_bits_signed_are_exact(self, subject: Subject) -> None:
        """Between 2^63 and 2^64 each integer is equal to itself alone."""
        subject.requires(Capability.JSON_PATHS)
        store = subject.open()
        numbers = {"a": 2**63 - 1, "b": 2**63, "c": 2**63 + 1, "d": 2**64 - 1, "e": float(2**63), "f": -(2**63)}
        store.save_contexts([a_context(name, metadata={"n": number}) for name, number in numbers.items()])
        assert found(store, {"metadata.n": 2**63 + 1}) == ["c"]
        assert found(store, {"metadata.n": 2**63}) == ["b", "e"]
        assert found(store, {"metadata.n__gt": 2**63}) == ["c", "d"]
        assert found(store, {"metadata.n__lt": 0}) == ["f"]

    @promise("QU03", "QU07")
    def test_text_below_a_path_is_compared_by_code_point(self, subject: Subject) -> None:
        """Planes, normal forms, case and NUL are kept apart, and a prefix takes wildcards as text."""
        subject.requires(Capability.JSON_PATHS)
        store = subject.open()
        texts = {
            "a": "\uffff",
            "b": "\U0001f600",
            "c": "e\u0301",
            "d": "\u00e9",
            "e": "x\0y",
            "f": "x",
            "g": "a%b",
            "h": "A%b",
        }
        store.save_contexts([a_context(name, metadata={"t": text}) for name, text in texts.items()])
        assert found(store, {"metadata.t__gt": "\uffff"}) == ["b"]
        assert found(store, {"metadata.t": "\u00e9"}) == ["d"]
        assert found(store, {"metadata.t": "x"}) == ["f"]
        assert found(store, {"metadata.t": "x\0y"}) == ["e"]
        assert found(store, {"metadata.t__prefix": "x"}) == ["e", "f"]
        assert found(store, {"metadata.t__prefix": "a%"}) == ["g"]
        assert found(store, {"metadata.t__prefix": "a_"}) == []

    @promise("QU04")
    @pytest.mark.parametrize("field", ["decisions", "metadata"])
    def test_keys_are_segments_whatever_they_hold(self, subject: Subject, field: str) -> None:
        """Each key is addressed as it is, alone and below another, and no key stands for another."""
        subject.requires(Capability.JSON_PATHS)
        store = subject.open()
        store.save_contexts(
            [
                a_context(f"w{number:02}", **{field: {key: number, "in": {key: number}}})
                for number, key in enumerate(KEYS)
            ]
        )
        for number, key in enumerate(KEYS):
            for path in (JsonPath(field, key), JsonPath(field, "in", key)):
                assert (path, found(store, {path: number})) == (path, [f"w{number:02}"])
                assert (path, found(store, {(path, "isnull"): False})) == (path, [f"w{number:02}"])

    @promise("QU04")
    def test_dots_part_the_keys_of_a_plain_path(self, subject: Subject) -> None:
        """`decisions.a.b` leads through `a` to `b`; the key `a.b` needs a JsonPath."""
        subject.requires(Capability.JSON_PATHS)
        store = subject.open()
        store.save_contexts([a_context("deep", decisions={"a": {"b": 1}}), a_context("flat", decisions={"a.b": 1})])
        assert found(store, {"decisions.a.b": 1}) == ["deep"]
        assert found(store, {JsonPath("decisions", "a", "b"): 1}) == ["deep"]
        assert found(store, {JsonPath("decisions", "a.b"): 1}) == ["flat"]

    @promise("QU04")
    def test_a_path_does_not_lead_into_lists(self, subject: Subject) -> None:
        """A key is no position: below a list there is nothing."""
        subject.requires(Capability.JSON_PATHS)
        store = subject.open()
        store.save_context(a_context("w", decisions={"l": ["x"], "o": {"0": "x"}}))
        assert found(store, {"decisions.l.0": "x"}) == []
        assert found(store, {"decisions.o.0": "x"}) == ["w"]

    @promise("QU04")
    def test_free_form_fields_do_not_mix(self, subject: Subject) -> None:
        """A key of one field is not found in another, nor among the document's own fields."""
        subject.requires(Capability.JSON_PATHS)
        store = subject.open()
        store.save_contexts([a_context("d", decisions={"k": 1}), a_context("m", metadata={"k": 1})])
        assert found(store, {"decisions.k": 1}) == ["d"]
        assert found(store, {"metadata.k": 1}) == ["m"]
        assert found(store, {"metadata.status__isnull": False}) == []

    @promise("QU05")
    def test_contains_an_item_is_not_equals_a_list(self, subject: Subject) -> None:
        """`contains` looks for an item of a list, by the table; text, objects and lists of lists hold none."""
        subject.requires(Capability.JSON_PATHS)
        store = subject.open()
        values = {
            "flat": [1, "x"],
            "nested": [[1]],
            "none": [],
            "null": [None],
            "object": {"x": 1},
            "text": "x1",
            "true": [True],
        }
        store.save_contexts([a_context(name, decisions={"v": value}) for name, value in values.items()])
        assert found(store, {"decisions.v__contains": 1}) == ["flat"]
        assert found(store, {"decisions.v__contains": 1.0}) == ["flat"]
        assert found(store, {"decisions.v__contains": "x"}) == ["flat"]
        assert found(store, {"decisions.v__contains": True}) == ["true"]
        assert found(store, {"decisions.v__contains": None}) == ["null"]
        assert found(store, {"decisions.v__contains": [1]}) == ["nested"]
        assert found(store, {"decisions.v": [[1]]}) == ["nested"]
        assert found(store, {"decisions.v": []}) == ["none"]

    @promise("QU05")
    def test_artifacts_and_errors_can_be_asked_about(self, subject: Subject) -> None:
        """A free-form list contains an item, objects included, and equals a whole list in its order."""
        subject.requires(Capability.JSON_PATHS)
        store = subject.open()
        store.save_contexts([a_context("a", artifacts=["x", {"p": 1}]), a_context("b", errors=["x"]), a_context("c")])
        assert found(store, {"artifacts__contains": "x"}) == ["a"]
        assert found(store, {"artifacts__contains": {"p": 1.0}}) == ["a"]
        assert found(store, {"artifacts": [{"p": 1}, "x"]}) == []
        assert found(store, {"errors": ["x"]}) == ["b"]
        assert found(store, {"errors": []}) == ["a", "c"]

    @promise("QU04", "ER08")
    @refuses(Capability.JSON_PATHS)
    def test_paths_are_refused_where_they_are_not_declared(self, subject: Subject) -> None:
        """A driver that cannot look into documents says so, and never answers as if nothing matched."""
        store = subject.open()
        store.save_context(a_context("w", decisions={"k": 1}))
        if Capability.JSON_PATHS in subject.capabilities:
            assert found(store, {"decisions.k": 1}) == ["w"]
        else:
            with pytest.raises(UnsupportedOperationError):
                store.search_contexts({"decisions.k": 1})
