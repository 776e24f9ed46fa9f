"""Laws of the roundtrip group about free-form values: kept to the bit and the type, or refused."""

import datetime as dt
import decimal
import enum
import math
import uuid
from collections import OrderedDict, namedtuple
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from context_core import LimitExceededError, PhaseTransition, UnserializableValueError
from context_core_conformance.promises import promise
from context_core_conformance.samples import EPOCH, a_context
from context_core_conformance.stateful.generated_values import GENERATED, json_objects, json_values, texts
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Store, everything, refusal

INTS: Final = [sign * (2**power + delta) for power in (31, 32, 53, 63, 64) for delta in (-1, 0, 1) for sign in (1, -1)]
FLOATS: Final = [
    -0.0,
    0.0,
    5e-324,
    2.2250738585072014e-308,
    1.7976931348623157e308,
    0.1 + 0.2,
    1e22,
    1e-7,
    2.0**53,
    -1e300,
]
TEXTS: Final = [
    "",
    "\0",
    "a\0b",
    "line\r\nline\rline\n",
    "trailing ",
    "\t tab",
    "👩‍👩‍👧",
    "\u200f\u202eabc",
    "caf\u00e9",
    "cafe\u0301",
    "\ufeff",
    "\u2028",
    "\uffff",
    "\U0010ffff",
    "\x7f\x1b",
    'quote " and \\',
    "\\u0041",
    "'; DROP TABLE workflow_context; --",
]
HALVES: Final = ["\ud800", "a\udfffb", "\udc80", "\ud83d", "\ude00\ud83d"]
LOOKALIKES: Final = [1, 1.0, True, "1", 0, 0.0, -0.0, False, "0", "", None, "null", "None", [], {}, [1], [1.0], [True]]
FREE_FORM: Final = ("decisions", "artifacts", "errors", "metadata")


class _Colour(enum.Enum):
    RED = "red"


class _Level(enum.IntEnum):
    LOW = 1


class _Word(enum.StrEnum):
    YES = "yes"


class _Text(str):
    __slots__ = ()


class _Whole(int):
    __slots__ = ()


class _Real(float):
    __slots__ = ()


class _Items(list[Any]):
    pass


_Pair = namedtuple("_Pair", "left right")  # noqa: PYI024  # the untyped kind is a tuple all the same

NOT_JSON: Final = [
    b"bytes",
    bytearray(b"bytes"),
    memoryview(b"bytes"),
    (1, 2),
    (),
    _Pair(1, 2),
    {1, 2},
    frozenset({1}),
    dt.datetime(2025, 1, 1, tzinfo=dt.UTC),
    dt.date(2025, 1, 1),
    dt.time(1, 2),
    dt.timedelta(seconds=1),
    uuid.UUID(int=7),
    decimal.Decimal("1.10"),
    1j,
    _Colour.RED,
    _Level.LOW,
    _Word.YES,
    _Text("text"),
    _Whole(1),
    _Real(1.5),
    _Items([1]),
    OrderedDict(a=1),
    2**64,
    -(2**63) - 1,
    10**400,
    range(3),
    object(),
    PhaseTransition(phase="plan", timestamp=EPOCH),
    len,
    int,
    ...,
]


def holding(field: str, value: Any) -> dict[str, Any]:
    """Fields of a context that holds *value* in one of its free-form fields."""
    return {field: {"it": value} if field in ("decisions", "metadata") else [value]}


def held(context: Any, field: str) -> Any:
    """The value that `holding` put there."""
    content = getattr(context, field)
    return content["it"] if field in ("decisions", "metadata") else content[0]


def nested(depth: int, kind: type) -> Any:
    """A list or dict *depth* levels deep, with text at the bottom."""
    value: Any = "bottom"
    for _ in range(depth):
        value = [value] if kind is list else {"in": value}
    return value


def depth_of(value: Any) -> int:
    """How deep the bottom lies."""
    depth = 0
    while value != "bottom":
        value = value[0] if type(value) is list else value["in"]
        depth += 1
    return depth


