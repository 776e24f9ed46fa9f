"""`SnapshotBackend`: what the snapshots of all drivers have in common."""

import abc
from typing import NoReturn

from context_core.errors import BackendClosedError, ReadOnlyError
from context_core.hookspecs import ContextBackend
from context_core.records import BackendDescription, BatchRequest, SaveRequest

__all__ = ["SnapshotBackend"]


class SnapshotBackend(ContextBackend):
    """A consistent view of one moment, which refuses every write (MO02).

    A driver's snapshot implements `load`, `version`, `query`, `close` and `is_closed`.
    """

    def __init__(self, description: BackendDescription) -> None:
        self._description = description

    @property
    @abc.abstractmethod
    def is_closed(self) -> bool:
        """Whether the view can no longer be read."""

    def save(self, request: SaveRequest) -> NoReturn:
        """Refuse.

        Raises:
            ReadOnlyError: Always, until the view is closed.
            BackendClosedError: The view is closed.
        """
        del request
        self._refuse()

    def batch(self, request: BatchRequest) -> NoReturn:
        """Refuse, as `save` does; an empty batch too."""
        del request
        self._refuse()

    def describe(self) -> BackendDescription:
        """Return the description of the store."""
        return self._description

    def _refuse(self) -> NoReturn:
        if self.is_closed:
            raise BackendClosedError
        raise ReadOnlyError("this is a snapshot: write to the store that it was taken of")
