"""Contexts for the laws to store."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from context_core import WorkflowContext

EPOCH: Final = datetime(2025, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
"""A time with microseconds, at which sample contexts are created."""


def a_context(workflow_id: str = "order-7", **fields: Any) -> WorkflowContext:
    """A small context; *fields* replace its own."""
    chosen: dict[str, Any] = {
        "workflow_id": workflow_id,
        "epic_num": 1,
        "story_num": 2,
        "feature": "checkout",
        "workflow_name": "implement_story",
        "created_at": EPOCH,
        "updated_at": EPOCH,
    }
    return WorkflowContext(**(chosen | fields))


class TickingClock:
    """A clock that a law sets by hand."""

    def __init__(self, now: datetime = EPOCH) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """The time it was set to."""
        return self.now

    def advance(self, seconds: float) -> datetime:
        """Move by *seconds*, backwards where negative, and return the new time."""
        self.now += timedelta(seconds=seconds)
        return self.now
