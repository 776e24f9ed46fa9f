"""Laws of the verbs that run once a year: what their engine meets then is told as it is in the daily ones."""

import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

import pytest

from context_core import BackendBusyError, BackendUnavailableError, Capability, ContextBackend, ContextCoreError
from context_core.maintenance import BackupRequest, PruneRequest, RepairRequest
from context_core.model import utc_now
from context_core.records import QueryRequest
from context_core_conformance.promises import promise
from context_core_conformance.racing import PATIENCE_S, in_threads
from context_core_conformance.samples import a_context
from context_core_conformance.skipping import skip_without_access
from context_core_conformance.subject import Subject, needed
from context_core_conformance.verbs import loaded, refusal

WAIT_S: Final = 0.2
"""How long an impatient caller waits for others."""


def _look_through_a_snapshot(backend: ContextBackend, _: Path) -> None:
    view = backend.snapshot()
    try:
        loaded(view, "a", "order-7")
    finally:
        view.close()


SELDOM: Final[dict[str, tuple[Capability, Callable[[ContextBackend, Path], object]]]] = {
    "explain": (Capability.EXPLAIN, lambda backend, _: backend.explain(QueryRequest())),
    "dry run of prune": (Capability.PRUNE, lambda backend, _: backend.prune(PruneRequest(keep_last=1, dry_run=True))),
    "prune": (Capability.PRUNE, lambda backend, _: backend.prune(PruneRequest(keep_last=1))),
    "verify": (Capability.VERIFY, lambda backend, _: backend.verify()),
    "dry run of repair": (Capability.REPAIR, lambda backend, _: backend.repair(RepairRequest(dry_run=True))),
    "repair": (Capability.REPAIR, lambda backend, _: backend.repair(RepairRequest(dry_run=False))),
    "backup": (Capability.BACKUP, lambda backend, path: backend.backup(BackupRequest(target=path))),
    "migrate": (Capability.MIGRATE, lambda backend, _: backend.migrate()),
    "snapshot": (Capability.SNAPSHOT, _look_through_a_snapshot),
}
"""Each verb, and the capability by which a driver has it."""

each_verb: Final = pytest.mark.parametrize("verb", SELDOM)


class SeldomVerbLaws:
    @promise("ER01", "CR04", "CR05")
    @each_verb
    def test_a_storage_that_vanished_is_told_by_the_verbs_used_once_a_year(
        self, tmp_path: Path, subject: Subject, verb: str
    ) -> None:
        """As unavailable, with the engine's error as its cause where there is one; then they work again."""
        backend = _open(subject, verb)
        away = needed(subject.access.taken_away(subject.url), "taken_away")
        with away:
            error = refusal(ContextCoreError, lambda: SELDOM[verb][1](backend, tmp_path / "first"))
        assert isinstance(error, BackendUnavailableError)
        assert error.__cause__ is None or not isinstance(error.__cause__, ContextCoreError)
        SELDOM[verb][1](backend, tmp_path / "second")
        assert [each.version for each in loaded(backend, "a", "order-7")] == [1, 3]

    @promise("ER01", "CR06")
    @each_verb
    def test_a_damaged_row_is_told_by_the_verbs_used_once_a_year(
        self, tmp_path: Path, subject: Subject, verb: str
    ) -> None:
        """They do their work around it, or tell it by an error of ours; whole workflows stay as they were."""
        backend = _open(subject, verb)
        if not subject.access.damage(subject.url, "order-7", 2):
            skip_without_access("damage")
        refusal(ContextCoreError, lambda: SELDOM[verb][1](backend, tmp_path / "copy"))
        store = subject.open()
        assert store.load_context("a") == a_context("a")
        assert store.save_context(a_context("a")) == 2

    @promise("ER01", "CO11", "CO03")
    @each_verb
    def test_a_locked_storage_is_told_by_the_verbs_used_once_a_year(
        self, tmp_path: Path, subject: Subject, verb: str
    ) -> None:
        """While a writer stands inside its transaction they go on, or are busy after the declared wait."""
        _open(subject, verb)
        url = needed(subject.access.impatient_url(subject.url, WAIT_S), "impatient_url")
        is_inside, may_go_on = threading.Event(), threading.Event()

        def slow_clock() -> datetime:
            is_inside.set()
            assert may_go_on.wait(PATIENCE_S)
            return utc_now()

        impatient = subject.backend_at(url)
        writer = subject.open(clock=slow_clock)
        writing = threading.Thread(target=writer.save_context, args=(a_context(),))
        writing.start()
        try:
            assert is_inside.wait(PATIENCE_S)
            (error,) = in_threads(
                1, lambda _: refusal(ContextCoreError, lambda: SELDOM[verb][1](impatient, tmp_path / "copy"))
            )
        finally:
            may_go_on.set()
            writing.join(PATIENCE_S)
        assert error is None or isinstance(error, BackendBusyError)
        assert subject.open().load_context("order-7").version == 4


def _open(subject: Subject, verb: str) -> ContextBackend:
    """The bare driver, if it has the verb, of a store with three versions of `order-7` beside another workflow."""
    subject.requires(SELDOM[verb][0])
    subject.open().save_contexts([a_context("a"), *(a_context(epic_num=number) for number in (1, 2, 3))])
    return subject.backend()
