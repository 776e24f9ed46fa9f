"""Every promise of a context backend, as data: the one source for the laws, their failures and the docs."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final, TypeVar

import attrs
import pytest

from context_core import Capability
from context_core_conformance._catalog import CAPABILITIES, KEPT_BY_FACADE, SENTENCES

F = TypeVar("F", bound=Callable[..., Any])


class Keeper(StrEnum):
    """Who keeps a promise: the driver, or the facade for all drivers."""

    DRIVER = "driver"
    FACADE = "facade"


@attrs.frozen(kw_only=True)
class Promise:
    """One testable promise."""

    id: str
    group: str
    keeper: Keeper
    sentence: str
    capability: Capability | None = None


def promise(*ids: str) -> Callable[[F], F]:
    """Mark a law with the promises it checks.

    Raises:
        KeyError: There is no promise of that id.
    """
    for promise_id in ids:
        PROMISES[promise_id]  # looked up to fail at import
    return pytest.mark.promise(*ids)


PROMISES: Final[dict[str, Promise]] = {
    promise_id: Promise(
        id=promise_id,
        group=group,
        keeper=Keeper.FACADE if promise_id in KEPT_BY_FACADE else Keeper.DRIVER,
        sentence=sentence,
        capability=CAPABILITIES.get(promise_id),
    )
    for group, sentences in SENTENCES.items()
    for promise_id, sentence in sentences.items()
}
