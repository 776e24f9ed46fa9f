"""Laws of workflows whose head or history was taken away from outside, and of lists and reports that meet damage."""

from collections.abc import Callable
from typing import Final

import pytest

from context_core import (
    Capability,
    CorruptDocumentError,
    DamagedHistoryError,
    PersistenceError,
    StorageError,
    VersionConflictError,
)
from context_core_conformance.laws.hooks_hostile import plant
from context_core_conformance.laws.verify import DAMAGED, named
from context_core_conformance.promises import promise
from context_core_conformance.samples import a_context
from context_core_conformance.skipping import skip_without_access
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Store

VERBS: Final[dict[str, Callable[[Store], object]]] = {
    "load": lambda store: store.load_context("order-7"),
    "load version": lambda store: store.load_context("order-7", version=2),
    "load as of": lambda store: store.load_context(
        "order-7", as_of=store.list_headers({"workflow_id": "z"})[0].saved_at
    ),
    "load many": lambda store: store.load_contexts(["a", "order-7", "z"]),
    "exists": lambda store: store.context_exists("order-7"),
    "history": lambda store: store.history("order-7"),
    "diff": lambda store: store.diff("order-7", 1, 2),
    "save": lambda store: store.save_context(a_context()),
    "conditional save": lambda store: store.save_context(a_context(), expected_version=3),
    "create": lambda store: store.save_context(a_context(), expected_version=0),
    "update": lambda store: store.update_context(a_context()),
    "batch": lambda store: store.save_contexts([a_context("new"), a_context()]),
    "rollback": lambda store: store.rollback("order-7", 1),
    "fork": lambda store: store.fork("order-7", "new"),
    "fork onto it": lambda store: store.fork("a", "order-7"),
}
"""What reads or writes a workflow by its id."""

LOSSES: Final = ("lose_head", "lose_history")
"""The storage access hooks by which one half of a workflow goes."""

each_loss: Final = pytest.mark.parametrize("loss", LOSSES)


