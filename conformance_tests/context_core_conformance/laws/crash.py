"""Laws of processes that are killed."""

import os
import time
from pathlib import Path
from typing import Final

import pytest

from context_core import Capability, ContextBackend
from context_core.plugins import open_backend
from context_core.url import BackendURL
from context_core_conformance.crashing import kill_opener, kill_writers, nursery
from context_core_conformance.promises import promise
from context_core_conformance.samples import TickingClock
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Contents, everything

KILLS: Final = int(os.environ.get("CONTEXT_CORE_CONFORMANCE_CRASHES", "12"))
"""How many writers the suite kills."""

OPENERS: Final = max(4, KILLS // 3)
"""How many processes it kills while they migrate."""


class CrashLaws:
    def older_url(self, folder: Path) -> str | None:
        """Return the URL of a store that an older version of the driver wrote, made in *folder*, which is new and empty.

        Every time with the same content: a few hundred versions, so that it takes a moment to migrate. None where there
        is no older version.
        """
        del folder
        return None

    @promise("CR01", "CR02", "BA01", "ID03", "RE01", "VE01")
    def test_killed_writers_leave_the_old_state_or_the_new(self, subject: Subject) -> None:
        """Whether before, inside or after a transaction, or at any moment: no half, nothing acknowledged lost."""
        subject.requires(Capability.DURABLE)
        subject.close_all()
        kill_writers(subject.url, KILLS)

    @promise("CR03", "MI01")
    def test_a_killed_migration_is_completed_by_the_next_open(self, tmp_path: Path) -> None:
        """Whenever it is killed, and however often: the content is that of a migration that was left alone."""
        expected, duration_s = self._migrated(tmp_path / "left-alone")
        were_killed_at_work = 0
        with nursery() as started:
            for kill in range(OPENERS):
                folder = tmp_path / f"killed-{kill}"
                folder.mkdir()
                url = self.older_url(folder)
                assert url is not None
                for _ in range(1 + kill % 2):
                    were_killed_at_work += kill_opener(started, url, duration_s * (kill + 0.5) / OPENERS)
                assert _contents(url) == expected
        assert were_killed_at_work

    def _migrated(self, folder: Path) -> tuple[Contents, float]:
        folder.mkdir()
        url = self.older_url(folder)
        if url is None:
            pytest.skip("the backend's test class knows no older store (older_url)")
        began_s = time.monotonic()
        contents = _contents(url)
        return contents, time.monotonic() - began_s


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
