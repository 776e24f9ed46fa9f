"""Versions on their way to the database: packed, each with an earlier one as its base."""

import threading
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import attrs

from context_core.errors import CorruptDocumentError
from context_core.forking import follow_forks
from context_core.history_codec import BLOCK, PackedVersion, RecentBases, Unpacker, base_of, is_base, pack, pack_version
from context_core.records import ContextRecord
from context_core_postgres._history import DOCUMENT_COLUMNS, with_bases
from context_core_postgres._ledger import PlannedWorkflow
from context_core_postgres._rows import utc_of
from context_core_postgres._session import Session

ITSELF: Final = 0
"""As a base: the version's own number, which the statement that saves it finds out."""

_MAX_KNOWN: Final = 10_000
"""How many workflows' versions are remembered; forgetting one costs its next save three small statements more."""

STORED_COLUMNS: Final = (*DOCUMENT_COLUMNS, "saved_at")
BASES: Final = with_bases("SELECT * FROM unnest(%s::text[], %s::bigint[])", STORED_COLUMNS)
"""Versions by an array of ids and one of numbers, and all that they lean on."""

_BASE_OF_NEXT: Final = with_bases(
    f"""SELECT workflow_id, version + 1 - (version % {BLOCK} & -(version % {BLOCK}))
        FROM our.workflow_context WHERE workflow_id = %s""".replace("%", "%%").replace("%%s", "%s"),
    (*STORED_COLUMNS, "workflow_id, (SELECT version FROM our.workflow_context WHERE workflow_id = stored.workflow_id)"),
)
"""What the next version should lean on, `base_of(version + 1)`, and the head's version."""


@attrs.frozen
class Packing:
    """How a version is to be stored, as the statements that save take it.

    Attributes:
        base_version: The version that it leans on; ITSELF for none; None where the document is stored as it is.
        packed: The packed document.
        packed_version: The number that the version must get for it to lean on its base.
        base_saved_at: The time that the base must have.
    """

    base_version: int | None = None
    packed: bytes | None = None
    packed_version: int | None = None
    base_saved_at: datetime | None = None

    @property
    def values(self) -> dict[str, Any]:
        """The attributes by name."""
        return {
            "base_version": self.base_version,
            "packed": self.packed,
            "packed_version": self.packed_version,
            "base_saved_at": self.base_saved_at,
        }


AS_IT_IS: Final = Packing()


def alone(record: ContextRecord) -> Packing:
    """Pack a document by itself; one that went through a codec of the store has nothing in it to be packed."""
    return _alone(record.document) if record.save_id is None else AS_IT_IS


@attrs.frozen
class Base:
    """A version that others lean on, with its plain document."""

    version: int
    saved_at: datetime
    document: bytes


class Extent(NamedTuple):
    """The newest and the oldest version of a workflow; 0 is an oldest that is not known."""

    newest: int
    oldest: int


_UNKNOWN: Final = Extent(0, 0)


