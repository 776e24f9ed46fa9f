"""Laws of damage: it is named, and hides nothing else."""

from pathlib import Path
from typing import Any, Final

import pytest

from context_core import Capability, CorruptDocumentError, VerifyReport
from context_core_conformance.laws.hooks_hostile import plant
from context_core_conformance.promises import promise
from context_core_conformance.restoring import whole
from context_core_conformance.samples import a_context
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Store

DAMAGED: Final[dict[str, bytes]] = {
    "no json": b"not json",
    "no text": b"\x00\xff{",
    "looks like json": b"{\xff}",
    "another shape": b'{"schema": 1, "workflow_id": 7}',
    "no object": b"[1, 2]",
    "a newer schema": b'{"schema": 99}',
}

each_damage: Final = pytest.mark.parametrize("damage", DAMAGED)


def named(report: VerifyReport) -> list[tuple[Any, Any]]:
    """What a report names."""
    return sorted((damage.workflow_id, damage.version) for damage in report.damages)


class VerifyLaws:
    @pytest.fixture
    def hurt(self, subject: Subject) -> Store:
        """A store in which version 2 of 3 of `order-7` is damaged, between other workflows."""
        store = subject.open()
        store.save_contexts([a_context("a"), a_context(feature="first"), a_context("z")])
        plant(subject, DAMAGED["no json"])
        store.save_context(a_context(feature="last"))
        return store

    @promise("CR06")
    def test_a_sound_store_verifies(self, subject: Subject) -> None:
        """Every version is counted, none is named; that of an empty store too."""
        subject.requires(Capability.VERIFY)
        store = subject.open()
        assert store.verify() == VerifyReport(checked_versions=0, damages=())
        store.save_contexts(a_context(f"w{number % 250}") for number in range(600))
        store.fork("w0", "fork")
        store.delete_context("w1")
        report = store.verify()
        assert (report.checked_versions, report.is_sound) == (598, True)

    @promise("CR06")
    @each_damage
    def test_a_damaged_document_is_named(self, subject: Subject, damage: str) -> None:
        """Once, by workflow and version, with what is wrong; wherever in the store it lies, and with all others."""
        subject.requires(Capability.VERIFY)
        store = subject.open()
        store.save_contexts(a_context(f"w{number:03}") for number in range(300))
        for name in ("w000", "w150", "w299", "new"):
            plant(subject, DAMAGED[damage], name)
        store.save_context(a_context("w150"))
        report = store.verify()
        assert (report.checked_versions, report.is_sound) == (305, False)
        assert named(report) == [("new", 1), ("w000", 2), ("w150", 2), ("w299", 2)]
        assert [damage.problem for damage in report.damages if not damage.problem] == []

    @promise("CR06", "ER03")
    def test_a_report_tells_nothing_of_a_document(self, subject: Subject) -> None:
        """What is wrong, not what it says."""
        subject.requires(Capability.VERIFY)
        plant(subject, b'{"schema": 1, "epic_num": "xyzzy", "xyzzy": 1}')
        plant(subject, b'xyzzy "xyzzy')
        report = subject.open().verify()
        assert len(report.damages) == 2
        assert "xyzzy" not in repr(report)

    @promise("CR06")
    def test_verify_changes_nothing(self, subject: Subject, hurt: Store) -> None:
        """It looks; asked again it says the same."""
        subject.requires(Capability.VERIFY)
        before = whole(subject.backend())
        assert hurt.verify() == hurt.verify()
        assert whole(subject.backend()) == before

    @promise("CR06")
    def test_damage_hides_no_other_version(self, hurt: Store) -> None:
        """Those before and behind it load, and so do other workflows; histories, headers and counts are whole."""
        assert [hurt.load_context("order-7", version=version).feature for version in (1, 3)] == ["first", "last"]
        assert hurt.load_context("order-7").feature == "last"
        assert len(hurt.search_contexts()) == hurt.count_contexts() == len(hurt.list_headers()) == 3
        assert [header.version for header in hurt.history("order-7")] == [1, 2, 3]
        with pytest.raises(CorruptDocumentError) as caught:
            hurt.load_context("order-7", version=2)
        assert (caught.value.workflow_id, caught.value.version) == ("order-7", 2)

    @promise("CR06", "VE09")
    @each_damage
    def test_a_damaged_head_can_be_mended(self, subject: Subject, damage: str) -> None:
        """By a rollback, or by the next save; the workflow is found meanwhile by what is indexed."""
        store = subject.open()
        store.save_context(a_context(feature="good"))
        plant(subject, DAMAGED[damage])
        assert [header.version for header in store.list_headers({"feature": "checkout"})] == [2]
        assert store.rollback("order-7", 1) == 3
        assert store.load_context("order-7").feature == "good"
        plant(subject, DAMAGED[damage])
        assert store.save_context(a_context(), expected_version=4) == 5
        assert store.load_context("order-7").version == 5

    @promise("CR06", "MO01")
    @each_damage
    def test_an_export_goes_past_damage_only_where_it_may(self, subject: Subject, tmp_path: Path, damage: str) -> None:
        """By default it names what cannot be read and leaves no file; else it names all that is left out."""
        store = subject.open()
        store.save_context(a_context())
        plant(subject, DAMAGED[damage])
        store.save_context(a_context())
        store.save_context(a_context("sound"))
        with pytest.raises(CorruptDocumentError) as caught:
            store.export(tmp_path / "export")
        assert (caught.value.workflow_id, caught.value.version) == ("order-7", 2)
        assert not (tmp_path / "export").exists()
        result = store.export(tmp_path / "export", damaged="leave_out")
        assert result.count == 2
        assert [(each.workflow_id, each.version) for each in result.missing] == [("order-7", 2), ("order-7", 1)]
        target = subject.another().open()
        for written in (2, 0):
            assert target.import_(tmp_path / "export").written == written
        assert target.load_context("order-7") == store.load_context("order-7")
        assert target.load_context("order-7").version == 3