class DamagedHistoryLaws:
    @promise("CR07", "ER02")
    @each_loss
    @pytest.mark.parametrize("verb", VERBS)
    def test_every_verb_agrees_on_half_a_workflow(self, subject: Subject, loss: str, verb: str) -> None:
        """One typed error that names the workflow and repair; nothing loops, nothing is written, no other is hidden."""
        store = _half(subject, loss)
        with pytest.raises(DamagedHistoryError, match="repair") as caught:
            VERBS[verb](store)
        assert caught.value.workflow_id == "order-7"
        assert store.context_exists("new") is False
        assert [context.workflow_id for context in store.load_contexts(["a", "order-7", "z"], damaged="skip")] == [
            "a",
            "z",
        ]
        assert {header.workflow_id for header in store.list_headers()} - {"order-7"} == {"a", "z"}
        assert store.save_context(a_context("a")) == 2

    @promise("CR07", "DE01", "VE05")
    @each_loss
    def test_a_delete_of_half_a_workflow_is_finished(self, subject: Subject, loss: str) -> None:
        """It is gone for every verb, its tombstone stands, and numbers go on."""
        store = _half(subject, loss)
        with pytest.raises(VersionConflictError):
            store.delete_context("order-7", expected_version=1)
        assert store.delete_context("order-7") is True
        assert store.delete_context("order-7") is False
        assert store.context_exists("order-7") is False
        assert store.save_context(a_context()) == 4
        if Capability.VERIFY in subject.capabilities:
            assert store.verify().is_sound

    @promise("CR07")
    @each_loss
    def test_verify_names_half_a_workflow(self, subject: Subject, loss: str) -> None:
        """The driver's own, and nothing that is whole."""
        subject.requires(Capability.VERIFY)
        _half(subject, loss)
        for report in (subject.backend().verify(), subject.open().verify()):
            assert {damage.workflow_id for damage in report.damages} == {"order-7"}

    @promise("CR07")
    @each_loss
    def test_repair_does_what_its_dry_run_names(self, subject: Subject, loss: str) -> None:
        """Then verify finds nothing, the newest version loads, and saves go on with the next number."""
        subject.requires(Capability.REPAIR)
        store = _half(subject, loss)
        before = store.verify()
        steps = store.repair(dry_run=True).steps
        assert {step.workflow_id for step in steps} == {"order-7"}
        assert store.verify() == before
        assert store.repair().steps == steps
        assert store.repair().steps == ()
        assert store.verify().is_sound
        assert store.load_context("order-7").epic_num == 3
        assert [header.version for header in store.history("order-7")][-1] == 3
        assert store.save_context(a_context()) == 4
        assert [context.workflow_id for context in store.load_contexts(["a", "z"])] == ["a", "z"]

    @promise("CR07")
    def test_repair_leaves_a_sound_store_as_it_is(self, subject: Subject) -> None:
        """Deleted, pruned and forked workflows too."""
        subject.requires(Capability.REPAIR)
        store = subject.open()
        store.save_contexts([a_context("gone"), *(a_context(epic_num=number) for number in range(1, 70))])
        store.fork("order-7", "fork", 3)
        store.delete_context("gone")
        if Capability.PRUNE in subject.capabilities:
            store.prune(keep_last=3)
        before = store.history("order-7")
        assert store.repair().steps == ()
        assert store.history("order-7") == before

    @promise("CR06")
    def test_the_drivers_own_verify_names_every_damage(self, subject: Subject) -> None:
        """Not the first alone; it counts what is there, in pruned histories too."""
        subject.requires(Capability.VERIFY)
        store = subject.open()
        for name in ("a", "b", "c", "z"):
            store.save_contexts(a_context(name) for _ in range(3))
        if Capability.PRUNE in subject.capabilities:
            assert store.prune(keep_last=2).count == 4
        expected = 8 if Capability.PRUNE in subject.capabilities else 12
        report = subject.backend().verify()
        assert (report.checked_versions, report.is_sound) == (expected, True)
        for name in ("a", "b", "z"):
            if not subject.access.damage(subject.url, name, 3):
                skip_without_access("damage")
        report = subject.backend().verify()
        assert {("a", 3), ("b", 3), ("z", 3)} <= {(damage.workflow_id, damage.version) for damage in report.damages}
        assert report.checked_versions == expected
        assert {damage.workflow_id for damage in report.damages} == {"a", "b", "z"}

    @promise("CR06", "PA01")
    def test_lists_go_past_damaged_rows(self, subject: Subject) -> None:
        """A list that is told to skip them is full up to its limit, and pages neither lose nor repeat a row."""
        store = subject.open()
        store.save_contexts(a_context(f"w{number:02}") for number in range(12))
        bad = {"w00", "w03", "w04", "w11"}
        for name in bad:
            if not subject.access.damage(subject.url, name, 1):
                skip_without_access("damage")
        reader = subject.open()
        good = sorted({f"w{number:02}" for number in range(12)} - bad)
        for limit in (1, 3, 8, 12):
            found = reader.search_contexts(limit=limit, order_by="workflow_id", damaged="skip")
            assert [context.workflow_id for context in found] == good[:limit]
            streamed = list(reader.iter_contexts(page_size=limit, order_by="workflow_id", damaged="skip"))
            assert [context.workflow_id for context in streamed] == good
        with pytest.raises(PersistenceError) as caught:
            reader.search_contexts()
        assert isinstance(caught.value, CorruptDocumentError | StorageError)
        assert {header.workflow_id for header in reader.list_headers()} >= set(good)

    @promise("CR06")
    def test_every_document_that_cannot_be_read_is_named_beside_the_others(self, subject: Subject) -> None:
        """Each kind once, and in one report."""
        subject.requires(Capability.VERIFY)
        for number, document in enumerate(DAMAGED.values()):
            plant(subject, document, f"w{number}")
        subject.open().save_context(a_context("sound"))
        assert named(subject.open().verify()) == [(f"w{number}", 1) for number in range(len(DAMAGED))]


def _half(subject: Subject, loss: str) -> Store:
    """A store in which one half of `order-7`, of three versions, is gone, between two other workflows."""
    store = subject.open()
    store.save_contexts([a_context("a"), *(a_context(epic_num=number) for number in (1, 2, 3)), a_context("z")])
    if not getattr(subject.access, loss)(subject.url, "order-7"):
        skip_without_access(loss)
    return store
