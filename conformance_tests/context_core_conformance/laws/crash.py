"""Laws of processes that are killed."""

import os
import time
from typing import Final

from context_core import Capability, ContextBackend
from context_core.plugins import open_backend
from context_core.url import BackendURL
from context_core_conformance.faults.crashes import kill_opener, kill_writers, worker_launcher
from context_core_conformance.promises import promise
from context_core_conformance.samples import TickingClock
from context_core_conformance.skipping import skip_without_access
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Contents, everything

KILLS: Final = int(os.environ.get("CONTEXT_CORE_CONFORMANCE_CRASHES", "12"))
"""How many writers the suite kills."""

OPENERS: Final = max(4, KILLS // 3)
"""How many processes it kills while they migrate."""


class CrashLaws:
    @promise("CR01", "CR02", "BA01", "ID03", "RE01", "VE01")
    def test_killed_writers_leave_the_old_state_or_the_new(self, subject: Subject) -> None:
        """Whether before, inside or after a transaction, or at any moment: no half, nothing acknowledged lost."""
        subject.requires(Capability.DURABLE)
        subject.close_all()
        kill_writers(subject.url, KILLS)

    @promise("CR03", "MI01")
    def test_a_killed_migration_is_completed_by_the_next_open(self, subject: Subject) -> None:
        """Whenever it is killed, and however often: the content is that of a migration that was left alone."""
        began_s = time.monotonic()
        expected = _contents(_older(subject, "left-alone"))
        duration_s = time.monotonic() - began_s
        were_killed_at_work = 0
        with worker_launcher() as started:
            for kill in range(OPENERS):
                url = _older(subject, f"killed-{kill}")
                for _ in range(1 + kill % 2):
                    were_killed_at_work += kill_opener(started, url, duration_s * (kill + 0.5) / OPENERS)
                assert _contents(url) == expected
        assert were_killed_at_work


def _older(subject: Subject, name: str) -> str:
    """The address of a store that an older version of the driver wrote, every time with the same content."""
    folder = subject.folder / name
    folder.mkdir()
    older = next(iter(subject.access.older_stores(folder)), None)
    if older is None:
        skip_without_access("older_stores")
    return older.url


def _contents(url: str) -> Contents:
    """All that a store holds, migrated at one and the same time, and that it is sound."""
    backend: ContextBackend = open_backend(BackendURL.parse(url), clock=TickingClock())
    try:
        capabilities = backend.describe().capabilities
        if Capability.MIGRATE in capabilities:
            backend.migrate()
        if Capability.VERIFY in capabilities:
            assert backend.verify().damages == ()
        return everything(backend)
    finally:
        backend.close()
