"""Laws of syncs: what was acknowledged is on the disk, and not only in the cache of the system."""

import pytest

from context_core import Capability
from context_core_conformance.faults.sync_counter import counter_of_syncs, save_and_count_syncs
from context_core_conformance.promises import promise
from context_core_conformance.racing import in_processes
from context_core_conformance.skipping import Skip, SkipKind
from context_core_conformance.subject import Subject, needed

SAVES = 20


class SyncLaws:
    @promise("CR08")
    def test_each_acknowledged_save_was_synced(self, subject: Subject) -> None:
        """Between the save and its acknowledgement the process syncs: power may go at any moment after it."""
        subject.requires(Capability.DURABLE)
        needed(subject.access.syncs_itself() or None, "syncs_itself")
        library = counter_of_syncs(subject.folder)
        if library is None:
            Skip(SkipKind.OTHER, "syncs can be counted on Linux only, and with a C compiler called cc").now()
        subject.open().close()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LD_PRELOAD", str(library))
            (counts,) = in_processes(1, save_and_count_syncs, subject.url, SAVES)
        if counts is None:
            Skip(SkipKind.OTHER, "this Python does not call the system's fsync by its name").now()
        assert [count for count in counts if count < 1] == []
        assert len(counts) == SAVES
