"""A backend around another that counts what reaches it."""

from collections.abc import Callable
from typing import TypeVar

from context_core import BackendDescription, ContextBackend
from context_core.records import (
    BatchRequest,
    LoadRequest,
    Outcome,
    QueryRequest,
    SavedVersion,
    SaveRequest,
    Selection,
    StoredDocument,
    VersionRequest,
)

Request = TypeVar("Request")
Result = TypeVar("Result")


class CallCountingBackend(ContextBackend):
    """Passes every verb on, and keeps the requests in `calls`."""

    def __init__(self, inner: ContextBackend) -> None:
        self.inner = inner
        self.calls: list[object] = []

    def save(self, request: SaveRequest) -> SavedVersion:
        """Pass it on."""
        return self._count(self.inner.save, request)

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        """Pass it on."""
        return self._count(self.inner.load, request)

    def version(self, request: VersionRequest) -> Selection:
        """Pass it on."""
        return self._count(self.inner.version, request)

    def query(self, request: QueryRequest) -> Selection:
        """Pass it on."""
        return self._count(self.inner.query, request)

    def batch(self, request: BatchRequest) -> list[Outcome]:
        """Pass it on."""
        return self._count(self.inner.batch, request)

    def describe(self) -> BackendDescription:
        """Describe the inner one."""
        return self.inner.describe()

    def close(self) -> None:
        """Close the inner one."""
        self.inner.close()

    def _count(self, verb: Callable[[Request], Result], request: Request) -> Result:
        self.calls.append(request)
        return verb(request)
