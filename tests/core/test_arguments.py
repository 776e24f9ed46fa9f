"""The facade judges arguments before any I/O, and says what is missing."""

from datetime import datetime, timedelta, timezone

import pytest

from context_core import (
    ContextNotFoundError,
    ContextPersistence,
    Delete,
    InvalidContextError,
    InvalidQueryError,
    Save,
    VersionNotFoundError,
)
from context_core_conformance.samples import EPOCH, TickingClock, a_context


@pytest.fixture
def store():
    with ContextPersistence("memory://") as store:
        yield store


class TestArguments:
    @pytest.mark.parametrize("workflow_id", ["", None, 5, "a\0", "a" * 256])
    def test_a_bad_id_is_refused_everywhere(self, store, workflow_id):
        """Before any I/O (ER04)."""
        for verb in ("load_context", "context_exists", "history", "delete_context"):
            with pytest.raises(InvalidContextError):
                getattr(store, verb)(workflow_id)
        with pytest.raises(InvalidContextError):
            store.load_contexts(["a", workflow_id])

    @pytest.mark.parametrize("version", ["1", 1.0, True, 2**63, pytest.param(10**5000, id="huge")])
    def test_a_version_is_a_64_bit_int(self, store, version):
        """Whatever asks for one."""
        for call in (
            lambda: store.load_context("a", version=version),
            lambda: store.get_context_by_version("a", version),
            lambda: store.save_context(a_context(), expected_version=version),
            lambda: store.delete_context("a", expected_version=version),
            lambda: store.rollback("a", version),
            lambda: store.get_context_versions(version),
            lambda: store.get_version_count(1, version),
        ):
            with pytest.raises(InvalidQueryError, match="must be a 64-bit int"):
                call()

    @pytest.mark.parametrize("call", ["get_context_by_version", "rollback"])
    def test_none_is_no_version(self, store, call):
        """It does not stand for the newest."""
        with pytest.raises(InvalidQueryError, match="not None"):
            getattr(store, call)("a", None)

    def test_a_story_needs_an_epic(self, store):
        """None stands for the epic level of one, not for any."""
        with pytest.raises(InvalidQueryError, match="epic_num"):
            store.get_context_versions(None)

    @pytest.mark.parametrize("name", ["limit", "offset"])
    @pytest.mark.parametrize("value", [-1, "1", 1.0, True, 2**63])
    def test_a_page_is_counted_from_0(self, store, name, value):
        """In whole rows (QU11)."""
        for verb in (store.search_contexts, lambda **page: store.history("a", **page)):
            with pytest.raises(InvalidQueryError, match=f"{name} must be an int of 0 or more"):
                verb(**{name: value})

    @pytest.mark.parametrize(
        "moment",
        [EPOCH.replace(tzinfo=None), "2025-01-02", datetime.min.replace(tzinfo=timezone(timedelta(hours=5)))],
    )
    def test_as_of_is_an_aware_time_of_the_calendar(self, store, moment):
        """A naive one could mean anything."""
        with pytest.raises(InvalidQueryError, match="as_of"):
            store.load_context("a", as_of=moment)

    def test_as_of_and_a_version_exclude_each_other(self, store):
        """Each names one version."""
        with pytest.raises(InvalidQueryError, match="not both"):
            store.load_context("a", version=1, as_of=EPOCH)

    def test_as_of_takes_any_zone(self):
        """It is the same moment."""
        with ContextPersistence("memory://", clock=TickingClock()) as store:
            store.save_context(a_context())
            assert store.load_context("order-7", as_of=EPOCH.astimezone(timezone(timedelta(hours=9)))).version == 1

    @pytest.mark.parametrize("key", ["", "a\0", "a" * 256, 5])
    def test_an_idempotency_key_is_text(self, store, key):
        """As an id is."""
        with pytest.raises(InvalidContextError):
            store.save_context(a_context(), idempotency_key=key)

    def test_a_batch_takes_saves_and_deletes(self, store):
        """Each with its own condition; the results follow their order (BA06)."""
        store.save_context(a_context("old"))
        operations = [Save(a_context("new"), expected_version=0, idempotency_key="k"), Delete("old"), Delete("none")]
        assert store.batch(iter(operations)) == [1, True, False]

    @pytest.mark.parametrize("operation", [None, "old", a_context("old")])
    def test_a_batch_takes_nothing_else(self, store, operation):
        """A context alone does not say what to do with it."""
        with pytest.raises(InvalidQueryError, match=f"not {type(operation).__name__}"):
            store.batch([Save(a_context("new")), operation])
        assert not store.context_exists("new")

    def test_many_ids_are_loaded_in_their_order(self, store):
        """The missing left out, the repeated repeated (BA08)."""
        store.save_contexts([a_context("a"), a_context("b")])
        assert [context.workflow_id for context in store.load_contexts(["b", "none", "a", "b"])] == ["b", "a", "b"]

    def test_one_id_may_be_given_as_text(self, store):
        """It is not taken for a list of letters."""
        store.save_context(a_context())
        assert [context.workflow_id for context in store.load_contexts("order-7")] == ["order-7"]


class TestMissing:
    def test_a_missing_version_tells_the_newest(self, store):
        """And is another error than a missing workflow (VE04)."""
        store.save_context(a_context())
        with pytest.raises(VersionNotFoundError, match="version 9") as caught:
            store.load_context("order-7", version=9)
        assert caught.value.head_version == 1

    def test_a_version_of_nothing_is_a_missing_workflow(self, store):
        """Whatever was asked for."""
        for options in ({}, {"version": 1}, {"as_of": EPOCH}):
            with pytest.raises(ContextNotFoundError) as caught:
                store.load_context("order-9", **options)
            assert type(caught.value) is ContextNotFoundError

    def test_a_time_before_the_first_version_is_a_missing_version(self, store):
        """The workflow exists."""
        store.save_context(a_context())
        with pytest.raises(VersionNotFoundError, match="saved at or before 2025"):
            store.load_context("order-7", as_of=EPOCH)

    def test_an_update_needs_something_to_update(self, store):
        """A save does not."""
        with pytest.raises(ContextNotFoundError):
            store.update_context(a_context())
        store.save_context(a_context())
        assert store.update_context(a_context(), expected_version=1) == 2
