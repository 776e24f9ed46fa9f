"""Why a law did not run, in a form that the report can count: nothing is skipped without a reason of one of these kinds."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, NoReturn, TypeVar

import attrs
import pytest

from context_core import Capability

F = TypeVar("F", bound=Callable[..., Any])


class SkipKind(StrEnum):
    """What is missing, and for whom."""

    NOT_DECLARED = "not_declared"
    """The law needs a capability that the backend does not declare; its refusal is a law of its own."""
    DECLARED = "declared"
    """The law checks the refusal of a capability that the backend declares."""
    NO_ACCESS = "no_access"
    """The law needs a storage access hook, `raw_storage` for example, that the test class does not define."""
    OTHER = "other"


@attrs.frozen
class Skip:
    """Why a law was skipped."""

    kind: SkipKind
    reason: str
    capability: Capability | None = None

    @classmethod
    def of(cls, skipped: BaseException) -> "Skip":
        """What a skip tells; one that was not made by this module has its message only."""
        return getattr(skipped, "law_skip", cls(SkipKind.OTHER, str(skipped)))

    def now(self) -> NoReturn:
        """Skip the law that runs."""
        skipped: Any = pytest.skip.Exception(self.reason)
        skipped.law_skip = self
        raise skipped


def skip_undeclared(capability: Capability) -> NoReturn:
    """Skip a law about a capability that the backend does not declare."""
    Skip(SkipKind.NOT_DECLARED, f"the backend does not declare the capability {capability.value!r}", capability).now()


def skip_declared(capability: Capability) -> NoReturn:
    """Skip a law about the refusal of a capability, as the backend declares it."""
    Skip(SkipKind.DECLARED, f"the backend declares the capability {capability.value!r}", capability).now()


def skip_without_access(hook: str) -> NoReturn:
    """Skip a law that needs a storage access hook which the test class does not define."""
    Skip(SkipKind.NO_ACCESS, f"the test class gives no storage access hook {hook!r}").now()


def refuses(*capabilities: Capability) -> Callable[[F], F]:
    """Mark a law that checks what happens to a backend without these capabilities: it refuses, and does nothing.

    Without arguments it is the capability that a case of the law has as its parameter ``capability``.
    """
    return pytest.mark.refuses(*(capability.value for capability in capabilities))
