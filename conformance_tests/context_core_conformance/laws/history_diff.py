"""Laws of diffs: what is different between two versions, to read and to apply."""

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from context_core import (
    ContextDiff,
    ContextNotFoundError,
    InvalidQueryError,
    PhaseTransition,
    VersionNotFoundError,
    WorkflowContext,
)
from context_core_conformance.promises import promise
from context_core_conformance.samples import EPOCH, a_context
from context_core_conformance.stateful.generated_values import GENERATED, json_objects
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Store, everything

LOOKALIKES: Final[tuple[Any, ...]] = (
    1,
    1.0,
    True,
    "1",
    0,
    0.0,
    -0.0,
    False,
    None,
    "",
    [],
    {},
    [1],
    [True],
    {"a": 1},
    {"a": 1.0},
    [[]],
)
"""Values that some comparison of Python's, or of a library's, takes for each other."""

_keys: Final = st.sampled_from(["a", "b", "", "0", "-", "~", "~1", "a/b", "a.b", "é"])
_scalars: Final = st.sampled_from([value for value in LOOKALIKES if not isinstance(value, list | dict)])
_trees: Final = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_keys, inner, max_size=3), max_leaves=12
)


@st.composite
def _pairs(draw: st.DrawFn) -> tuple[list[Any], list[Any]]:
    """A list and what became of it: items moved, doubled, dropped, put in, changed deep inside."""
    before = draw(st.lists(_trees, max_size=6))
    after = [*draw(st.permutations(before)), *draw(st.lists(_trees, max_size=2))]
    return before, after[draw(st.integers(0, 2)) :]


def exact(context: WorkflowContext) -> str:
    """Every field as JSON text, in which 1, 1.0, true and "1" differ, and 0.0 from -0.0."""
    return json.dumps(context.to_dict(), sort_keys=True)


def check_applies(before: WorkflowContext, after: WorkflowContext, diff: ContextDiff) -> None:
    """A diff applied to the first gives the second, to the bit, as often as it is applied."""
    for _ in range(2):
        assert exact(diff.apply(before)) == exact(after)
    assert bool(diff) is (exact(before) != exact(after))


