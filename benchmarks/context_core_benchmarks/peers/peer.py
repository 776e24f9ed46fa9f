"""The interface of an adapter to a peer. An adapter uses the peer as the peer's documentation does."""

import abc
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

from context_core import WorkflowContext


class CannotError(Exception):
    """The peer does not have the verb; the table shows a dash."""


class Peer(abc.ABC):
    """A store of states with their histories, as durable as the peer can be; opened on an empty folder.

    Attributes:
        name: The name in the table.
        distributions: The distributions whose versions the table names.
        note: Facts that a reader needs for a fair comparison.
    """

    name: ClassVar[str]
    distributions: ClassVar[Sequence[str]]
    note: ClassVar[str] = ""

    def form(self, context: WorkflowContext) -> Any:
        """Convert a context to the form that users of the peer have in memory; not timed."""
        return context.to_dict()

    @abc.abstractmethod
    def save(self, state: Any) -> None:
        """Store the next version of a workflow; it is on disk when this returns."""

    def save_many(self, many: Sequence[Any]) -> None:
        """Store all or none."""
        del many
        raise CannotError

    @abc.abstractmethod
    def load(self, workflow_id: str) -> Any:
        """Load the newest version."""

    def newest(self, status: str, limit: int) -> list[Any]:
        """Load the newest workflows with a status, newest first."""
        del status, limit
        raise CannotError

    @abc.abstractmethod
    def history(self, of: WorkflowContext) -> list[Any]:
        """Load every version of the workflow, the only one of its story, oldest first."""

    @abc.abstractmethod
    def close(self) -> None:
        """Close the store."""

    def stored_bytes(self, folder: Path) -> int:
        """Return the size on disk; called after `close`."""
        return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())

    @classmethod
    def described(cls) -> str:
        """Return the name with the versions of the measured distributions."""
        versions = ", ".join(f"{name} {version(name)}" for name in cls.distributions)
        return f"{cls.name} ({versions})" if versions else cls.name
