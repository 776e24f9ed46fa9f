"""`BackendContract`: the class that a driver's author subclasses; its laws are locked."""

import abc
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

import pytest

from context_core import ContextPersistence
from context_core_conformance.access import StorageAccess
from context_core_conformance.laws.ages import AgeLaws
from context_core_conformance.laws.batch import BatchLaws
from context_core_conformance.laws.bounds import BoundLaws, EarlierItemLaws, RefusalOrderLaws
from context_core_conformance.laws.capability import CapabilityLaws
from context_core_conformance.laws.cas import CasLaws
from context_core_conformance.laws.concurrency import ConcurrencyLaws
from context_core_conformance.laws.crash import CrashLaws
from context_core_conformance.laws.damaged_histories import DamagedHistoryLaws
from context_core_conformance.laws.delete import DeleteLaws
from context_core_conformance.laws.endurance import EnduranceLaws
from context_core_conformance.laws.error import ErrorLaws
from context_core_conformance.laws.fresh_reads import FreshReadLaws
from context_core_conformance.laws.history import HistoryLaws
from context_core_conformance.laws.hooks import HookLaws
from context_core_conformance.laws.idem import IdempotencyLaws
from context_core_conformance.laws.idem_content import IdempotencyContentLaws
from context_core_conformance.laws.interrupts import InterruptLaws
from context_core_conformance.laws.large import LargeAnswerLaws
from context_core_conformance.laws.lifecycle import LifecycleLaws
from context_core_conformance.laws.linear import LinearLaws
from context_core_conformance.laws.long_history import LongHistoryLaws
from context_core_conformance.laws.lost_replies import LostReplyLaws
from context_core_conformance.laws.many import ManyLaws
from context_core_conformance.laws.memory_held import MemoryLaws
from context_core_conformance.laws.migration import MigrationLaws
from context_core_conformance.laws.mixed_batch import MixedBatchLaws
from context_core_conformance.laws.move import MoveLaws
from context_core_conformance.laws.one_moment import OneMomentLaws
from context_core_conformance.laws.page import PageLaws
from context_core_conformance.laws.page_headers import HeaderPageLaws
from context_core_conformance.laws.process_settings import ProcessSettingsLaws
from context_core_conformance.laws.query import QueryLaws
from context_core_conformance.laws.query_equality import QueryEqualityLaws
from context_core_conformance.laws.query_generated import QueryGeneratedLaws
from context_core_conformance.laws.query_order import QueryOrderLaws
from context_core_conformance.laws.query_paths import QueryPathLaws
from context_core_conformance.laws.query_saved_at import QuerySavedAtLaws
from context_core_conformance.laws.read_only import ReadOnlyLaws
from context_core_conformance.laws.restore import RestoreLaws
from context_core_conformance.laws.restore_conflicts import RestoreConflictLaws
from context_core_conformance.laws.restore_edges import RestoreEdgeLaws
from context_core_conformance.laws.retention import RetentionLaws
from context_core_conformance.laws.roundtrip import RoundtripLaws
from context_core_conformance.laws.seldom_verbs import SeldomVerbLaws
from context_core_conformance.laws.silent_peers import SilentPeerLaws
from context_core_conformance.laws.stateful import StatefulLaws
from context_core_conformance.laws.storage import StorageLaws
from context_core_conformance.laws.syncs import SyncLaws
from context_core_conformance.laws.time import TimeLaws
from context_core_conformance.laws.verify import VerifyLaws
from context_core_conformance.laws.version import VersionLaws
from context_core_conformance.laws.waiting import WaitingLaws
from context_core_conformance.promises import PROMISES
from context_core_conformance.subject import Subject


