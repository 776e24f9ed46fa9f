"""What a driver's `verify` finds is told in the same words, whoever finds it."""

import pytest

from context_core import CorruptDocumentError
from context_core.maintenance import Damage, Examination


def reading(document):
    return lambda: document


def unreadable():
    raise CorruptDocumentError(workflow_id="w", version=2, problem="its stored bytes are damaged")


def test_a_sound_store_has_versions_and_no_damages():
    """The newest version stands beside its head, the others alone; what was encoded is not looked into."""
    found = Examination()
    found.version("w", 1, reading(b"{}"), is_encoded=False)
    found.version("w", 2, reading(b'{"a":1}'), is_encoded=False, head_document=b'{"a":1}')
    found.version("x", 1, reading(b"\x93secret"), is_encoded=True, head_document=b"\x93secret")
    report = found.report()
    assert report.is_sound
    assert report.checked_versions == 3


@pytest.mark.promise("CR06")
def test_each_damage_names_its_place():
    """A head that differs from its newest version is reported once, however often it is found."""
    found = Examination()
    found.storage("page 7 is never used")
    found.version("w", 1, reading(b"no JSON"), is_encoded=False)
    found.version("w", 2, unreadable, is_encoded=False, head_document=b"{}")
    found.version("w", 3, reading(b"{}"), is_encoded=False, head_document=b"[]")
    found.head_differs("w", 3)
    found.head_differs("gone", None)
    found.without_head("x")
    found.gap("y", 9)
    report = found.report()
    assert not report.is_sound
    assert report.checked_versions == 3
    problem = "the current state is not that of the newest version"
    assert set(report.damages) == {
        Damage(workflow_id=None, version=None, problem="page 7 is never used"),
        Damage(workflow_id="w", version=1, problem="the document is not JSON"),
        Damage(workflow_id="w", version=2, problem="its stored bytes are damaged"),
        Damage(workflow_id="w", version=3, problem=problem),
        Damage(workflow_id="gone", version=None, problem=problem),
        Damage(workflow_id="x", version=None, problem="has versions but no current state"),
        Damage(workflow_id="y", version=9, problem="a version in the middle of the history is missing"),
    }
    assert len(report.damages) == 7
