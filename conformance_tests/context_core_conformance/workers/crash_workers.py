"""Processes that work on a store until they are killed, and the process that they are forked from.

To start an interpreter and import everything takes longer than all the rest, so that is done once: the launcher never
opens a store, has one thread, and forks a worker for each kill.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from multiprocessing.connection import Connection
from typing import NoReturn, TypeAlias

import attrs

from context_core import Capability, ContextPersistence
from context_core.model import utc_now
from context_core_conformance.linearizability.histories import Call
from context_core_conformance.linearizability.recorder import Session
from context_core_conformance.linearizability.workload import WRITING, Racer
from context_core_conformance.samples import TickingClock
from context_core_conformance.verbs import Store


class Point(Enum):
    """Where a worker stops and waits to be killed."""

    BEFORE = "before a call"
    INSIDE = "inside the transaction, before the commit"
    AFTER = "after the commit"


@attrs.frozen(kw_only=True)
class Work:
    """Write to *workflows* of the store at *url*; stop at *point* of the call of that number, or of the next that has it."""

    url: str
    who: str
    workflows: Sequence[str]
    point: Point | None
    call: int


@attrs.frozen(kw_only=True)
class Opening:
    """Open the store at *url*, and migrate it, where it can do that."""

    url: str


@attrs.frozen
class Started:
    """A worker begins."""

    pid: int


@attrs.frozen
class Stopped:
    """A worker waits to be killed."""


@attrs.frozen
class Opened:
    """The store is open and migrated."""


@attrs.frozen
class Ended:
    """A worker is no more: its exit code, negative where a signal ended it."""

    code: int


Order: TypeAlias = Work | Opening
Report: TypeAlias = Started | Call | Stopped | Opened | Ended


def launch_workers(orders: Connection, reports: Connection) -> None:
    """Fork a worker for each order, one at a time, and report its end; until nobody gives orders any more."""
    while True:
        try:
            order: Order = orders.recv()
        except EOFError:
            return
        child = os.fork()
        if child == 0:
            _work(order, orders, reports)
        _, status = os.waitpid(child, 0)
        reports.send(Ended(os.waitstatus_to_exitcode(status)))


def _work(order: Order, orders: Connection, reports: Connection) -> NoReturn:
    code = 1
    try:
        reports.send(Started(os.getpid()))
        if isinstance(order, Work):
            _write(order, orders, reports)
        else:
            _open(order, orders, reports)
        code = 0
    except EOFError:
        pass  # the process that was to kill this one has ended
    except BaseException:  # noqa: BLE001  # a fork must never return into the launcher's code
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _write(order: Work, orders: Connection, reports: Connection) -> None:
    stops = _Stops(order, orders, reports)
    with ContextPersistence(order.url, clock=stops.clock) as store:
        racer = Racer(Session(store, order.who, stops.tell), order.who, order.workflows, WRITING)
        while True:
            racer.step()


def _open(order: Opening, orders: Connection, reports: Connection) -> None:
    store: Store = ContextPersistence(order.url, clock=TickingClock())
    if Capability.MIGRATE in store.describe().capabilities:
        store._backend.migrate()  # noqa: SLF001  # the facade has no verb for it
    reports.send(Opened())
    orders.recv()


class _Stops:
    """Tells of each call before it begins and after it ended, and stops where it was ordered to."""

    def __init__(self, order: Work, orders: Connection, reports: Connection) -> None:
        self._order = order
        self._orders = orders
        self._reports = reports
        self._begun = 0

    def tell(self, call: Call) -> None:
        """Report a call; its end is its acknowledgement."""
        self._reports.send(call)
        is_over = bool(call.results or call.reason)
        self._begun += not is_over
        self._stop_at(Point.AFTER if is_over else Point.BEFORE)

    def clock(self) -> datetime:
        """The time, as asked for inside of a transaction."""
        self._stop_at(Point.INSIDE)
        return utc_now()

    def _stop_at(self, point: Point) -> None:
        if point is self._order.point and self._begun >= self._order.call:
            self._reports.send(Stopped())
            self._orders.recv()  # for ever, or until the other end is gone
