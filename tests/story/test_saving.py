"""Saving: the story's list of tests."""

from datetime import timedelta

from context_core import PhaseTransition
from context_core_conformance.samples import EPOCH, a_context


def test_a_save_creates_a_new_context(store):
    """The first version is 1."""
    assert store.save_context(a_context()) == 1
    assert store.load_context("order-7") == a_context()


def test_a_save_updates_an_existing_context(store):
    """The newest state is what loads."""
    store.save_context(a_context())
    store.save_context(a_context(status="completed"))
    assert store.load_context("order-7").status == "completed"


def test_a_save_increments_the_version(store):
    """By one each time, also where nothing changed."""
    assert [store.save_context(a_context()) for _ in range(4)] == [1, 2, 3, 4]


def test_a_save_serializes_complex_fields(store, complex_fields):
    """Dicts, lists, phases and times come back as they were."""
    context = a_context(**complex_fields).transition_phase("build", at=EPOCH + timedelta(seconds=90.5))
    store.save_context(context)
    loaded = store.load_context("order-7")
    assert loaded == context
    assert loaded.phase_history == [
        PhaseTransition(phase="initialization", timestamp=EPOCH + timedelta(seconds=90.5), duration=90.5)
    ]


def test_a_save_keeps_none_values(store):
    """The story, a duration, and anything in a free-form field may be None."""
    phase = PhaseTransition(phase="a", timestamp=EPOCH, duration=None)
    context = a_context(story_num=None, phase_history=[phase], decisions={"a": None}, artifacts=[None])
    store.save_context(context)
    assert store.load_context("order-7") == context


def test_a_batch_saves_several_contexts(store):
    """In one transaction; the versions come in input order."""
    contexts = [a_context(f"order-{number % 4}") for number in range(10)]
    assert store.save_contexts(contexts) == [1, 1, 1, 1, 2, 2, 2, 2, 3, 3]
    assert store.load_context("order-0").version == 3
