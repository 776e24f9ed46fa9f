"""Faults of a driver with a peer: what it does when the peer keeps its connection open and stops answering."""

import threading
from typing import Final, Self

import attrs

from context_core import BackendUnavailableError, BackendURL, OutcomeUnknownError
from context_core.model import utc_now
from context_core.records import (
    BatchRequest,
    Clock,
    LoadRequest,
    Outcome,
    QueryRequest,
    SavedVersion,
    SaveRequest,
    Selection,
    StoredDocument,
    VersionRequest,
)
from context_core_memory import MemoryBackend
from faulty_drivers.base_drivers import last_call
from faulty_drivers.fault import breaks

answering: Final = threading.Event()
"""Whether the peer answers."""
answering.set()


class Remote(MemoryBackend):
    """A good driver: its peer is as silent as `answering` says, and it waits for it as long as its URL allows."""

    _limit_s = 60.0

    @classmethod
    def from_url(cls, url: BackendURL, *, clock: Clock = utc_now) -> Self:
        url.check_options(("call_timeout",))
        opened = super().from_url(attrs.evolve(url, options={}), clock=clock)
        opened._limit_s = float(url.options.get("call_timeout", 60))
        return opened

    def wait(self) -> None:
        """Wait for the peer."""
        if not answering.wait(self._limit_s):
            raise BackendUnavailableError("the peer does not answer: try again later") from TimeoutError()

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        self.wait()
        return super().load(request)

    def version(self, request: VersionRequest) -> Selection:
        self.wait()
        return super().version(request)

    def query(self, request: QueryRequest) -> Selection:
        self.wait()
        return super().query(request)

    def save(self, request: SaveRequest) -> SavedVersion:
        self.wait()
        return super().save(request)

    def batch(self, request: BatchRequest) -> list[Outcome]:
        self.wait()
        return super().batch(request)


@breaks("CO12")
class SilentPeerIsWaitedFor(Remote):
    """A peer that keeps its connection open is waited for, for ever."""

    def wait(self) -> None:
        while not (answering.wait(0.01) or last_call.is_set()):
            pass


@breaks("CO12")
class OnlyReadsEnd(Remote):
    """A read ends in its time, and a batch waits for ever."""

    def batch(self, request: BatchRequest) -> list[Outcome]:
        while not (answering.wait(0.01) or last_call.is_set()):
            pass
        return super().batch(request)


@breaks("CO12")
class SilentPeerLeaksItsError(Remote):
    """What ends a call is the engine's own error."""

    def wait(self) -> None:
        if not answering.wait(self._limit_s):
            raise TimeoutError


@breaks("CO12")
class UnknownOutcomeIsCalledNone(Remote):
    """The write reaches the peer, the reply does not come, and the caller is told that nothing was written."""

    def save(self, request: SaveRequest) -> SavedVersion:
        saved = MemoryBackend.save(self, request)
        self.wait()
        return saved


@breaks("CO12")
class SilentReadIsOfUnknownOutcome(Remote):
    """A read is told as a write that may have happened."""

    def wait(self) -> None:
        if not answering.wait(self._limit_s):
            raise OutcomeUnknownError("the peer does not answer") from TimeoutError()


@breaks("CO12")
class SilentPeerIsRememberedForEver(Remote):
    """Once a call has ended so, its connection is used again and again."""

    _is_dead = False

    def wait(self) -> None:
        self._is_dead = self._is_dead or not answering.wait(self._limit_s)
        if self._is_dead:
            raise BackendUnavailableError("the peer does not answer: try again later") from TimeoutError()


@breaks("CO12")
class CloseWaitsForThePeer(Remote):
    """It says goodbye to a peer that does not listen."""

    def close(self) -> None:
        while not (answering.wait(0.01) or last_call.is_set()):
            pass
        super().close()
