"""Loading, deleting and existing: the story's list of tests."""

from datetime import timedelta

import pytest

from context_core import ContextNotFoundError
from context_core_conformance.samples import EPOCH, a_context


def created(days, workflow_id, **fields):
    moment = EPOCH + timedelta(days=days)
    return a_context(workflow_id, created_at=moment, updated_at=moment, **fields)


def test_a_load_retrieves_the_context(store):
    """By its id."""
    store.save_contexts([a_context("a", feature="x"), a_context("b", feature="y")])
    assert store.load_context("b").feature == "y"


def test_a_load_of_nothing_raises(store):
    """The error names the id."""
    with pytest.raises(ContextNotFoundError, match="order-9") as caught:
        store.load_context("order-9")
    assert caught.value.workflow_id == "order-9"


def test_a_load_deserializes_complex_fields(store, complex_fields):
    """Each with its type."""
    store.save_context(a_context(**complex_fields))
    loaded = store.load_context("order-7")
    for name, value in complex_fields.items():
        assert getattr(loaded, name) == value
        assert type(getattr(loaded, name)) is type(value)


def test_the_latest_context_is_the_most_recently_created(store):
    """Of the workflows of a story, whatever was saved last."""
    store.save_contexts([created(0, "old"), created(2, "new"), created(1, "middle"), created(3, "other", story_num=3)])
    store.save_context(created(0, "old"))
    assert store.get_latest_context(1, 2).workflow_id == "new"


def test_the_latest_context_of_an_epic_has_no_story(store):
    """Story None is the epic level, not "any story"."""
    store.save_contexts([created(0, "epic", story_num=None), created(1, "story")])
    assert store.get_latest_context(1, None).workflow_id == "epic"
    assert store.get_latest_context(1).workflow_id == "epic"


def test_there_may_be_no_latest_context(store):
    """Then it is None."""
    store.save_context(a_context())
    assert store.get_latest_context(9, 9) is None
    assert store.get_latest_context(1, None) is None


def test_the_latest_context_may_be_asked_for_by_status(store):
    """The newest that has it."""
    store.save_contexts([created(0, "failed", status="failed"), created(1, "running")])
    assert store.get_latest_context_by_status(1, 2, "failed").workflow_id == "failed"
    assert store.get_latest_context_by_status(1, 2, "paused") is None


def test_a_delete_removes_the_context(store):
    """With all its versions, and says that there was one."""
    store.save_context(a_context())
    store.save_context(a_context())
    assert store.delete_context("order-7") is True
    assert store.history("order-7") == []


def test_a_delete_of_nothing_says_so(store):
    """It is no error."""
    assert store.delete_context("order-9") is False


def test_a_context_exists_while_it_is_stored(store):
    """Neither before nor after."""
    assert not store.context_exists("order-7")
    store.save_context(a_context())
    assert store.context_exists("order-7")
    store.delete_context("order-7")
    assert not store.context_exists("order-7")