class DiffLaws:
    @promise("VE11")
    def test_a_version_does_not_differ_from_itself(self, store: Store) -> None:
        """Nor from another of equal content: nothing to show, nothing to apply."""
        context = a_context(metadata={"n": [1, {"k": -0.0}]}, tags=["x"], errors=[True])
        store.save_contexts([context, context, a_context()])
        for a, b in ((1, 1), (2, 2), (3, 3), (1, 2), (2, 1)):
            diff = store.diff("order-7", a, b)
            assert (bool(diff), diff.changes, diff.patch, str(diff)) == (False, (), (), "")

    @promise("VE11")
    def test_a_diff_leads_from_each_version_to_each_other(self, store: Store) -> None:
        """Through every field that a context has, forwards and backwards."""
        first = a_context(decisions={"db": {"choice": "sqlite"}}, artifacts=["a", {"path": "b"}], tags=["x", "y"])
        second = first.transition_phase("build", at=EPOCH.replace(year=2026)).add_error({"code": 1}).add_artifact("c")
        third = a_context(story_num=None, status="failed", feature="other", unknown_fields={"newer": [1]})
        fourth = second.copy_with(phase_history=[PhaseTransition(phase="x", timestamp=EPOCH)], artifacts=["c", "a"])
        contexts = [first, second, third, fourth]
        store.save_contexts(contexts)
        for a, before in enumerate(contexts, start=1):
            for b, after in enumerate(contexts, start=1):
                check_applies(before, after, store.diff("order-7", a, b))

    @promise("VE11", "RT03")
    @pytest.mark.parametrize("field", ["decisions", "artifacts"])
    def test_a_diff_tells_lookalikes_apart(self, field: str) -> None:
        """1, 1.0, true and "1"; 0.0 and -0.0; null, empty and absent; in objects and in lists."""
        for old in LOOKALIKES:
            for new in LOOKALIKES:
                held: list[dict[str, Any]] = [
                    {field: {"k": value} if field == "decisions" else ["first", value, "last"]} for value in (old, new)
                ]
                before, after = (a_context(**fields) for fields in held)
                check_applies(before, after, ContextDiff.between(before, after))

    @promise("VE11")
    @GENERATED
    @given(before=json_objects, after=json_objects)
    def test_any_diff_applies(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        """Between any two JSON trees, whatever their keys hold."""
        one, other = a_context(metadata=before), a_context(metadata=after)
        check_applies(one, other, ContextDiff.between(one, other))

    @promise("VE11")
    @GENERATED
    @given(before=st.dictionaries(_keys, _trees, max_size=4), after=st.dictionaries(_keys, _trees, max_size=4))
    def test_a_diff_of_small_trees_applies(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        """Trees so small that their values and keys meet: keys come, go and change, values move between them."""
        one, other = a_context(decisions=before), a_context(decisions=after)
        check_applies(one, other, ContextDiff.between(one, other))

    @promise("VE11")
    @GENERATED
    @given(pair=_pairs())
    def test_a_diff_of_reordered_lists_applies(self, pair: tuple[list[Any], list[Any]]) -> None:
        """Lists whose items change places, also with others of nearly the same value."""
        one, other = a_context(artifacts=pair[0]), a_context(artifacts=pair[1])
        check_applies(one, other, ContextDiff.between(one, other))

    @promise("VE11")
    def test_a_diff_names_every_place(self, store: Store) -> None:
        """With what it held and what it holds, in the order of the fields."""
        store.save_context(a_context(decisions={"db": {"choice": "a", "gone": 1}}, artifacts=["x", "y"], epic_num=1))
        store.save_context(a_context(decisions={"db": {"choice": "b"}, "new": None}, artifacts=["x"], epic_num=2))
        assert str(store.diff("order-7", 1, 2)).splitlines() == [
            "~ epic_num: 1 -> 2",
            "~ decisions.db.choice: 'a' -> 'b'",
            "- decisions.db.gone: 1",
            "+ decisions.new: None",
            "- artifacts[1]: 'y'",
        ]

    @promise("VE11", "RT11")
    def test_applying_a_diff_changes_neither_argument_nor_diff(self) -> None:
        """What it gave may be changed without changing what it gives next."""
        before, after = a_context(metadata={"k": [1]}), a_context(metadata={"k": [1], "new": {"deep": [2]}})
        diff = ContextDiff.between(before, after)
        shown = exact(before), exact(after), str(diff)
        diff.apply(before).metadata["new"]["deep"].append("changed")
        diff.apply(before).metadata["k"].append("changed")
        assert (exact(before), exact(after), str(diff)) == shown
        assert diff.apply(before) == after

    @promise("VE11", "VE04")
    def test_a_diff_of_what_is_missing_is_refused(self, store: Store) -> None:
        """By the same errors as a load; a diff needs two numbers."""
        store.save_context(a_context())
        for a, b in ((1, 2), (2, 1), (0, 1)):
            with pytest.raises(VersionNotFoundError):
                store.diff("order-7", a, b)
        with pytest.raises(ContextNotFoundError) as caught:
            store.diff("missing", 1, 1)
        assert type(caught.value) is ContextNotFoundError
        wrong: Any
        for wrong in (None, True, "1", 1.0, 2**63):
            with pytest.raises(InvalidQueryError):
                store.diff("order-7", wrong, 1)
            with pytest.raises(InvalidQueryError):
                store.diff("order-7", 1, wrong)

    @promise("VE11")
    def test_a_diff_writes_nothing(self, subject: Subject) -> None:
        """It is a way of reading."""
        store = subject.open()
        store.save_contexts([a_context(), a_context(feature="other")])
        before = everything(subject.backend())
        store.diff("order-7", 1, 2).apply(store.load_context("order-7", version=1))
        assert everything(subject.backend()) == before
