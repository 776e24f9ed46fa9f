"""Faults of what a driver says: of errors, of itself, of addresses."""

import logging
import signal
import sqlite3
import warnings
from typing import Self

import attrs

from context_core import (
    BackendDescription,
    BackendURL,
    Capability,
    ConfigurationError,
    IdempotencyConflictError,
    LimitExceededError,
    PersistenceError,
    UnsupportedOperationError,
    VersionConflictError,
)
from context_core.model import utc_now
from context_core.records import Clock, LoadRequest, QueryRequest, SavedVersion, SaveRequest, StoredDocument
from context_core_memory import MemoryBackend
from faulty_drivers.fault import breaks


@breaks("ER01", "ER02", "CA01")
class EngineErrorLeaks(MemoryBackend):
    """A conflict shows as what the engine calls it."""

    def save(self, request: SaveRequest) -> SavedVersion:
        try:
            return super().save(request)
        except VersionConflictError as error:
            raise sqlite3.IntegrityError("UNIQUE constraint failed: versions.version") from error


@breaks("ER02", "RT15")
class LimitHasAClassOfItsOwn(MemoryBackend):
    """What is too large is refused, but not as everywhere."""

    def save(self, request: SaveRequest) -> SavedVersion:
        try:
            return super().save(request)
        except LimitExceededError as error:
            raise PersistenceError("too large") from error


@breaks("ER03")
class ErrorTellsTheDocument(MemoryBackend):
    """A conflict repeats what was to be saved, and logs keep it."""

    def save(self, request: SaveRequest) -> SavedVersion:
        try:
            return super().save(request)
        except VersionConflictError as error:
            error.args = (f"{error}: {request.record.document.decode()}",)
            raise


@breaks("ER03")
class CauseTellsTheDocument(MemoryBackend):
    """A refused key has a cause that repeats what was to be saved."""

    def save(self, request: SaveRequest) -> SavedVersion:
        try:
            return super().save(request)
        except IdempotencyConflictError as error:
            raise error from ValueError(f"INSERT … VALUES ({request.record.document.decode()})")


@breaks("ER03", "CA08")
class ErrorGivesNoAdvice(MemoryBackend):
    """A conflict does not say what to do next."""

    def save(self, request: SaveRequest) -> SavedVersion:
        try:
            return super().save(request)
        except VersionConflictError as error:
            error.args = ("conflict",)
            raise


@breaks("ER07", "ER03")
class AddressTellsThePassword(MemoryBackend):
    """An address that cannot be used is repeated, password and all."""

    @classmethod
    def from_url(cls, url: BackendURL, *, clock: Clock = utc_now) -> Self:
        if url.password is not None:
            raise ConfigurationError(f"nobody logs in as {url.username}:{url.password}")
        return super().from_url(url, clock=clock)


@breaks("ER07", "ER03")
class DescriptionTellsThePassword(MemoryBackend):
    """The password is part of where the store is."""

    _address: BackendURL

    @classmethod
    def from_url(cls, url: BackendURL, *, clock: Clock = utc_now) -> Self:
        url.check_options(())
        opened = cls(url.host or "", clock=clock)
        opened._address = url
        return opened

    def describe(self) -> BackendDescription:
        login = f"{self._address.username}:{self._address.password}@" if self._address.username else ""
        return attrs.evolve(super().describe(), location=f"memory://{login}{self._name}")


@breaks("ER02")
class UnknownOptionsAreIgnored(MemoryBackend):
    """A misspelt option of the URL changes nothing, and nobody is told."""

    @classmethod
    def from_url(cls, url: BackendURL, *, clock: Clock = utc_now) -> Self:
        return super().from_url(attrs.evolve(url, options={}), clock=clock)


@breaks("ER08")
class NameIsAnothers(MemoryBackend):
    """It does not describe itself by the name that it is opened by."""

    def describe(self) -> BackendDescription:
        return attrs.evolve(super().describe(), name="memory")


class _Declaring(MemoryBackend):
    """Declares `more`, and not `less`."""

    more: frozenset[Capability] = frozenset()
    less: frozenset[Capability] = frozenset()

    def describe(self) -> BackendDescription:
        description = super().describe()
        return attrs.evolve(description, capabilities=description.capabilities - self.less | self.more)


@breaks("ER08", "MO02")
class DeclaresWhatItCannotDo(_Declaring):
    """It says that it makes backups, and does not."""

    more = frozenset({Capability.BACKUP})


@breaks("ER08")
class HidesWhatItCanDo(_Declaring):
    """It prunes, and does not say so."""

    less = frozenset({Capability.PRUNE})


@breaks("ER08", "ID01")
class TakesKeysThatItDoesNotKeep(_Declaring):
    """It declares no idempotency, and ignores a key where it should refuse it."""

    less = frozenset({Capability.IDEMPOTENCY})

    def save(self, request: SaveRequest) -> SavedVersion:
        return super().save(attrs.evolve(request, idempotency=None))


@breaks("ER08", "QU04")
class TakesPathsThatItDoesNotDeclare(_Declaring):
    """It declares no paths, and answers queries that have some."""

    less = frozenset({Capability.JSON_PATHS})


@breaks("ER06", "ER08")
class ReadOnlyIsAWord(_Declaring):
    """It takes the option `read_only`, and writes all the same."""

    more = frozenset({Capability.READ_ONLY})

    @classmethod
    def from_url(cls, url: BackendURL, *, clock: Clock = utc_now) -> Self:
        options = {name: value for name, value in url.options.items() if name != "read_only"}
        return super().from_url(attrs.evolve(url, options=options), clock=clock)


@breaks("ER08")
class RefusalNamesNothing(_Declaring):
    """What it cannot do it refuses without saying what that was."""

    def explain(self, request: QueryRequest) -> str:
        raise UnsupportedOperationError(operation="this", backend="some")


@breaks("ER02", "VE04")
class MissingIsAnEmptyDocument(MemoryBackend):
    """A workflow that does not exist is one without content."""

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        return super().load(request) or [StoredDocument(each, 1, b"{}") for each in request.workflow_ids[:1]]


@breaks("ER09")
class SetsUpLogging(MemoryBackend):
    """Opening a store gives the root logger a handler, and the program's own set-up then does nothing."""

    @classmethod
    def from_url(cls, url: BackendURL, *, clock: Clock = utc_now) -> Self:
        logging.basicConfig()
        return super().from_url(url, clock=clock)


@breaks("ER09")
class SilencesWarnings(MemoryBackend):
    """A save adds a filter for warnings that are not its own."""

    def save(self, request: SaveRequest) -> SavedVersion:
        warnings.simplefilter("ignore", DeprecationWarning)
        return super().save(request)


@breaks("ER09")
class TakesTheSignal(MemoryBackend):
    """While a store is open, SIGTERM no longer ends the process."""

    @classmethod
    def from_url(cls, url: BackendURL, *, clock: Clock = utc_now) -> Self:
        opened = super().from_url(url, clock=clock)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        return opened
