"""Opening a store, and closing it."""

from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Generic, NoReturn, Self, cast

from typing_extensions import TypeVar

from context_core._facade.arguments import FILE_BACKEND, address
from context_core._facade.damaged import UNREADABLE, DamagePolicy, in_order
from context_core.codecs import DocumentCodec
from context_core.config import find_settings
from context_core.errors import BackendClosedError, ConfigurationError
from context_core.hookspecs import VERBS, ContextBackend
from context_core.model import WorkflowContext, utc_now
from context_core.plugins import BoundVerbs, bind, open_backend
from context_core.records import BackendDescription, Clock, DamagedRow, StoredDocument
from context_core.serialization import ContextSerializer
from context_core.upcasting import Upcaster
from context_core.zones import zone_of

C = TypeVar("C", bound=WorkflowContext, default=WorkflowContext)


class OpenedStore(Generic[C]):
    """A backend with its verbs bound, and what turns its documents into contexts."""

    def __init__(  # noqa: PLR0913  # options, all but the first by name
        self,
        store: str | PathLike[str] | ContextBackend | None = None,
        *,
        db_path: str | PathLike[str] | None = None,
        context_type: type[C] = cast("type[C]", WorkflowContext),  # noqa: B008  # a cast, not a call that matters
        clock: Clock = utc_now,
        wrappers: Sequence[object] = (),
        upcasters: Iterable[Upcaster] = (),
        document_codec: DocumentCodec | None = None,
    ) -> None:
        if store is not None and db_path is not None:
            raise ConfigurationError("give a store or a db_path, not both")
        self._serializer = ContextSerializer(context_type, upcasters, document_codec)
        self._clock = clock
        if isinstance(store, ContextBackend):
            self._backend = store
        else:
            self._backend = open_backend(address(store, db_path), clock=clock)
        try:
            self._verbs = bind(self._backend, wrappers)
            self._serializer.naive_zone = zone_of(self._backend.describe().naive_times)
        except BaseException:
            self._backend.close()
            raise
        self._is_closed = False

    @classmethod
    def from_config(cls, url: str | None = None, **options: Any) -> Self:
        """Open the store that is configured: *url*, else CONTEXT_CORE_URL, else [tool.context_core] in pyproject.toml.

        *options* are those of the constructor.

        Raises:
            ConfigurationError: Nothing is configured, or a source holds an unknown key, named with the valid ones.
        """
        settings = find_settings(url)
        try:
            return cls(settings.url, **options)
        except ConfigurationError as error:
            raise ConfigurationError(f"from {settings.source}: {error}") from error

    def describe(self) -> BackendDescription:
        """Return the backend's name, place, capabilities and limits."""
        return self._backend.describe()

    @property
    def db_path(self) -> Path | None:
        """The absolute path of the SQLite file; None for a store of another kind. It is known after `close` too."""
        description = self._backend.describe()
        return Path(description.location) if description.name == FILE_BACKEND else None

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._is_closed

    def close(self) -> None:
        """Close the store; further calls of `close` do nothing, all others raise BackendClosedError (ER05)."""
        self._is_closed = True
        self._verbs = _CLOSED
        self._backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _readable_contexts(
        self, documents: Sequence[StoredDocument], damaged: Sequence[DamagedRow], policy: DamagePolicy
    ) -> list[C]:
        """The contexts in *documents*, and what *policy* says of those that cannot be read, in the order of the rows."""
        found: list[C] = []
        for row in in_order(documents, damaged) if damaged else documents:
            if isinstance(row, DamagedRow):
                policy.met(row.error)
            else:
                self._add_readable_contexts(found, row, policy)
        return found

    def _add_readable_contexts(self, found: list[C], stored: StoredDocument, policy: DamagePolicy) -> None:
        try:
            found.append(self._serializer.to_context(stored))
        except UNREADABLE as error:
            policy.met(error)


def _closed(_: object) -> NoReturn:
    raise BackendClosedError


_CLOSED: Final = BoundVerbs(**dict.fromkeys(VERBS, _closed))