class ValueRoundtripLaws:
    """Laws about what free-form fields hold. `repr` tells apart all that JSON types can: 1, 1.0, True; 0.0, -0.0."""

    @promise("RT01", "RT02", "RT03", "RT04", "RT07")
    @GENERATED
    @given(
        decisions=json_objects,
        artifacts=st.lists(json_values, max_size=3),
        errors=st.lists(json_values, max_size=3),
        metadata=json_objects,
        tags=st.lists(texts.filter(lambda text: "\0" not in text), max_size=3),
    )
    def test_generated_json_comes_back_exactly(self, store: Store, **fields: Any) -> None:
        """Every free-form field keeps each value, type, text and order of keys."""
        context = a_context(uuid.uuid4().hex, **fields)
        store.save_context(context)
        assert repr(store.load_context(context.workflow_id).to_dict()) == repr(context.to_dict())

    @promise("RT01")
    @pytest.mark.parametrize("value", [None, True, False, 0, 1, -1, *INTS])
    @pytest.mark.parametrize("field", FREE_FORM)
    def test_constants_and_ints_keep_value_and_type(self, subject: Subject, field: str, value: Any) -> None:
        """An int at any edge comes back as that int, or is refused before any write; up to 64 bits it comes back."""
        store = subject.open()
        error = refusal(UnserializableValueError, lambda: store.save_context(a_context(**holding(field, value))))
        if error is None:
            back = held(store.load_context("order-7"), field)
            assert (type(back), back) == (type(value), value)
            return
        assert not -(2**63) <= value < 2**64
        assert everything(subject.backend(), ["order-7"]) == {"order-7": ()}

    @promise("RT02")
    @pytest.mark.parametrize("value", FLOATS)
    @pytest.mark.parametrize("field", FREE_FORM)
    def test_floats_come_back_to_the_bit(self, store: Store, field: str, value: float) -> None:
        """A float comes back with every bit, the sign of zero included."""
        store.save_context(a_context(**holding(field, value)))
        back = held(store.load_context("order-7"), field)
        assert type(back) is float
        assert (back.hex(), math.copysign(1, back)) == (value.hex(), math.copysign(1, value))

    @promise("RT02")
    @pytest.mark.parametrize("value", [math.nan, -math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize("field", FREE_FORM)
    def test_nan_and_infinity_are_refused(self, subject: Subject, field: str, value: float) -> None:
        """What JSON has no number for is refused wherever it stands, and nothing is written."""
        with pytest.raises(UnserializableValueError) as caught:
            subject.open().save_context(a_context(**holding(field, {"deep": [1.5, value]})))
        assert caught.value.path == (
            f"$.{field}.it.deep[1]" if field in ("decisions", "metadata") else f"$.{field}[0].deep[1]"
        )
        assert everything(subject.backend(), ["order-7"]) == {"order-7": ()}

    @promise("RT02")
    @pytest.mark.parametrize("duration", [math.nan, math.inf])
    def test_a_phase_that_ran_for_no_number_is_refused(self, store: Store, duration: float) -> None:
        """The rule for floats holds in typed fields too."""
        with pytest.raises(UnserializableValueError):
            store.save_context(
                a_context(phase_history=[PhaseTransition(phase="plan", timestamp=EPOCH, duration=duration)])
            )
        assert not store.context_exists("order-7")

    @promise("RT03")
    @pytest.mark.parametrize("field", FREE_FORM)
    def test_lookalikes_stay_apart_in_one_document(self, store: Store, field: str) -> None:
        """1, 1.0, True and "1" side by side keep their types."""
        store.save_context(a_context(**holding(field, LOOKALIKES)))
        assert repr(held(store.load_context("order-7"), field)) == repr(LOOKALIKES)

    @promise("RT03", "VE02")
    def test_lookalikes_stay_apart_from_version_to_version(self, store: Store) -> None:
        """A driver that stores only what changed must see that 1 became True."""
        for value in LOOKALIKES:
            store.save_context(a_context(metadata={"it": value}))
        versions = [store.load_context("order-7", version=number + 1) for number in range(len(LOOKALIKES))]
        assert [repr(context.metadata["it"]) for context in versions] == [repr(value) for value in LOOKALIKES]

    @promise("RT04")
    @pytest.mark.parametrize("field", FREE_FORM)
    def test_texts_keep_every_code_point(self, store: Store, field: str) -> None:
        """NUL, line ends, blanks, emoji, marks and both normal forms come back as they were."""
        store.save_context(a_context(**holding(field, TEXTS)))
        assert held(store.load_context("order-7"), field) == TEXTS

    @promise("RT04", "RT07")
    def test_keys_keep_every_code_point_and_their_order(self, store: Store) -> None:
        """Keys are text like any other, and both normal forms may stand in one dict."""
        keys = {text: position for position, text in enumerate(reversed(TEXTS))}
        store.save_context(a_context(decisions=keys, metadata={"in": [keys]}))
        context = store.load_context("order-7")
        assert list(context.decisions.items()) == list(keys.items())
        assert list(context.metadata["in"][0].items()) == list(keys.items())

    @promise("RT07", "VE02")
    def test_order_of_keys_is_kept_in_each_version(self, store: Store) -> None:
        """Two versions that differ in the order of keys alone are two."""
        orders = [["z", "a", "m"], ["m", "z", "a"], ["a", "m", "z"]]
        for order in orders:
            store.save_context(a_context(decisions={key: dict.fromkeys(order, 1) for key in order}))
        versions = [store.load_context("order-7", version=number) for number in (1, 2, 3)]
        assert [list(context.decisions) for context in versions] == orders
        assert [list(context.decisions["a"]) for context in versions] == orders

    @promise("RT05")
    @pytest.mark.parametrize("text", HALVES)
    @pytest.mark.parametrize("field", [*FREE_FORM, "tags"])
    def test_lone_surrogates_are_refused(self, subject: Subject, field: str, text: str) -> None:
        """Half a character is never dropped or replaced, as a value or as a key."""
        store = subject.open()
        choices: list[dict[str, Any]] = [{"tags": [text]}]
        if field != "tags":
            choices = [holding(field, text), holding(field, {"deep": [text]}), holding(field, {text: 1})]
        for fields in choices:
            with pytest.raises(UnserializableValueError):
                store.save_context(a_context(**fields))
        assert everything(subject.backend(), ["order-7"]) == {"order-7": ()}

    @promise("RT06")
    @pytest.mark.parametrize("value", NOT_JSON, ids=lambda value: type(value).__name__)
    def test_other_types_come_back_or_are_refused_by_path(self, subject: Subject, value: Any) -> None:
        """What is no JSON value is kept exactly, or refused with its path and type before any write."""
        store = subject.open()
        context = a_context(decisions={"a": [0, 1, 2, {"b": value}]})
        error = refusal(UnserializableValueError, lambda: store.save_context(context))
        if error is None:
            back = store.load_context("order-7").decisions["a"][3]["b"]
            assert (type(back), back) == (type(value), value)
            return
        assert error.path == "$.decisions.a[3].b"
        assert error.type_name.endswith(type(value).__name__)
        assert "$.decisions.a[3].b" in str(error)
        assert everything(subject.backend(), ["order-7"]) == {"order-7": ()}

    @promise("RT06")
    @pytest.mark.parametrize("field", FREE_FORM)
    def test_a_tuple_never_comes_back_as_a_list(self, store: Store, field: str) -> None:
        """Every free-form field is looked at, to its last item."""
        with pytest.raises(UnserializableValueError) as caught:
            store.save_context(a_context(**holding(field, [[], {}, {"last": (1,)}])))
        assert caught.value.path.startswith(f"$.{field}")
        assert caught.value.path.endswith("[2].last")
        assert caught.value.type_name == "tuple"

    @promise("RT07")
    @pytest.mark.parametrize("key", [2, 1.5, True, None, (1, 2), b"a", uuid.UUID(int=7), _Level.LOW])
    @pytest.mark.parametrize("field", FREE_FORM)
    def test_keys_that_are_not_text_are_refused(self, subject: Subject, field: str, key: Any) -> None:
        """A key is never turned into text."""
        with pytest.raises(UnserializableValueError) as caught:
            subject.open().save_context(a_context(**holding(field, {"in": {"a": 1, key: 2}})))
        assert caught.value.path.startswith(f"$.{field}")
        assert caught.value.type_name.endswith(type(key).__name__)
        assert everything(subject.backend(), ["order-7"]) == {"order-7": ()}

    @promise("RT06", "RT07")
    @pytest.mark.parametrize("key", [_Word.YES, _Text("a")], ids=["enum", "subclass"])
    def test_keys_of_a_kind_of_text_come_back_or_are_refused(self, store: Store, key: str) -> None:
        """A key that is an enum member, or a str of one's own, does not turn into plain text."""
        context = a_context(decisions={"in": {key: 1}})
        error = refusal(UnserializableValueError, lambda: store.save_context(context))
        if error is None:
            assert [type(back) for back in store.load_context("order-7").decisions["in"]] == [type(key)]
            return
        assert error.path == "$.decisions.in"
        assert not store.context_exists("order-7")

    @promise("RT08")
    @pytest.mark.parametrize("depth", [100, 190, 200, 250, 255, 256, 500, 1000, 1025, 100_000])
    @pytest.mark.parametrize("kind", [list, dict])
    def test_deep_nesting_works_or_meets_a_limit(self, store: Store, kind: type, depth: int) -> None:
        """Whatever the depth, the value comes back or a limit is named; a hundred levels always work."""
        context = a_context(decisions={"deep": nested(depth, kind)})
        error = refusal(LimitExceededError, lambda: store.save_context(context))
        if error is None:
            assert depth_of(store.load_context("order-7").decisions["deep"]) == depth
            return
        assert depth > 100
        assert error.actual > error.limit >= 100
        assert not store.context_exists("order-7")

    @promise("RT08")
    def test_a_value_that_holds_itself_meets_a_limit(self, store: Store) -> None:
        """A circle has no bottom, and is refused as too deep."""
        circle: list[Any] = []
        circle.append({"again": circle})
        with pytest.raises(LimitExceededError):
            store.save_context(a_context(artifacts=circle))
        assert not store.context_exists("order-7")
