"""Transactions on the environment of a folder, which is open only as long as one of them needs it.

LMDB forbids to open an environment twice in a process, so the threads share it, and to carry it across a fork. So a
fork waits for the calls of other threads (`context_core.forking`), and none is open then but under a snapshot: parent
and child open their own (CO08). To open one takes a tenth of a millisecond.
"""

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs
import lmdb

from context_core import errors
from context_core.forking import follow_forks
from lmdb_context_backend._errors import translating
from lmdb_context_backend._rows import Txn, check_format

# Plain locks: `with` takes and frees them in one step, where a Condition may be interrupted half-way, and stay taken.
_changing = threading.Lock()  # guards what follows
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
    with _changing:
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


class _Forks:
    """What is done with open environments when the process forks."""

    def before_fork(self) -> None:
        """Close what no transaction uses. What is open after it, as under a snapshot, the child cannot open."""
        for folder in [folder for folder, shared in list(_open.items()) if not shared.is_used()]:
            _open.pop(folder).environment.close()

    def after_fork_in_child(self) -> None:
        """Leave what is open to the parent: to close it here would take it from there."""
        global _open, _changing  # noqa: PLW0603  # what is inherited may be locked for ever
        _inherited.append(_open)
        _open = {}
        _changing = threading.Lock()


_inherited: Final[list[dict[Path, _Open]]] = []
_forks: Final = _Forks()
follow_forks(_forks)
