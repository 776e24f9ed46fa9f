"""Subclasses of WorkflowContext: further fields of any kind that cattrs can bring back come back, or are refused (RT10)."""

import enum
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, Literal, NewType
from uuid import UUID

import attrs
import pytest

from context_core import (
    ConfigurationError,
    ContextPersistence,
    InvalidContextError,
    UnserializableValueError,
    WorkflowContext,
)
from context_core_conformance.samples import EPOCH, a_context

Euro = NewType("Euro", int)
BASE: dict[str, Any] = {
    "workflow_id": "order-7",
    "epic_num": 1,
    "story_num": 2,
    "feature": "checkout",
    "workflow_name": "implement_story",
    "created_at": EPOCH,
}


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Word(enum.StrEnum):
    YES = "yes"
    NO = "no"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@attrs.frozen
class Address:
    street: str
    number: int = 1


@attrs.frozen
class Mail:
    mail: str


@attrs.define
class Parcel:
    to: Address
    via: list[Address] = attrs.Factory(list)


@attrs.frozen(slots=False, kw_only=True)
class Rich(WorkflowContext):
    maybe: int | None = None
    text_or_number: int | str = 0
    nested: Address | None = None
    many: list[Address] = attrs.Factory(list)
    deep: Parcel | None = None
    either: Address | Mail | None = None
    by_name: dict[str, Address] = attrs.Factory(dict)
    colour: Colour = Colour.RED
    level: Level = Level.LOW
    word: Word = Word.NO
    when: datetime | None = None
    day: date | None = None
    token: UUID | None = None
    pair: tuple[int, str] = (0, "")
    row: tuple[int, ...] = ()
    words: frozenset[str] = frozenset()
    numbers: set[int] = attrs.Factory(set)
    share: float = 0.0
    flag: bool = False
    choice: Literal["a", "b"] = "a"
    price: Euro = Euro(0)
    blob: bytes = b""
    free: Any = None
    _hidden: int = 0


EXACT: dict[str, Any] = {
    "maybe": [None, 0, 2**63],
    "text_or_number": [1, "1", ""],
    "nested": [None, Address("a", 2)],
    "many": [[], [Address("a"), Address("b", 3)]],
    "deep": [Parcel(Address("a"), [Address("b")])],
    "either": [Address("a"), Mail("a@b"), None],
    "by_name": [{"x": Address("a")}, {}],
    "colour": list(Colour),
    "level": list(Level),
    "word": list(Word),
    "when": [EPOCH, EPOCH.astimezone(timezone(timedelta(hours=-5))), datetime(2025, 1, 2), None],  # noqa: DTZ001  # naive is the engine's choice here
    "day": [date(2025, 1, 2)],
    "token": [UUID(int=7), None],
    "pair": [(1, "a")],
    "row": [(), (1, 2, 3)],
    "words": [frozenset({"a", "b"}), frozenset()],
    "numbers": [{1, 2}],
    "share": [1, 1.0, -0.0, 5e-324],
    "flag": [True, False],
    "choice": ["a", "b"],
    "price": [Euro(5)],
    "blob": [b"\x00\xff", b""],
    "free": [None, [1, {"a": None}], "x"],
    "hidden": [0, 7],
}
CHANGED: dict[str, Any] = {
    "maybe": ["1", 1.0, True],
    "nested": [5, "a"],
    "many": [(Address("a"),), [None]],
    "row": [[1, 2], "ab"],
    "pair": [(1,), [1, "a"]],
    "share": [float("nan"), "1"],
    "flag": [1, "yes"],
    "choice": ["c"],
    "free": [(1,), {1}, Address("a"), Colour.RED, EPOCH],
    "colour": ["red"],
}
CASES = [(name, value) for name, values in EXACT.items() for value in values]


@pytest.fixture
def store():
    with ContextPersistence("memory://", context_type=Rich) as store:
        yield store


@pytest.mark.parametrize(
    ("name", "value"), CASES, ids=lambda value: str(sorted(value) if isinstance(value, frozenset) else value)[:30]
)
def test_a_further_field_comes_back_equal_and_of_the_same_type(store, name, value):
    """Optional, union, nested, alias, enum, time, UUID, tuple, set and the rest."""
    context = Rich(**BASE, **{name: value})
    store.save_context(context)
    loaded = store.load_context("order-7")
    assert loaded == context
    attribute = name if hasattr(loaded, name) else f"_{name}"
    assert type(getattr(loaded, attribute)) is type(value)


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in CHANGED.items() for value in values],
    ids=lambda value: str(value)[:30],
)
def test_a_value_that_would_come_back_changed_is_refused(store, name, value):
    """The error names the field, and nothing is written."""
    with pytest.raises((InvalidContextError, UnserializableValueError)) as caught:
        store.save_context(Rich(**BASE, **{name: value}))
    assert caught.value.field.partition("[")[0].partition(".")[0] == name
    assert not store.context_exists("order-7")


