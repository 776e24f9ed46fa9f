"""Transactions on the environment of a folder, which is open only as long as one of them needs it.

LMDB forbids to open an environment twice in a process, so the threads share it, and to carry it across a fork, so a
fork waits until none is open: parent and child then open their own (CO08). To open one takes a tenth of a millisecond.
"""

import os
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs
import lmdb

from context_core import errors
from lmdb_context_backend._errors import translating
from lmdb_context_backend._rows import Txn, check_format

FORK_PATIENCE_S: Final = 10.0
"""How long a fork waits. What is open after it, as under a snapshot, the child cannot open, and is told so."""

FORK_PAUSE_S: Final = 0.001

# Plain locks: `with` takes and frees them in one step, where a Condition may be interrupted half-way, and stay taken.
_gate: Final = threading.Lock()  # held by a fork, so that no transaction begins
_changing: Final = threading.Lock()  # guards what follows
_open: dict[Path, "_Open"] = {}


class _Use:
    """Lives as long as a transaction: if an interrupt strikes before that takes leave, its frame does."""


@attrs.define
class _Open:
    environment: lmdb.Environment
    uses: "list[weakref.ref[_Use]]" = attrs.field(factory=list)
    pid: int = attrs.field(factory=os.getpid)

    def is_used(self, *, but_by: _Use | None = None) -> bool:
        """Whether a transaction is under way."""
        self.uses = [use for use in self.uses if use() not in (None, but_by)]
        return bool(self.uses)

    @property
    def is_inherited(self) -> bool:
        """Whether it is the parent's: what LMDB ended here would end there."""
        return self.pid != os.getpid()


@contextmanager
def transaction(folder: Path, map_size_bytes: int, *, write: bool = False) -> Iterator[Txn]:
    """Give a transaction, committed if the block ends well and undone if it raises (CO10)."""
    use = _Use()
    with _gate, _changing:
        if folder not in _open:
            _share(folder, map_size_bytes)
        shared = _open[folder]
        shared.uses.append(weakref.ref(use))
    try:
        with translating():
            txn = shared.environment.begin(write=write)
        try:
            with translating():
                yield txn
            _commit(txn, shared)
        except BaseException:
            if not shared.is_inherited:
                txn.abort()
            raise
    finally:
        with _changing:
            if not shared.is_used(but_by=use) and not shared.is_inherited:
                del _open[folder]
                shared.environment.close()


def _commit(txn: Txn, shared: _Open) -> None:
    if shared.is_inherited:
        raise errors.BackendUnavailableError("this process was forked inside of a transaction: start it anew")
    with translating(errors.OutcomeUnknownError):  # the disk may fail after the page that counts
        txn.commit()


def _share(folder: Path, map_size_bytes: int) -> None:
    # Not create: a folder that someone took away must not come back empty.
    with translating(errors.BackendUnavailableError):
        environment = lmdb.open(str(folder), map_size=map_size_bytes, create=False)
        try:
            environment.reader_check()  # else what a killed process was reading would be kept for ever
            with environment.begin() as txn:
                check_format(txn, str(folder))
            _open[folder] = _Open(environment)
        except BaseException:
            _open.pop(folder, None)
            environment.close()
            raise


def _before_fork() -> None:
    _gate.acquire()
    deadline = time.monotonic() + FORK_PATIENCE_S
    while any(shared.is_used() for shared in _open.values()) and time.monotonic() < deadline:
        time.sleep(FORK_PAUSE_S)
    _changing.acquire()
    for folder in [folder for folder, shared in _open.items() if not shared.is_used()]:
        _open.pop(folder).environment.close()


def _after_fork() -> None:
    _changing.release()
    _gate.release()


def _after_fork_in_child() -> None:
    global _open  # noqa: PLW0603  # to close what is in it would take it from the parent
    _inherited.append(_open)
    _open = {}
    _after_fork()


_inherited: Final[list[dict[Path, _Open]]] = []

os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
