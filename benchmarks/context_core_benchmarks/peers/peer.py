"""What a peer is asked to do. An adapter uses the peer as its own documentation does."""

import abc
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

from context_core import WorkflowContext


class CannotError(Exception):
    """The peer has no such verb; the table shows a dash."""


class Peer(abc.ABC):
    """A store of states with their history, durable as far as the peer allows; opened on an empty folder.

    Attributes:
        name: As the table shows it.
        distributions: Whose versions the table's head names.
        note: What a reader must know to compare fairly.
    """

    name: ClassVar[str]
    distributions: ClassVar[Sequence[str]]
    note: ClassVar[str] = ""

    def form(self, context: WorkflowContext) -> Any:
        """Bring a context to the form in which the peer's users hold their state; not timed."""
        return context.to_dict()

    @abc.abstractmethod
    def save(self, state: Any) -> None:
        """Store the next version of a workflow, on disk when this returns."""

    def save_many(self, many: Sequence[Any]) -> None:
        """Store all or none."""
        del many
        raise CannotError

    @abc.abstractmethod
    def load(self, workflow_id: str) -> Any:
        """Load the newest version."""

    def newest(self, status: str, limit: int) -> list[Any]:
        """Load the newest workflows that stand at a status, newest first."""
        del status, limit
        raise CannotError

    @abc.abstractmethod
    def history(self, of: WorkflowContext) -> list[Any]:
        """Load every version of the workflow, the only one of its story, oldest first."""

    @abc.abstractmethod
    def close(self) -> None:
        """Close everything that is open."""

    def stored_bytes(self, folder: Path) -> int:
        """How much disk it takes; asked after `close`."""
        return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())

    @classmethod
    def described(cls) -> str:
        """The name with the versions of what was measured."""
        versions = ", ".join(f"{name} {version(name)}" for name in cls.distributions)
        return f"{cls.name} ({versions})" if versions else cls.name
