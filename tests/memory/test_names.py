"""Stores of one process: some have a name, and live until they are dropped."""

import pytest

from context_core import ConfigurationError, ContextPersistence, WorkflowContext
from context_core_memory import drop

CONTEXT = WorkflowContext("order-7", 1, 2, "checkout", "deliver")


def test_a_store_with_a_name_outlives_its_handles():
    """Until it is dropped, which tells whether there was one."""
    with ContextPersistence("memory://kept") as store:
        store.save_context(CONTEXT)
    with ContextPersistence("memory://kept") as store:
        assert store.context_exists("order-7")
    assert drop("kept") is True
    assert drop("kept") is False
    with ContextPersistence("memory://kept") as store:
        assert not store.context_exists("order-7")
    drop("kept")


def test_an_open_handle_keeps_what_was_dropped():
    """It is the name that is forgotten."""
    with ContextPersistence("memory://dropped") as store:
        store.save_context(CONTEXT)
        drop("dropped")
        assert store.save_context(CONTEXT) == 2
        with ContextPersistence("memory://dropped") as other:
            assert not other.context_exists("order-7")
    drop("dropped")


def test_a_store_without_a_name_is_one_of_its_own():
    """Each opening makes another."""
    with ContextPersistence("memory://") as one, ContextPersistence("memory://") as other:
        one.save_context(CONTEXT)
        assert not other.context_exists("order-7")


@pytest.mark.parametrize("url", ["memory://name/path", "memory://name:80", "memory://user@name", "memory:///path"])
def test_other_addresses_are_refused(url):
    """A slip is not taken for a name."""
    with pytest.raises(ConfigurationError, match="memory:// or memory://name"):
        ContextPersistence(url)
