"""Values that nobody should pass to a store: of every type, too large, too deep, no Unicode, or almost right."""

import enum
import random
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from context_core import Delete, JsonPath, Save, Status
from context_core_conformance.samples import EPOCH, a_context


class Text(str):
    __slots__ = ()


class Number(int):
    pass


class Colour(enum.Enum):
    RED = "red"


def deep(wrap: Callable[[Any], Any], levels: int = 5_000) -> Any:
    """A value nested so deep that Python's own recursion ends."""
    value: Any = 1
    for _ in range(levels):
        value = wrap(value)
    return value


DEEP_LIST: Final = deep(lambda value: [value])
DEEP_DICT: Final = deep(lambda value: {"a": value})
LONG: Final = "x" * 100_000

SCALARS: Final[list[Any]] = [
    *(None, True, False, 0, 1, -1, 2**31, 2**53, 2**63 - 1, 2**63, -(2**63), 2**64, 10**5_000, -(10**5_000)),
    *(0.0, -0.0, 0.5, 1e308, float("nan"), float("inf"), -float("inf"), 1j, Decimal("1.5"), Decimal("NaN")),
    *("", "w", "running", "done", "a\0b", "\ud800", "é", "\u202e", " ", "\n", LONG, "9" * 5_000, "a.b", "__", "a__in"),
    *(
        b"",
        b"w",
        b"\xff",
        bytearray(b"w"),
        memoryview(b"w"),
        Text("w"),
        Text("running"),
        Number(1),
        Colour.RED,
        Status.RUNNING,
    ),
    *(
        EPOCH,
        EPOCH.replace(tzinfo=None),
        datetime.min.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
        date(2025, 1, 1),
    ),
    datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
    datetime.max.replace(tzinfo=timezone(timedelta(hours=-14))),
    *(timedelta.max, timedelta.min, timedelta(days=1), timedelta(0), timedelta(days=-1)),
    *(uuid.UUID(int=1), object(), object, len, ..., NotImplemented, Path("w"), Path("a\0b"), range(3)),
]
CONTAINERS: Final[list[Any]] = [
    *(
        [],
        {},
        (),
        set(),
        [[]],
        ["w"],
        ["running"],
        [None],
        [LONG],
        ["\ud800"],
        {"running"},
        frozenset({1}),
        DEEP_LIST,
        DEEP_DICT,
    ),
    *({1: 2}, {None: 1}, {("a",): 1}, {"\ud800": 1}, {"a\0b": 1}, {LONG: 1}, {"w": {1}}, {"w": DEEP_LIST}, {"w": b"x"}),
    *(["workflow_id"], ["-created_at"], ["-"], ["created_at", "created_at"], ["decisions.a"], [["workflow_id"]]),
]
FIELDS: Final = (
    "workflow_id",
    "status",
    "created_at",
    "epic_num",
    "story_num",
    "tags",
    "decisions",
    "decisions.a",
    "errors",
    "x",
)
OPERATORS: Final = (
    "",
    "__eq",
    "__ne",
    "__in",
    "__isnull",
    "__lt",
    "__lte",
    "__gt",
    "__gte",
    "__prefix",
    "__contains",
    "__x",
    "__",
)


def a_filter(random: random.Random) -> Any:
    """Filters of which one part may be right."""
    value = random.choice([*SCALARS, *CONTAINERS])
    field = random.choice(FIELDS) + random.choice(OPERATORS)
    keys = (field, JsonPath("decisions", "a"), f"metadata.{random.choice(['a', '', '.', LONG, chr(0), chr(0xD800)])}")
    return {random.choice(keys): random.choice([value, [value], [value] * 3])}


def operations(random: random.Random) -> Any:
    """Parts of a batch."""
    made: list[Callable[[], Any]] = [
        lambda: Save(random.choice([a_context("w"), *SCALARS]), expected_version=random.choice(SCALARS)),
        lambda: Save(a_context("w"), idempotency_key=random.choice(SCALARS)),
        lambda: Delete(random.choice(SCALARS), expected_version=random.choice([None, *SCALARS])),
        lambda: random.choice(SCALARS),
    ]
    return [random.choice(made)() for _ in range(random.randrange(4))]


def a_strange_context(random: random.Random) -> Any:
    """A context whose free-form fields hold what JSON does not."""
    value = random.choice([*SCALARS, *CONTAINERS])
    context = a_context(random.choice(["w", "v", "new"]))
    return random.choice(
        [
            context.add_decision("k", value),
            context.add_artifact(value),
            context.add_error([value]),
            [context],
            {"w": context},
        ]
    )


def a_value(random: random.Random) -> Any:
    """Anything at all."""
    made = (a_filter, operations, a_strange_context, lambda _: iter([1, "w"]), lambda _: a_context("w"))
    return random.choice([*SCALARS, *CONTAINERS]) if random.random() < 0.7 else random.choice(made)(random)
