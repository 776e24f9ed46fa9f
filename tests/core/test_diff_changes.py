"""What the difference of two contexts says."""

from context_core import WorkflowContext
from context_core.diff import ABSENT, Change, ContextDiff

BASE = WorkflowContext("order-7", 1, 2, "checkout", "implement_story", decisions={"db": {"choice": "sqlite", "n": 1}})


def changes(**fields: object) -> tuple[Change, ...]:
    return ContextDiff.between(BASE, BASE.copy_with(updated_at=BASE.updated_at, **fields)).changes


def test_equal_contexts_have_no_changes() -> None:
    """Nothing is different between a context and itself."""
    assert changes() == ()


def test_nested_keys_are_named_one_by_one() -> None:
    """A change deep inside does not show the whole field."""
    after = {"db": {"choice": "postgres", "n": 1, "why": None}}
    assert changes(decisions=after) == (
        Change("decisions.db.choice", "sqlite", "postgres"),
        Change("decisions.db.why", ABSENT, None),
    )


def test_removed_key_is_absent_after() -> None:
    """What is gone is told apart from what became None."""
    assert changes(decisions={"db": {"choice": "sqlite"}}) == (Change("decisions.db.n", 1, ABSENT),)


def test_lists_compare_place_by_place() -> None:
    """An item at the end is one change."""
    assert changes(artifacts=["a", "b"]) == (Change("artifacts[0]", ABSENT, "a"), Change("artifacts[1]", ABSENT, "b"))


def test_types_are_told_apart() -> None:
    """1, 1.0 and True are three values."""
    assert changes(decisions={"db": {"choice": "sqlite", "n": True}}) == (Change("decisions.db.n", 1, True),)
