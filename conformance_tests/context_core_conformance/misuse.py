"""Calls that every store must refuse, by the class that they are refused with."""

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any, Final

import attrs
import pytest

from context_core import (
    Delete,
    InvalidContextError,
    InvalidQueryError,
    LimitExceededError,
    Save,
    UnserializableValueError,
    WorkflowContext,
)
from context_core_conformance.samples import EPOCH, a_context
from context_core_conformance.verbs import Store

NAIVE: Final = EPOCH.replace(tzinfo=None)


@attrs.frozen
class Misuse:
    """A call that names what is wrong with it, and the very class it must raise."""

    name: str
    error: type[Exception]
    call: Callable[[Store], object]


def _wrap(value: list[Any], _: int) -> list[Any]:
    return [value]


_BAD_IDS: Final[dict[str, Any]] = {
    "empty": "",
    "long": "a" * 256,
    "NUL": "a\0b",
    "surrogate": "\ud800",
    "None": None,
    "int": 7,
    "bytes": b"w",
}
_TAKES_ID: Final[dict[str, Callable[[Store, Any], object]]] = {
    "load_context": lambda store, bad: store.load_context(bad),
    "load_contexts": lambda store, bad: store.load_contexts(["good", bad]),
    "history": lambda store, bad: store.history(bad),
    "context_exists": lambda store, bad: store.context_exists(bad),
    "get_context_by_version": lambda store, bad: store.get_context_by_version(bad, 1),
    "delete_context": lambda store, bad: store.delete_context(bad),
    "rollback": lambda store, bad: store.rollback(bad, 1),
    "fork from": lambda store, bad: store.fork(bad, "new"),
    "fork to": lambda store, bad: store.fork("w", bad),
    "diff": lambda store, bad: store.diff(bad, 1, 1),
    "batch with Delete": lambda store, bad: store.batch([Delete(bad)]),
}
_BAD_VERSIONS: Final[dict[str, Any]] = {"bool": True, "float": 1.0, "text": "1", "huge": 2**63, "-huge": -(2**63) - 1}
_TAKES_VERSION: Final[dict[str, Callable[[Store, Any], object]]] = {
    "load_context": lambda store, bad: store.load_context("w", version=bad),
    "get_context_by_version": lambda store, bad: store.get_context_by_version("w", bad),
    "rollback": lambda store, bad: store.rollback("w", bad),
    "rollback expecting": lambda store, bad: store.rollback("w", 1, expected_version=bad),
    "save_context": lambda store, bad: store.save_context(a_context("w"), expected_version=bad),
    "update_context": lambda store, bad: store.update_context(a_context("w"), expected_version=bad),
    "delete_context": lambda store, bad: store.delete_context("w", expected_version=bad),
    "fork": lambda store, bad: store.fork("w", "new", bad),
    "diff from": lambda store, bad: store.diff("w", bad, 1),
    "diff to": lambda store, bad: store.diff("w", 1, bad),
    "batch with Save": lambda store, bad: store.batch([Save(a_context("w"), expected_version=bad)]),
    "batch with Delete": lambda store, bad: store.batch([Delete("w", expected_version=bad)]),
    "get_context_versions of epic": lambda store, bad: store.get_context_versions(bad),
    "get_version_count of story": lambda store, bad: store.get_version_count(1, bad),
    "get_latest_context": lambda store, bad: store.get_latest_context(bad, 1),
    "get_contexts_by_epic": lambda store, bad: store.get_contexts_by_epic(bad),
}
_BAD_PAGES: Final[dict[str, dict[str, Any]]] = {
    f"{name}={bad!r}": {name: bad} for name in ("limit", "offset") for bad in (-1, True, False, 1.5, "1", 2**63)
}
_BAD_TIMES: Final[dict[str, dict[str, Any]]] = {
    "naive": {"as_of": NAIVE},
    "text": {"as_of": EPOCH.isoformat()},
    "date": {"as_of": EPOCH.date()},
    "seconds": {"as_of": 0},
    "beside a version": {"as_of": EPOCH, "version": 1},
}
_BAD_SEARCHES: Final[dict[str, dict[str, Any]]] = {
    "unknown field": {"filters": {"color": 1}},
    "unknown operator": {"filters": {"status__near": "x"}},
    "naive time": {"filters": {"created_at__gte": NAIVE}},
    "unknown status": {"filters": {"status": "done"}},
    "order by no field": {"order_by": "color"},
    "order by a list field": {"order_by": "tags"},
}
_NO_CONTEXTS: Final[dict[str, Any]] = {"dict": {"workflow_id": "w"}, "None": None, "class": WorkflowContext}
_INEXACT: Final[dict[str, dict[str, Any]]] = {
    "bytes": {"decisions": {"k": b"x"}},
    "nan": {"metadata": {"k": [float("nan")]}},
    "int key": {"artifacts": [{1: 1}]},
}
_TOO_DEEP: Final[dict[str, dict[str, Any]]] = {"5,000 levels": {"errors": functools.reduce(_wrap, range(5_000), [])}}
_TAKES_PAGE: Final[dict[str, Callable[[Store, Any], object]]] = {
    "history": lambda store, page: store.history("w", **page),
    "search_contexts": lambda store, page: store.search_contexts(**page),
    "list_headers": lambda store, page: store.list_headers(**page),
}
_TAKES_CONTEXT: Final[dict[str, Callable[[Store, Any], object]]] = {
    "save_context": lambda store, bad: store.save_context(bad),
    "update_context": lambda store, bad: store.update_context(bad),
    "save_contexts": lambda store, bad: store.save_contexts([a_context("good"), bad]),
}


