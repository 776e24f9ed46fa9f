"""Laws of equality: of objects, of tags, and of ids that look alike."""

import itertools
from typing import Any, Final

import pytest

from context_core import Capability
from context_core.records import DeleteRequest
from context_core_conformance.promises import promise
from context_core_conformance.restoring import tombstones
from context_core_conformance.samples import a_context
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Store, apply, headers_of

OBJECTS: Final[tuple[tuple[Any, Any], ...]] = (
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ({"a": {"b": 1, "c": [True, {"d": 1, "e": None}]}}, {"a": {"c": [True, {"e": None, "d": 1}], "b": 1}}),
    ([{"a": 1, "b": 2}, {"c": 3}], [{"b": 2, "a": 1}, {"c": 3}]),
    ({"n": 1, "m": 2.0}, {"m": 2, "n": 1.0}),
    ({"ä": 1, "a\u0308": 2, "A": 3}, {"A": 3, "a\u0308": 2, "ä": 1}),
)
"""Pairs of equal values: objects whose keys stand in another order."""

UNEQUAL: Final[tuple[tuple[Any, Any], ...]] = (
    ({"a": 1, "b": 2}, {"a": 2, "b": 1}),
    ({"a": 1}, {"a": 1, "b": None}),
    ([{"a": 1}, {"b": 2}], [{"b": 2}, {"a": 1}]),
    ({"a": [1, 2]}, {"a": [2, 1]}),
    ({"a": 1, "b": True}, {"b": 1, "a": 1}),
)
"""Pairs of which another order of keys is not all."""

INVISIBLE: Final = {
    "zero width space": "\u200b",
    "zero width non-joiner": "\u200c",
    "zero width joiner": "\u200d",
    "word joiner": "\u2060",
    "soft hyphen": "\u00ad",
    "byte order mark": "\ufeff",
    "left-to-right mark": "\u200e",
    "right-to-left mark": "\u200f",
    "bidirectional override": "\u202e",
    "variation selector": "\ufe0f",
    "combining grapheme joiner": "\u034f",
    "Hangul filler": "\u3164",
    "tag character": "\U000e0061",
    "control character": "\x01",
    "no-break space": "\u00a0",
}
"""Characters that a collation gives no weight, or that a font shows as nothing."""

ALIKE: Final = {
    "ligature": ("fi", "\ufb01"),
    "width": ("A", "\uff21"),
    "Greek and Latin": ("A", "\u0391"),
    "Cyrillic and Latin": ("a", "\u0430"),
    "dotless i": ("i", "\u0131"),
    "final sigma": ("\u03c3", "\u03c2"),
    "long s": ("s", "\u017f"),
    "Kelvin": ("K", "\u212a"),
    "order of accents": ("a\u0323\u0307", "a\u0307\u0323"),
    "kana": ("\u304b", "\u30ab"),
    "digits": ("1", "\u0661"),
    "superscript": ("2", "\u00b2"),
}

PAIRS: Final = {
    **{
        f"{name} {where}": pair
        for name, mark in INVISIBLE.items()
        for where, pair in {
            "inside": ("order7", f"order{mark}7"),
            "before": ("order7", f"{mark}order7"),
            "behind": ("order7", f"order7{mark}"),
            "alone": (mark, mark * 2),
        }.items()
    },
    **{name: (f"order{one}", f"order{other}") for name, (one, other) in ALIKE.items()},
}
"""Pairs of ids that one collation or another takes for one."""

SEPARATORS: Final = (
    ",",
    ", ",
    ";",
    "|",
    " ",
    "\n",
    "\r\n",
    "\t",
    "\x1c",
    "\x1e",
    "\x1f",
    "/",
    ":",
    '"',
    '","',
    "'",
    "\\",
    "[",
    "]",
    "{}",
    "\u2028",
    "",
)

each_separator: Final = pytest.mark.parametrize("separator", SEPARATORS, ids=ascii)


