"""Transactions on the environment of a folder, which is open only as long as one of them needs it.

LMDB forbids to open an environment twice in a process, so the threads share it, and to carry it across a fork, so a
fork waits until none is open: parent and child then open their own (CO08). To open one takes a tenth of a millisecond.
"""

import os
import threading
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

_gate: Final = threading.Lock()  # held by a fork, so that no transaction begins
_changing: Final = threading.Condition()  # guards what follows
_open: dict[Path, "_Open"] = {}


@attrs.define
class _Open:
    environment: lmdb.Environment
    transactions: int = 0
    pid: int = attrs.field(factory=os.getpid)

    @property
    def is_inherited(self) -> bool:
        """Whether it is the parent's: what LMDB ended here would end there."""
        return self.pid != os.getpid()


@contextmanager
def transaction(folder: Path, map_size_bytes: int, *, write: bool = False) -> Iterator[Txn]:
    """Give a transaction, committed if the block ends well and undone if it raises (CO10)."""
    with _gate, _changing:
        shared = _open[folder] = _open.get(folder) or _Open(_opened(folder, map_size_bytes))
        shared.transactions += 1
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
            shared.transactions -= 1
            if not shared.transactions and not shared.is_inherited:
                del _open[folder]
                shared.environment.close()
                _changing.notify_all()


def _commit(txn: Txn, shared: _Open) -> None:
    if shared.is_inherited:
        raise errors.BackendUnavailableError("this process was forked inside of a transaction: start it anew")
    with translating(errors.OutcomeUnknownError):  # the disk may fail after the page that counts
        txn.commit()


def _opened(folder: Path, map_size_bytes: int) -> lmdb.Environment:
    # Not create: a folder that someone took away must not come back empty.
    with translating(errors.BackendUnavailableError):
        environment = lmdb.open(str(folder), map_size=map_size_bytes, create=False)
        try:
            environment.reader_check()  # else what a killed process was reading would be kept for ever
            with environment.begin() as txn:
                check_format(txn, str(folder))
        except BaseException:
            environment.close()
            raise
    return environment


def _before_fork() -> None:
    _gate.acquire()
    _changing.acquire()
    _changing.wait_for(lambda: not _open, FORK_PATIENCE_S)


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
