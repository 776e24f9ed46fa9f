"""A backend around another, on a connection that loses what is said."""

from collections.abc import Callable
from enum import Enum, auto
from typing import TypeVar

from context_core import ContextBackend, OutcomeUnknownError
from context_core.records import BatchRequest, Outcome, SavedVersion, SaveRequest
from context_core_conformance.call_counter import CallCountingBackend

Request = TypeVar("Request")
Result = TypeVar("Result")


class Loss(Enum):
    """What is lost of a write."""

    NOTHING = auto()
    REQUEST = auto()
    """It is not done."""
    REPLY = auto()
    """It is done."""


class LossyBackend(CallCountingBackend):
    """Asks *lose* at each write what is to be lost of it; the caller is told OutcomeUnknownError, whichever it was."""

    def __init__(self, inner: ContextBackend, lose: Callable[[], Loss]) -> None:
        super().__init__(inner)
        self._lose = lose

    def save(self, request: SaveRequest) -> SavedVersion:
        """Save, or not, and perhaps tell neither."""
        return self._lossily(super().save, request)

    def batch(self, request: BatchRequest) -> list[Outcome]:
        """Do all of it or nothing, and perhaps tell neither."""
        return self._lossily(super().batch, request)

    def _lossily(self, verb: Callable[[Request], Result], request: Request) -> Result:
        loss = self._lose()
        if loss is Loss.REQUEST:
            raise OutcomeUnknownError("the connection was lost")
        result = verb(request)
        if loss is Loss.REPLY:
            raise OutcomeUnknownError("the connection was lost")
        return result


def losing(*losses: Loss) -> Callable[[], Loss]:
    """These, one for each write, and nothing after them."""
    left = iter(losses)
    return lambda: next(left, Loss.NOTHING)
