"""Versions: the story's list of tests."""

from datetime import timedelta

from context_core_conformance.samples import EPOCH, a_context

PHASES = ["plan", "build", "test", "ship"]


def save_phases(store, workflow_id="order-7"):
    for position, phase in enumerate(PHASES):
        moment = EPOCH + timedelta(minutes=position)
        store.save_context(a_context(workflow_id, current_phase=phase, updated_at=moment))


def test_all_versions_are_returned(store):
    """Of all workflows of a story."""
    save_phases(store)
    store.save_context(a_context("order-8"))
    store.save_context(a_context("other", story_num=5))
    assert len(store.get_context_versions(1, 2)) == 5
    assert store.get_version_count(1, 2) == 5


def test_versions_come_in_order(store):
    """Oldest first."""
    save_phases(store)
    assert [context.current_phase for context in store.get_context_versions(1, 2)] == PHASES
    assert [context.version for context in store.get_context_versions(1, 2)] == [1, 2, 3, 4]


def test_each_version_is_one_more_than_the_last(store):
    """Per workflow."""
    save_phases(store)
    save_phases(store, "order-8")
    for workflow_id in ("order-7", "order-8"):
        assert [header.version for header in store.history(workflow_id)] == [1, 2, 3, 4]


def test_a_version_never_changes(store):
    """Not by later saves, and not by changing what was saved or loaded."""
    context = a_context(decisions={"a": [1]})
    store.save_context(context)
    context.decisions["a"].append(2)
    store.load_context("order-7").decisions.clear()
    store.save_context(context)
    assert store.get_context_by_version("order-7", 1).decisions == {"a": [1]}
    assert store.get_context_by_version("order-7", 2).decisions == {"a": [1, 2]}


def test_a_version_that_does_not_exist_is_none(store):
    """No error: the question was whether."""
    save_phases(store)
    assert store.get_context_by_version("order-7", 9) is None
    assert store.get_context_by_version("order-9", 1) is None