class Packer:
    """Packs versions, and remembers what later ones will lean on. Safe for threads.

    What it remembers may be out of date: other hosts save, prune and delete. So a version is packed for a number and a
    base of a certain time, and the statement that saves it looks whether it got that number and whether that base is
    still there; where not, it stores the document as it is.
    """

    def __init__(self) -> None:
        self.after_fork_in_child()
        follow_forks(self)

    def before_fork(self) -> None:
        """Nothing is to be done."""

    def after_fork_in_child(self) -> None:
        """Start afresh: another thread may have held the lock, and have changed half of what it guards."""
        self._lock = threading.Lock()
        self._recent: RecentBases[datetime] = RecentBases()
        self._known: dict[str, Extent] = {}

    def knows(self, workflow_id: str) -> bool:
        """Whether a workflow existed when it was last saved here, so that most likely it still does."""
        return workflow_id in self._known

    def forget(self, workflow_id: str) -> None:
        """Know nothing of a workflow: it is not what it was."""
        self._known.pop(workflow_id, None)

    def following(self, session: Session, record: ContextRecord, expected_version: int | None) -> Packing:
        """Pack a version to follow that which the caller expects, or the head.

        Its base is read back if it is not at hand.
        """
        if record.save_id is not None:
            return AS_IT_IS
        newest, oldest = self._known.get(record.workflow_id, _UNKNOWN)
        head_version, base = expected_version or newest, None
        if head_version:
            number = base_of(head_version + 1)
            if number > head_version or number < oldest:
                return _alone(record.document)
            base = self._at_hand(record.workflow_id, number)
        if base is None:
            head_version, base = self._read_base_of_next(session, record.workflow_id)
        return _packed(record.document, head_version + 1, base)

    def pack_all(self, session: Session, workflows: Iterable[PlannedWorkflow]) -> None:
        """Pack what is to be appended in a transaction that has locked all it writes to."""
        appending = [workflow for workflow in workflows if workflow.appended]
        bases = self._bases(session, {base for workflow in appending for base in _outer_bases(workflow)})
        for workflow in appending:
            workflow_id = workflow.workflow_id
            for row in workflow.appended:
                packing, version, document = AS_IT_IS, row["version"], row["document"]
                if row["save_id"] is None:
                    packing = _packed(document, version, bases.get((workflow_id, base_of(version))))
                    if is_base(version):
                        bases[workflow_id, version] = Base(version, row["saved_at"], document)
                row.update(packing.values)

    def wrote(self, values: Mapping[str, Any], version: int, saved_at: datetime, oldest: int | None = None) -> None:
        """Remember a version that is committed, and what is the oldest, if that is known."""
        workflow_id = values["workflow_id"]
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        if oldest is None:
            oldest = self._known.get(workflow_id, _UNKNOWN).oldest
        self._known[workflow_id] = Extent(version, oldest)
        if values["save_id"] is None and is_base(version):
            self._keep(workflow_id, Base(version, saved_at, values["document"]))

    def lost(self, workflow_id: str, version: int) -> None:
        """Forget a base that the database turned out not to have."""
        with self._lock:
            self._recent.forget(workflow_id, version)

    def _at_hand(self, workflow_id: str, version: int) -> Base | None:
        with self._lock:
            found = self._recent.find(workflow_id, version)
        return Base(version, *found) if found is not None else None

    def _keep(self, workflow_id: str, base: Base) -> None:
        with self._lock:
            self._recent.put(workflow_id, base.version, base.saved_at, base.document)
            self._recent.commit()

    def _read_base_of_next(self, session: Session, workflow_id: str) -> tuple[int, Base | None]:
        """Return the head's version and what the next should lean on; 0 and None where there is nothing to lean on."""
        rows = session.execute(_BASE_OF_NEXT, (workflow_id,)).fetchall()
        if not rows:
            return 0, None
        version, head_version = max(row[1] for row in rows), rows[0][-1]
        base = plain(rows).get((workflow_id, version))
        if base is not None:
            self._keep(workflow_id, base)
        return head_version, base

    def _bases(self, session: Session, wanted: set[tuple[str, int]]) -> dict[tuple[str, int], Base]:
        found = {key: base for key in wanted if (base := self._at_hand(*key)) is not None}
        missing = list(wanted - found.keys())
        if missing:
            arrays = [workflow_id for workflow_id, _ in missing], [version for _, version in missing]
            read = plain(session.execute(BASES, arrays).fetchall())
            found |= {key: read[key] for key in missing if key in read}
        return found


def _outer_bases(workflow: PlannedWorkflow) -> set[tuple[str, int]]:
    """What the versions to be appended will lean on, apart from each other."""
    own = {row["version"] for row in workflow.appended}
    wanted = {base_of(row["version"]) for row in workflow.appended if row["save_id"] is None}
    return {(workflow.workflow_id, version) for version in wanted - own if version >= workflow.oldest}


def plain(rows: Iterable[tuple[Any, ...]]) -> dict[tuple[str, int], Base]:
    """Unpack rows of STORED_COLUMNS; on what is damaged nothing more should lean."""
    by_number = {(row[0], row[1]): row for row in rows}

    def fetch(workflow_id: str, version: int) -> PackedVersion | None:
        row = by_number.get((workflow_id, version))
        return None if row is None else PackedVersion(row[2], row[3])

    unpacker = Unpacker(fetch)
    bases = {}
    for (workflow_id, version), (_, _, base, stored, _, saved_at, *_) in by_number.items():
        try:
            document = unpacker.plain(workflow_id, version, PackedVersion(base, stored))
            bases[workflow_id, version] = Base(version, utc_of(workflow_id, version, saved_at), document)
        except CorruptDocumentError:
            continue
    return bases


def _packed(document: bytes, version: int, base: Base | None) -> Packing:
    """Pack a document as *version*, leaning on *base* if it is worth that."""
    if base is None:
        return _alone(document)
    number, packed = pack_version(version, document, (base.version, base.document))
    return Packing(ITSELF, packed) if number == version else Packing(number, packed, version, base.saved_at)


def _alone(document: bytes) -> Packing:
    return Packing(ITSELF, pack(document))