class BackendContract(
    RoundtripLaws,
    VersionLaws,
    CasLaws,
    IdempotencyLaws,
    IdempotencyContentLaws,
    DeleteLaws,
    BatchLaws,
    BoundLaws,
    RefusalOrderLaws,
    EarlierItemLaws,
    QueryLaws,
    QueryEqualityLaws,
    QueryGeneratedLaws,
    QueryOrderLaws,
    QueryPathLaws,
    QuerySavedAtLaws,
    ConcurrencyLaws,
    FreshReadLaws,
    LinearLaws,
    CrashLaws,
    InterruptLaws,
    LostReplyLaws,
    SilentPeerLaws,
    EnduranceLaws,
    ErrorLaws,
    LifecycleLaws,
    ProcessSettingsLaws,
    ReadOnlyLaws,
    CapabilityLaws,
    PageLaws,
    HeaderPageLaws,
    HistoryLaws,
    LongHistoryLaws,
    ManyLaws,
    LargeAnswerLaws,
    MemoryLaws,
    MixedBatchLaws,
    RestoreLaws,
    RestoreEdgeLaws,
    RestoreConflictLaws,
    RetentionLaws,
    MoveLaws,
    OneMomentLaws,
    StorageLaws,
    SeldomVerbLaws,
    WaitingLaws,
    SyncLaws,
    MigrationLaws,
    HookLaws,
    VerifyLaws,
    DamagedHistoryLaws,
    TimeLaws,
    AgeLaws,
    StatefulLaws,
    StorageAccess,
):
    """Every law that a backend must keep. Subclass it as ``TestMine`` and give it a fresh store's URL.

    Laws that need more than the public API use the optional methods of `StorageAccess`.

    The laws are locked: a subclass that defines a test of the same name, or hides one, is refused. A law about
    something that the backend does not declare as a capability becomes a check that it refuses it.
    """

    @abc.abstractmethod
    def fresh_url(self, tmp_path: Path) -> str:
        """Return the URL of a new, empty store. Opened twice, it gives two handles to the same store."""

    deviations: ClassVar[Mapping[str, str]] = {}
    """What the backend is known not to keep: a law's name or a promise's id, with the reason. It is reported as not
    held, and the run fails when all that it excuses passes."""

    def dispose(self, url: str) -> None:
        """Throw the store away after a test; nothing by default, as files lie in *tmp_path*."""

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        changed = sorted(name for name, law in LOCKED.items() if inspect.getattr_static(cls, name) is not law)
        if changed:
            raise TypeError(f"{cls.__name__} redefines {', '.join(changed)}: the laws of the contract are locked")
        for name, reason in cls.deviations.items():
            if name not in LAWS and name not in PROMISES:
                raise TypeError(f"{cls.__name__} deviates from {name!r}, which is neither a law nor a promise")
            if not isinstance(reason, str) or not reason.strip():
                raise TypeError(f"{cls.__name__} deviates from {name} and gives no reason")

    @pytest.fixture
    def subject(self, tmp_path: Path) -> Iterator[Subject]:
        """The backend under test, with whatever the law opens being closed after it."""
        urls: list[str] = []

        def fresh(place: Path) -> Subject:
            place.mkdir(exist_ok=True)
            url = self.fresh_url(place)
            urls.append(url)
            return Subject(url, place, access=self, another=lambda: fresh(tmp_path / f"another-{len(urls)}"))

        with fresh(tmp_path) as subject:
            yield subject
        for url in urls:
            self.dispose(url)

    @pytest.fixture
    def store(self, subject: Subject) -> ContextPersistence[Any]:
        """A store on the backend under test, new and empty."""
        return subject.open()


_OPEN: Final = frozenset({*vars(StorageAccess), "fresh_url", "dispose", "deviations"})
"""What a test class may define."""

LOCKED: Final[Mapping[str, object]] = {
    name: inspect.getattr_static(BackendContract, name)
    for name in dir(BackendContract)
    if not name.startswith("_") and name not in _OPEN
}
"""Every law and every fixture, as they are when the suite is imported."""

LAWS: Final[Mapping[str, Any]] = {name: law for name, law in LOCKED.items() if name.startswith("test_")}
"""Every law, by name."""


def promises_of(law: object) -> frozenset[str]:
    """The ids of the promises that a law is marked with."""
    marks = getattr(law, "pytestmark", ())
    return frozenset(promise_id for mark in marks if mark.name == "promise" for promise_id in mark.args)


def deviation_of(cls: type[BackendContract], name: str) -> tuple[str, str] | None:
    """What excuses a law of *cls*, and why: a deviation from it by name, or from one of its promises."""
    excuses = [each for each in cls.deviations if each == name or each in promises_of(LAWS.get(name))]
    return (excuses[0], cls.deviations[excuses[0]]) if excuses else None
