"""From the first save to the last load: the story's list of integration tests."""

from datetime import timedelta

import pytest

from context_core import ContextNotFoundError, ContextPersistence
from context_core_conformance.samples import EPOCH, a_context


def test_a_context_is_created_saved_and_loaded(store, complex_fields):
    """What comes back is what went in."""
    context = a_context(**complex_fields)
    store.save_context(context)
    loaded = store.load_context(context.workflow_id)
    assert loaded == context
    assert loaded.to_json() == context.to_json()


def test_many_versions_come_back_in_order(store):
    """Each as it was when it was saved."""
    saved = [a_context(current_phase=f"phase-{number}", decisions={"n": number}) for number in range(7)]
    for context in saved:
        store.save_context(context)
    assert store.get_context_versions(1, 2) == saved
    assert [store.load_context("order-7", version=version) for version in range(1, 8)] == saved


def test_one_feature_is_found_among_several(store):
    """With nothing of the others."""
    contexts = [a_context(f"{feature}-{number}", feature=feature) for feature in "abc" for number in range(3)]
    store.save_contexts(contexts)
    assert {context.workflow_id for context in store.get_contexts_by_feature("b")} == {"b-0", "b-1", "b-2"}


def test_a_deleted_context_does_not_load(store):
    """Nor does any of its versions."""
    store.save_context(a_context())
    store.delete_context("order-7")
    with pytest.raises(ContextNotFoundError):
        store.load_context("order-7")
    assert store.get_context_by_version("order-7", 1) is None
    assert store.get_context_versions(1, 2) == []


def test_a_whole_workflow_makes_the_round_trip(store, clock):
    """Every verb of a context, saved after each step, loads as it stood."""
    context = a_context()
    steps = [
        lambda context: context.transition_phase("build", at=EPOCH + timedelta(minutes=1)),
        lambda context: context.add_decision("db", {"choice": "sqlite"}),
        lambda context: context.add_artifact({"path": "a.py"}),
        lambda context: context.add_error("exit 1"),
        lambda context: context.transition_phase("test", at=EPOCH + timedelta(minutes=2)),
        lambda context: context.copy_with(status="completed", tags=["done"]),
    ]
    history = []
    for version, step in enumerate(steps, start=1):
        clock.advance(60)
        context = step(store.load_context("order-7") if version > 1 else context)
        history.append(context)
        assert store.save_context(context, expected_version=version - 1) == version
    assert [store.load_context("order-7", version=version) for version in range(1, 7)] == history
    assert [header.saved_at for header in store.history("order-7")] == [
        EPOCH + timedelta(minutes=minute) for minute in range(1, 7)
    ]


def test_a_new_process_finds_everything(tmp_path):
    """A second store on the file sees what the first one saved, after it is gone."""
    path = tmp_path / "engine.db"
    with ContextPersistence(db_path=path) as store:
        store.save_context(a_context())
    with ContextPersistence(db_path=path) as store:
        assert store.load_context("order-7") == a_context()