def test_a_field_may_have_an_alias(store):
    """attrs drops a leading underscore; copies are made by the name that the constructor takes."""
    store.save_context(Rich(**BASE, hidden=3).copy_with(hidden=4))
    assert store.load_context("order-7")._hidden == 4


def test_a_copy_is_not_made_by_a_name_the_constructor_does_not_take():
    """One kind of error for every slip."""
    with pytest.raises(InvalidContextError, match="_hidden"):
        Rich(**BASE).copy_with(_hidden=4)


def test_an_alias_may_be_anything(store):
    """Also one that has nothing to do with the name."""

    @attrs.frozen(slots=False)
    class Renamed(WorkflowContext):
        inner: int = attrs.field(default=0, alias="outer")

    with ContextPersistence("memory://", context_type=Renamed) as renamed:
        renamed.save_context(Renamed(**BASE, outer=5))
        assert renamed.load_context("order-7") == Renamed(**BASE, outer=5)


def test_a_default_may_come_from_a_factory():
    """Each context gets its own."""
    first, second = Rich(**BASE), Rich(**BASE)
    first.many.append(Address("a"))
    assert second.many == []


def test_a_subclass_may_have_a_validator():
    """Its error is an error of the document, when a stored one breaks its rule."""

    def positive(_: Any, attribute: Any, value: int) -> None:
        if value < 0:
            raise ValueError(f"{attribute.name} must not be negative")

    @attrs.frozen(slots=False)
    class Checked(WorkflowContext):
        amount: int = attrs.field(default=0, validator=positive)

    with pytest.raises(InvalidContextError, match="must not be negative"):
        Checked.from_dict({**a_context().to_dict(), "amount": -1})


def test_a_field_that_is_not_compared_is_not_checked():
    """What does not count for equality need not come back."""

    @attrs.frozen(slots=False)
    class Loose(WorkflowContext):
        scratch: list[Any] = attrs.field(factory=list, eq=False)

    with ContextPersistence("memory://", context_type=Loose) as store:
        store.save_context(Loose(**BASE, scratch=[1]))
        assert store.load_context("order-7").scratch == [1]


def test_verbs_keep_the_type(store):
    """A copy of a subclass is one."""
    context = Rich(**BASE, maybe=3).add_decision("a", 1).transition_phase("b").add_error("e").add_artifact("f")
    assert (type(context), context.maybe) == (Rich, 3)
    store.save_context(context)
    assert store.load_context("order-7") == context


def test_each_type_is_equal_only_to_its_own():
    """A plain context lacks what the other holds."""
    assert Rich(**BASE) != WorkflowContext(**BASE)


def test_a_plain_store_keeps_what_a_rich_one_saved(tmp_path):
    """Two engines share a file, and the one that knows less loses nothing."""
    url = f"sqlite:///{tmp_path}/shared.db"
    rich = Rich(**BASE, maybe=3, colour=Colour.BLUE, hidden=9)
    with ContextPersistence(url, context_type=Rich) as knowing, ContextPersistence(url) as plain:
        knowing.save_context(rich)
        seen = plain.load_context("order-7")
        assert seen.unknown_fields["colour"] == "blue"
        plain.save_context(seen.copy_with(status="paused", updated_at=rich.updated_at))
        assert knowing.load_context("order-7") == rich.copy_with(status="paused", updated_at=rich.updated_at)


def test_a_time_without_a_zone_stays_without(store):
    """Only the context's own times must be aware."""
    naive = EPOCH.replace(tzinfo=None)
    store.save_context(Rich(**BASE, when=naive))
    assert store.load_context("order-7").when == naive
    assert naive.replace(tzinfo=UTC) == EPOCH


def test_a_type_that_cattrs_cannot_read_is_refused_when_the_store_opens():
    """Not when the first row is loaded."""

    @attrs.frozen(slots=False)
    class Odd(WorkflowContext):
        call: Callable[[], None] = print

    with pytest.raises(ConfigurationError, match="Odd has a field that JSON cannot bring back"):
        ContextPersistence("memory://", context_type=Odd)
