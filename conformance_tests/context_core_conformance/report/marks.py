"""What the marks of a law say."""

import pytest


def promises_of(item: pytest.Item) -> tuple[str, ...]:
    """The ids of the promises that a law checks, each once."""
    return tuple(dict.fromkeys(promise_id for mark in item.iter_markers("promise") for promise_id in mark.args))


def refusals_of(item: pytest.Item) -> tuple[str, ...]:
    """The capabilities whose refusal a law checks; of a mark without arguments, that of the case."""
    found: list[str] = []
    for mark in item.iter_markers("refuses"):
        found += mark.args or (str(item.callspec.params["capability"]),)  # type: ignore[attr-defined]  # parametrized
    return tuple(found)
