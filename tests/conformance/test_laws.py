"""The suite itself: every law is there, says what it claims, and names its promises."""

from collections import Counter

from context_core_conformance import PROMISES, BackendContract

LAWS = [(name, law) for part in BackendContract.__mro__ for name, law in vars(part).items() if name.startswith("test_")]


def test_no_law_hides_another() -> None:
    """Two laws of one name would be one, and the other would never run."""
    assert [name for name, count in Counter(name for name, _ in LAWS).items() if count > 1] == []


def test_every_law_has_a_sentence_and_a_promise() -> None:
    """A failure can say what was broken."""
    for name, law in LAWS:
        marks = [mark for mark in getattr(law, "pytestmark", ()) if mark.name == "promise"]
        ids = [promise_id for mark in marks for promise_id in mark.args]
        assert law.__doc__, name
        assert ids, name
        assert set(ids) <= PROMISES.keys(), name
