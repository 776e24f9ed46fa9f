"""The backend under test, as the laws see it."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from context_core import Capability, ContextBackend, ContextPersistence
from context_core.plugins import open_backend
from context_core.url import BackendURL
from context_core_conformance.access import StorageAccess
from context_core_conformance.skipping import skip_undeclared, skip_without_access

T = TypeVar("T")


class Subject:
    """Opens handles to one store, and closes them all at the end."""

    def __init__(self, url: str, folder: Path, *, access: StorageAccess, another: Callable[[], "Subject"]) -> None:
        self.url = url
        self.folder = folder
        """A place for files of a law's own; a driver's files may lie in it too."""
        self.access = access
        self._another = another
        self._opened = ExitStack()

    def open_at(self, url: str, **options: Any) -> ContextPersistence[Any]:
        """Open a store at another address."""
        return self._opened.enter_context(ContextPersistence(url, **options))

    def open(self, **options: Any) -> ContextPersistence[Any]:
        """Open a store, *options* being those of ContextPersistence; each call gives another handle to the same one."""
        return self._opened.enter_context(ContextPersistence(self.url, **options))

    def open_read_only(self, **options: Any) -> ContextPersistence[Any]:
        """Open a store that may only read, by the URL option that every driver with READ_ONLY takes."""
        return self._opened.enter_context(ContextPersistence(self._read_only_url, **options))

    def backend(self, **options: Any) -> ContextBackend:
        """Open the bare backend, for laws about the verbs themselves."""
        return self.backend_at(self.url, **options)

    def backend_at(self, url: str, **options: Any) -> ContextBackend:
        """Open the bare backend at another address."""
        backend = open_backend(BackendURL.parse(url), **options)
        self._opened.callback(backend.close)
        return backend

    def read_only_backend(self) -> ContextBackend:
        """Open the bare backend so that it may only read."""
        return self.backend_at(self._read_only_url)

    @property
    def _read_only_url(self) -> str:
        return f"{self.url}{'&' if '?' in self.url else '?'}read_only=true"

    def another(self) -> "Subject":
        """Another fresh store of the same driver, closed with this one."""
        return self._opened.enter_context(self._another())

    def open_backup(self, path: Path) -> ContextPersistence[Any]:
        """Open the backup that was made at *path*; skips where the test class does not tell its URL."""
        return self.open_at(needed(self.access.backup_url(path), "backup_url"))

    def around(self, backend: ContextBackend, **options: Any) -> ContextPersistence[Any]:
        """Open a store around a backend object."""
        return self._opened.enter_context(ContextPersistence(backend, **options))

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What the backend declares."""
        return self.open().describe().capabilities

    def requires(self, capability: Capability) -> None:
        """Skip a law about something that the backend does not declare; another law checks that it refuses it."""
        if capability not in self.capabilities:
            skip_undeclared(capability)

    def raw_storage(self) -> bytes:
        """Everything that the storage holds, read without the driver. Skips the law if the test class has no hook for it."""
        return b"\n".join(needed(self.access.raw_storage(self.url), "raw_storage"))

    def close_all(self) -> None:
        """Close whatever was opened so far."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close_all()


def needed(answer: T | None, hook: str) -> T:
    """The answer of a storage access hook. The law is skipped if the test class does not define the hook."""
    if answer is None:
        skip_without_access(hook)
    return answer