class QueryEqualityLaws:
    @promise("QU03", "QU01")
    def test_objects_are_equal_whatever_the_order_of_their_keys(self, subject: Subject) -> None:
        """At the top and inside of lists and objects, by `eq`, `ne`, `in` and `contains`, stored and asked either way."""
        subject.requires(Capability.JSON_PATHS)
        store = subject.open()
        pairs = [*OBJECTS, *((other, one) for one, other in OBJECTS)]
        pairs = [*pairs, *UNEQUAL]
        for number, (stored, _) in enumerate(pairs):
            fields: dict[str, Any] = {"decisions": {"v": stored}, "artifacts": [0, stored]}
            store.save_context(a_context(f"w{number:02}", epic_num=number + 1, **fields))
        for number, (_, asked) in enumerate(pairs):
            is_equal = number < 2 * len(OBJECTS)
            only = {"epic_num": number + 1}
            for filters in (
                {"decisions.v": asked},
                {"decisions.v__in": ["none", asked]},
                {"decisions": {"v": asked}},
                {"artifacts__contains": asked},
                {"artifacts": [0, asked]},
            ):
                assert (asked, store.count_contexts(only | filters)) == (asked, int(is_equal))
            assert (asked, store.count_contexts(only | {"decisions.v__ne": asked})) == (asked, int(not is_equal))

    @promise("RT07")
    def test_the_order_of_keys_is_kept_though_it_makes_no_difference(self, store: Store) -> None:
        """What is equal is not made the same."""
        orders = [dict(items) for items in itertools.permutations((("b", 1), ("a", 2), ("c", {"z": 1, "y": 2})))]
        store.save_contexts(a_context(f"w{number}", metadata=order) for number, order in enumerate(orders))
        for number, order in enumerate(orders):
            loaded = store.load_context(f"w{number}").metadata
            assert (list(loaded), list(loaded["c"])) == (list(order), ["z", "y"])

    @promise("RT13")
    @pytest.mark.parametrize("pair", PAIRS)
    def test_ids_that_a_collation_takes_for_one_stay_apart(self, subject: Subject, pair: str) -> None:
        """In saves, loads, searches, deletes and tombstones, and in the order of a list."""
        one, other = PAIRS[pair]
        store, backend = subject.open(), subject.backend()
        assert store.save_context(a_context(one, feature="one")) == 1
        assert not store.context_exists(other)
        assert store.load_contexts([other, one]) == [a_context(one, feature="one")]
        assert store.save_contexts([a_context(other, feature="other"), a_context(other, feature="other")]) == [1, 2]
        assert (store.load_context(one).feature, store.load_context(other).feature) == ("one", "other")
        assert [header.workflow_id for header in headers_of(backend, one)] == [one]
        for operator, value in (("eq", other), ("in", [other]), ("prefix", other)):
            found = [each.workflow_id for each in store.search_contexts({f"workflow_id__{operator}": value})]
            assert found == [
                each for each in (one, other) if each == other or (operator == "prefix" and each.startswith(other))
            ]
        assert [each.workflow_id for each in store.list_headers(order_by="workflow_id")] == sorted((one, other))
        apply(backend, DeleteRequest(workflow_id=other))
        assert [each.workflow_id for each in tombstones(backend)] == [other]
        assert store.load_context(one).version == 1
        assert store.save_context(a_context(one)) == 2

    @promise("RT13", "RT04")
    @pytest.mark.parametrize("field", ["feature", "workflow_name", "current_phase"])
    def test_indexed_text_that_a_collation_takes_for_one_is_found_apart(self, store: Store, field: str) -> None:
        """By the other columns of text too, whatever index they have."""
        texts = sorted({text for pair in PAIRS.values() for text in pair})
        store.save_contexts(a_context(f"w{number:03}", **{field: text}) for number, text in enumerate(texts))
        for number, text in enumerate(texts):
            assert [each.workflow_id for each in store.search_contexts({field: text})] == [f"w{number:03}"]
        assert [getattr(each, field) for each in store.list_headers(order_by=field)] == texts

    @promise("ID01", "RT13")
    def test_keys_that_a_collation_takes_for_one_stay_apart(self, subject: Subject) -> None:
        """Each makes a version of its own."""
        subject.requires(Capability.IDEMPOTENCY)
        store = subject.open()
        texts = sorted({text for pair in PAIRS.values() for text in pair})
        versions = [store.save_context(a_context(feature=f"f{n}"), idempotency_key=key) for n, key in enumerate(texts)]
        assert versions == list(range(1, len(texts) + 1))
        assert [header.idempotency_key for header in store.history("order-7")] == texts

    @promise("RT04", "QU05")
    @each_separator
    def test_a_separator_inside_of_a_tag_parts_nothing(self, subject: Subject, separator: str) -> None:
        """One tag that holds it is not two tags; neither is found by a part, and an empty tag is a tag."""
        store, backend = subject.open(), subject.backend()
        lists: list[list[str]] = [[], [""], ["", ""], ["a"], ["a", ""], ["", "a"], ["a", "b"], ["b", "a"]]
        joined = [[f"a{separator}b"], [f"a{separator}"], [f"{separator}a"], [separator], [f"a{separator}b", "c"]]
        lists += [tags for tags in joined if tags not in lists]
        store.save_contexts(a_context(f"w{number:02}", tags=tags) for number, tags in enumerate(lists))
        names = {f"w{number:02}": tags for number, tags in enumerate(lists)}
        for name, tags in names.items():
            assert store.load_context(name).tags == tags
            assert [header.tags for header in headers_of(backend, name)] == [tuple(tags)]
            assert [each.workflow_id for each in store.search_contexts({"tags": tags})] == [name]
        for tag in sorted({tag for tags in lists for tag in tags}):
            expected = sorted(name for name, tags in names.items() if tag in tags)
            assert (tag, sorted(each.workflow_id for each in store.list_headers({"tags__contains": tag}))) == (
                tag,
                expected,
            )