_TAKES_KEY: Final[dict[str, Callable[[Store, Any], object]]] = {
    "save_context": lambda store, bad: store.save_context(a_context("w"), idempotency_key=bad),
    "update_context": lambda store, bad: store.update_context(a_context("w"), idempotency_key=bad),
    "rollback": lambda store, bad: store.rollback("w", 1, idempotency_key=bad),
}
_TAKES_FIELDS: Final[dict[str, Callable[[Store, Any], object]]] = {
    "save_context": lambda store, fields: store.save_context(a_context("w", **fields)),
    "update_context": lambda store, fields: store.update_context(a_context("w", **fields)),
    "save_contexts": lambda store, fields: store.save_contexts([a_context("good"), a_context("w", **fields)]),
}
_NEEDS_VERSION: Final = {
    verb: _TAKES_VERSION[verb] for verb in ("get_context_by_version", "rollback", "diff from", "diff to")
}
_TAKES_TIME: Final[dict[str, Callable[[Store, Any], object]]] = {
    "load_context": lambda store, arguments: store.load_context("w", **arguments),
}
_SEARCHES: Final[dict[str, Callable[[Store, Any], object]]] = {
    "search_contexts": lambda store, arguments: store.search_contexts(**arguments),
    "list_headers": lambda store, arguments: store.list_headers(**arguments),
    "search_page": lambda store, arguments: store.search_page(**arguments),
    "iter_contexts": lambda store, arguments: list(store.iter_contexts(**arguments)),
    "headers_page": lambda store, arguments: store.headers_page(**arguments),
    "iter_headers": lambda store, arguments: list(store.iter_headers(**arguments)),
}
_GROUPS: Final = (
    ("id", _TAKES_ID, _BAD_IDS, InvalidContextError),
    ("version", _TAKES_VERSION, _BAD_VERSIONS, InvalidQueryError),
    ("version", _NEEDS_VERSION, {"None": None}, InvalidQueryError),
    ("page", _TAKES_PAGE, _BAD_PAGES, InvalidQueryError),
    ("as_of", _TAKES_TIME, _BAD_TIMES, InvalidQueryError),
    ("search", _SEARCHES, _BAD_SEARCHES, InvalidQueryError),
    ("key", _TAKES_KEY, {name: bad for name, bad in _BAD_IDS.items() if bad is not None}, InvalidContextError),
    ("context", _TAKES_CONTEXT, _NO_CONTEXTS, InvalidContextError),
    ("content", _TAKES_FIELDS, _INEXACT, UnserializableValueError),
    ("content", _TAKES_FIELDS, _TOO_DEEP, LimitExceededError),
)


def _misuses() -> Iterator[Misuse]:
    for noun, calls, wrongs, error in _GROUPS:
        for (verb, call), (name, wrong) in itertools.product(calls.items(), wrongs.items()):
            yield Misuse(f"{verb}, {noun}: {name}", error, functools.partial(_give, call, wrong))


def _give(call: Callable[[Store, Any], object], wrong: Any, store: Store) -> object:
    return call(store, wrong)


MISUSES: Final = tuple(_misuses())

each_misuse: Final = pytest.mark.parametrize("misuse", MISUSES, ids=lambda misuse: misuse.name)
"""Runs a law once for each."""
