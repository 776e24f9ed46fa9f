"""Laws of a storage that vanishes, fills up, is busy, or is damaged: each needs a storage access hook of the test class."""

import threading
from datetime import datetime
from pathlib import Path
from typing import Final

import pytest

from context_core import (
    BackendBusyError,
    BackendUnavailableError,
    Capability,
    ContextCoreError,
    CorruptDocumentError,
    PersistenceError,
    StorageError,
)
from context_core.model import utc_now
from context_core_conformance.promises import promise
from context_core_conformance.racing import PATIENCE_S, in_threads
from context_core_conformance.samples import a_context
from context_core_conformance.skipping import skip_without_access
from context_core_conformance.subject import Subject, needed
from context_core_conformance.verbs import Store, refusal

WAIT_S: Final = 0.2
"""How long an impatient caller waits for others."""

BLOCK: Final = "x" * 500_000


class StorageLaws:
    @promise("CR04", "CR05", "ER01")
    def test_a_storage_that_vanishes_is_told_and_comes_back(self, subject: Subject) -> None:
        """Saves are refused as unavailable while it is away; the same store goes on when it is back, and lost nothing."""
        store = subject.open()
        store.save_contexts([a_context("w"), a_context("other")])
        away = needed(subject.access.taken_away(subject.url), "taken_away")
        with away:
            with pytest.raises(BackendUnavailableError):
                store.save_context(a_context("w"))
            with pytest.raises(BackendUnavailableError):
                store.save_contexts([a_context("new")])
        assert store.save_context(a_context("w"), expected_version=1) == 2
        assert sorted(header.workflow_id for header in subject.open().list_headers()) == ["other", "w"]

    @promise("CR05", "ER01", "BA01")
    def test_a_full_storage_keeps_what_it_has(self, tmp_path: Path, subject: Subject) -> None:
        """The save that finds no room is a StorageError and writes nothing; all before it is read as it was."""
        store = subject.open_at(needed(subject.access.small_url(tmp_path), "small_url"))
        store.save_context(a_context("first"))
        saved, error = 1, None
        while error is None and saved < 500:
            batch = [a_context(f"w{saved}-{number}", metadata={"block": BLOCK}) for number in range(2)]
            error = refusal(ContextCoreError, lambda batch=batch: store.save_contexts(batch))  # type: ignore[misc]  # bound now
            saved += 0 if error else 2
        assert isinstance(error, StorageError)
        assert error.__cause__ is not None
        assert BLOCK not in f"{error!r}{error.__cause__!r}"
        assert store.count_contexts() == len(store.search_contexts()) == saved
        assert store.load_context("first") == a_context("first")

    @promise("CR05", "CO10")
    def test_who_met_a_full_storage_holds_no_lock(self, tmp_path: Path, subject: Subject) -> None:
        """After the save that found no room, other handles and threads write, as far as there is room for it."""
        url = needed(subject.access.small_url(tmp_path), "small_url")
        store, other = subject.open_at(url), subject.open_at(url)
        other.save_context(a_context("first"))
        error, saved = None, 0
        while error is None and saved < 500:
            saved += 1
            large = a_context(f"w{saved}", metadata={"block": BLOCK})
            error = refusal(StorageError, lambda large=large: store.save_context(large))  # type: ignore[misc]  # bound now
        assert isinstance(error, StorageError)

        def go_on(number: int) -> object:
            handle = (other, store)[number]
            return refusal(ContextCoreError, lambda: handle.save_context(a_context(f"small-{number}")))

        errors = in_threads(1, lambda _: [go_on(0), go_on(1)])[0]
        assert [each for each in errors if each is not None and not isinstance(each, StorageError)] == []

    @promise("CO11", "CO10")
    def test_who_waits_too_long_is_told_in_time(self, subject: Subject) -> None:
        """While a writer stands inside its transaction, others wait as long as was declared, and no longer."""
        url = needed(subject.access.impatient_url(subject.url, WAIT_S), "impatient_url")
        is_inside, may_go_on = threading.Event(), threading.Event()

        def slow_clock() -> datetime:
            is_inside.set()
            assert may_go_on.wait(PATIENCE_S)
            return utc_now()

        subject.open().save_context(a_context("w"))
        impatient, writer = subject.open_at(url), subject.open(clock=slow_clock)
        writing = threading.Thread(target=writer.save_context, args=(a_context("w"),))
        writing.start()
        try:
            assert is_inside.wait(PATIENCE_S)
            with pytest.raises(BackendBusyError) as caught:
                impatient.save_context(a_context("w"))
            assert caught.value.waited_s == pytest.approx(WAIT_S)
            with pytest.raises(BackendBusyError):
                impatient.delete_context("w")
        finally:
            may_go_on.set()
            writing.join(PATIENCE_S)
        assert impatient.save_context(a_context("w")) == 3

    @promise("CR06", "ER01")
    @pytest.mark.parametrize("version", [1, 2, 3])
    def test_a_damaged_row_hides_no_other_workflow(self, subject: Subject, version: int) -> None:
        """It cannot be loaded; all other workflows can, and writes go on. No version comes back as another."""
        _three_versions(subject)
        _damage(subject, version)
        store = subject.open()
        error = refusal(PersistenceError, lambda: store.load_context("order-7", version=version))
        assert isinstance(error, StorageError | CorruptDocumentError)
        for number in {1, 2, 3} - {version}:
            error = refusal(CorruptDocumentError, lambda number=number: store.load_context("order-7", version=number))  # type: ignore[misc]  # bound now
            assert error or store.load_context("order-7", version=number).epic_num == number
        assert [store.load_context(name).version for name in ("a", "z")] == [1, 1]
        assert store.save_context(a_context("a")) == 2
        assert store.delete_context("order-7") is True

    @promise("CR06")
    @pytest.mark.parametrize("version", [1, 2, 3])
    def test_a_damaged_row_hides_no_other_version(self, subject: Subject, version: int) -> None:
        """What was saved before it loads as it was, and so does the head; later versions may lean on it."""
        _three_versions(subject)
        _damage(subject, version)
        store, earlier = subject.open(), list(range(1, version))
        assert [store.load_context("order-7", version=number).epic_num for number in earlier] == earlier
        if version != 3:
            assert store.load_context("order-7").epic_num == 3

    @promise("CR06")
    @pytest.mark.parametrize("version", [1, 2, 3])
    def test_verify_names_a_damaged_row(self, subject: Subject, version: int) -> None:
        """By workflow and version, and nothing that is sound; looking changes nothing."""
        subject.requires(Capability.VERIFY)
        store = _three_versions(subject)
        assert store.verify().is_sound
        _damage(subject, version)
        reader = subject.open()
        report = reader.verify()
        assert not report.is_sound
        assert ("order-7", version) in {(damage.workflow_id, damage.version) for damage in report.damages}
        assert {damage.workflow_id for damage in report.damages} <= {"order-7", None}
        # What leans on it is harmed, too, and then it does not load.
        for number in {damage.version for damage in report.damages} - {version, None}:
            assert number in (1, 2, 3)
            assert refusal(CorruptDocumentError, lambda number=number: reader.load_context("order-7", version=number))  # type: ignore[misc]  # bound now


def _three_versions(subject: Subject) -> Store:
    """A store that holds versions 1 to 3 of `order-7`, with their number as the epic, between other workflows."""
    store = subject.open()
    store.save_context(a_context("a"))
    for number in (1, 2, 3):
        store.save_context(a_context(epic_num=number))
    store.save_context(a_context("z"))
    return store


def _damage(subject: Subject, version: int) -> None:
    if not subject.access.damage(subject.url, "order-7", version):
        skip_without_access("damage")
