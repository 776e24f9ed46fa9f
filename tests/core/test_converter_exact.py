"""What JSON holds comes back with the same types, order and bits."""

import json
import math
import struct
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from context_core import InvalidContextError
from context_core._converter import decode, encode, typed_tree
from context_core.model import PhaseTransition

INTS = [
    sign * (2**power) + offset for power in (7, 8, 15, 16, 31, 32, 53, 63) for sign in (1, -1) for offset in (-1, 0, 1)
]
INT64_AND_UINT64 = [number for number in INTS if -(2**63) <= number < 2**64] + [0, 2**64 - 1]
FLOATS = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.1,
    0.1 + 0.2,
    1 / 3,
    1e16,
    1e22,
    1e23,
    5e-324,
    -5e-324,
    2.2250738585072014e-308,
    2.225073858507201e-308,
    1.7e308,
    -1.7e308,
    1.7976931348623157e308,
    math.pi,
    9007199254740993.0,
    float(2**63),
    float(2**64),
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.sampled_from(INT64_AND_UINT64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(min_value=1e300, allow_infinity=False)
    | st.floats(max_value=-1e300, allow_infinity=False)
    | st.sampled_from(FLOATS)
    | st.text(st.characters(codec="utf-8"), max_size=20)
)
KEYS = st.text(st.characters(codec="utf-8"), max_size=8)
TREES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5))
SHORTENED = b"\xcb\x7f\xcb\xff".decode("latin-1")


def exact(value: Any) -> Any:
    """A stand-in whose equality means: the same types, the same order of keys, the same bits of floats."""
    if type(value) is dict:
        return ("dict", [(exact(key), exact(item)) for key, item in value.items()])
    if type(value) is list:
        return ("list", [exact(item) for item in value])
    if type(value) is float:
        return ("float", struct.pack(">d", value))
    return (type(value).__name__, value)


@given(TREES)
@example([1.7e308, "nan", -1.7e308])
@example({"b": 1, "a": {"d": 2, "c": 3}})
@example([True, 1, 1.0, "1", None, False, 0, 0.0, -0.0, ""])
def test_every_json_value_comes_back_exactly(value):
    """Types, bits and the order of keys are those that were given."""
    assert exact(decode(encode({"value": value}))) == exact({"value": value})


@given(TREES)
def test_any_json_reader_sees_the_same(value):
    """The document is plain JSON: the standard library reads it as we do."""
    assert exact(json.loads(encode({"value": value}))) == exact({"value": value})


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_float_is_bit_exact(value):
    """Whatever its bits (RT02)."""
    assert exact(decode(encode({"a": value}))["a"]) == exact(value)


@pytest.mark.parametrize("value", FLOATS)
def test_a_float_at_an_edge_is_bit_exact(value):
    """-0.0, denormals, the largest, and those that begin as infinities do in msgpack (RT02)."""
    assert exact(decode(encode({"a": [value]}))["a"]) == exact([value])


@pytest.mark.parametrize("value", [1.7e308, -1.7e308, SHORTENED, "Ë\x7f", b"\xcb\x7f".decode("latin-1")])
def test_bytes_that_look_like_infinity_are_looked_at_twice_and_accepted(value):
    """The quick look at msgpack's bytes may raise a false alarm; the walk decides."""
    assert exact(decode(encode({"a": [value, 0.5]}))["a"]) == exact([value, 0.5])


@pytest.mark.parametrize(
    "value", [float("inf"), float("-inf"), float("nan"), struct.unpack(">d", b"\xff\xf8" + bytes(6))[0]]
)
def test_no_infinity_hides_behind_ordinary_floats(value):
    """One among many is found."""
    with pytest.raises(InvalidContextError):
        encode({"a": [0.5] * 50 + [value] + [0.5] * 50})


@pytest.mark.parametrize("value", INT64_AND_UINT64)
def test_an_int_at_an_edge_keeps_value_and_type(value):
    """Around 2^31, 2^53, 2^63 and up to 2^64-1 (RT01)."""
    assert exact(decode(encode({"a": value}))["a"]) == exact(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "\0",
        "a\0b",
        "\r\n",
        " trailing ",
        "é",
        "e\u0301",
        "😀",
        "\u202eabc",
        "\u2028",
        "\ufeff",
        "\uffff",
        '"\\/',
        "\x7f",
    ],
)
def test_text_is_kept_as_it_is(value):
    """NUL, line ends, spaces, marks, and NFC apart from NFD, as values and as keys (RT04)."""
    tree = {"a": value, f"k{value}": [value]}
    assert exact(decode(encode(tree))) == exact(tree)


def test_the_order_of_keys_is_kept():
    """Also where it is not the alphabet's (RT07)."""
    tree = {"b": 1, "a": 2, "C": 3, "": 4}
    assert list(decode(encode(tree))) == ["b", "a", "C", ""]


def test_a_value_that_is_held_twice_is_written_twice():
    """Sharing is no cycle."""
    shared = {"x": [1]}
    assert decode(encode({"a": shared, "b": [shared, shared]})) == {"a": shared, "b": [shared, shared]}


@pytest.mark.parametrize("text", [b"", b"{", b"nan", b"[NaN]", b"\xff", b'"\\ud800"', b"1 2", b"01"])
def test_what_is_not_json_is_a_value_error(text):
    """The caller says what it means for a document."""
    with pytest.raises(ValueError, match="line"):
        decode(text)


def test_converters_are_made_once():
    """cattrs generates code for a class: once is enough."""
    assert typed_tree(PhaseTransition) is typed_tree(PhaseTransition)
