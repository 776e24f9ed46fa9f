"""What JSON cannot hold exactly is refused, with its path and its type."""

import array
import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import ipaddress
import pathlib
import types
import uuid
from typing import Any, NamedTuple

import attrs
import orjson
import ormsgpack
import pytest

from context_core import LimitExceededError, UnserializableValueError
from context_core._converter import MAX_DEPTH, decode, encode


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Word(enum.StrEnum):
    YES = "yes"


class Flags(enum.Flag):
    A = 1


class Text(str):
    __slots__ = ()


class Number(int):
    pass


class Ratio(float):
    pass


class Items(list):
    pass


class Table(dict):
    pass


class Pair(tuple):
    __slots__ = ()


class Point(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass
class Record:
    a: int = 1


@attrs.frozen
class Value:
    a: int = 1


class Slotted:
    __slots__ = ()


class Dictlike:
    def __iter__(self):
        return iter(())

    def keys(self):
        return []

    def __getitem__(self, key):
        raise KeyError(key)


HERE = __name__
REFUSED: dict[str, tuple[Any, str]] = {
    "nan": (float("nan"), "float"),
    "inf": (float("inf"), "float"),
    "-inf": (float("-inf"), "float"),
    "-nan": (-float("nan"), "float"),
    "tuple": ((1, 2), "tuple"),
    "empty tuple": ((), "tuple"),
    "tuple subclass": (Pair((1, 2)), f"{HERE}.Pair"),
    "namedtuple": (Point(1, 2), f"{HERE}.Point"),
    "set": ({1}, "set"),
    "frozenset": (frozenset({1}), "frozenset"),
    "bytes": (b"a", "bytes"),
    "bytearray": (bytearray(b"a"), "bytearray"),
    "memoryview": (memoryview(b"a"), "memoryview"),
    "array": (array.array("i", [1]), "array.array"),
    "date": (dt.date(2025, 1, 2), "datetime.date"),
    "datetime": (dt.datetime(2025, 1, 2, tzinfo=dt.UTC), "datetime.datetime"),
    "naive datetime": (dt.datetime(2025, 1, 2), "datetime.datetime"),  # noqa: DTZ001  # naive on purpose
    "time": (dt.time(1, 2), "datetime.time"),
    "timedelta": (dt.timedelta(seconds=1), "datetime.timedelta"),
    "timezone": (dt.UTC, "datetime.timezone"),
    "UUID": (uuid.UUID(int=7), "uuid.UUID"),
    "Enum": (Colour.RED, f"{HERE}.Colour"),
    "StrEnum": (Word.YES, f"{HERE}.Word"),
    "IntEnum": (Level.LOW, f"{HERE}.Level"),
    "Flag": (Flags.A, f"{HERE}.Flags"),
    "Decimal": (decimal.Decimal("1.5"), "decimal.Decimal"),
    "Fraction": (fractions.Fraction(1, 2), "fractions.Fraction"),
    "complex": (1j, "complex"),
    "range": (range(2), "range"),
    "dataclass": (Record(), f"{HERE}.Record"),
    "dataclass type": (Record, "type"),
    "attrs": (Value(), f"{HERE}.Value"),
    "str subclass": (Text("a"), f"{HERE}.Text"),
    "int subclass": (Number(1), f"{HERE}.Number"),
    "float subclass": (Ratio(1.5), f"{HERE}.Ratio"),
    "list subclass": (Items([1]), f"{HERE}.Items"),
    "dict subclass": (Table(a=1), f"{HERE}.Table"),
    "OrderedDict": (collections.OrderedDict(a=1), "collections.OrderedDict"),
    "defaultdict": (collections.defaultdict(int, a=1), "collections.defaultdict"),
    "Counter": (collections.Counter("a"), "collections.Counter"),
    "deque": (collections.deque([1]), "collections.deque"),
    "UserDict": (collections.UserDict(a=1), "collections.UserDict"),
    "mappingproxy": (types.MappingProxyType({"a": 1}), "mappingproxy"),
    "dict view": ({"a": 1}.keys(), "dict_keys"),
    "generator": ((item for item in "ab"), "generator"),
    "iterator": (iter([1]), "list_iterator"),
    "function": (len, "builtin_function_or_method"),
    "object": (object(), "object"),
    "slotted": (Slotted(), f"{HERE}.Slotted"),
    "dictlike": (Dictlike(), f"{HERE}.Dictlike"),
    "Ellipsis": (..., "ellipsis"),
    "NotImplemented": (NotImplemented, "NotImplementedType"),
    "Path": (pathlib.PurePosixPath("a"), f"{pathlib.PurePosixPath.__module__}.PurePosixPath"),
    "IP address": (ipaddress.IPv4Address(1), "ipaddress.IPv4Address"),
    "exception": (ValueError("a"), "ValueError"),
    "SimpleNamespace": (types.SimpleNamespace(a=1), "types.SimpleNamespace"),
    "orjson.Fragment": (orjson.Fragment(b"1"), "orjson.Fragment"),
    "ormsgpack.Ext": (ormsgpack.Ext(1, b"a"), "ormsgpack.Ext"),
    "2**64": (2**64, "int"),
    "-2**63-1": (-(2**63) - 1, "int"),
    "10**5000": (10**5000, "int"),
    "lone high surrogate": ("a\ud800", "str"),
    "lone low surrogate": ("\udfffa", "str"),
    "surrogate pair in two": ("\ud83d\ude00", "str"),
}
BAD_KEYS: dict[str, tuple[Any, str]] = {
    "None": (None, "NoneType"),
    "int": (1, "int"),
    "huge int": (10**5000, "int"),
    "bool": (True, "bool"),
    "float": (1.5, "float"),
    "tuple": ((1, "a"), "tuple"),
    "bytes": (b"a", "bytes"),
    "str subclass": (Text("a"), f"{HERE}.Text"),
    "StrEnum": (Word.YES, f"{HERE}.Word"),
    "UUID": (uuid.UUID(int=7), "uuid.UUID"),
    "date": (dt.date(2025, 1, 2), "datetime.date"),
    "lone surrogate": ("a\udc00", "str"),
}


def refusal(tree):
    with pytest.raises(UnserializableValueError) as caught:
        encode(tree)
    return caught.value


@pytest.fixture(params=list(REFUSED.values()), ids=list(REFUSED))
def refused(request):
    return request.param


@pytest.fixture(params=list(BAD_KEYS.values()), ids=list(BAD_KEYS))
def bad_key(request):
    return request.param


def test_a_value_json_does_not_hold_is_refused_at_the_top(refused):
    """Path and type name are exact."""
    value, type_name = refused
    error = refusal({"good": 1, "bad": value})
    assert (error.path, error.type_name) == ("$.bad", type_name)


def test_a_value_json_does_not_hold_is_refused_deep_down(refused):
    """As at the top, the path counting list items and quoting keys that are no identifiers."""
    value, type_name = refused
    error = refusal({"a": [0, {"b.c": [{}, [], {"d e": {"": value}}]}]})
    assert (error.path, error.type_name) == ('$.a[1]["b.c"][2]["d e"][""]', type_name)


def test_a_value_json_does_not_hold_is_refused_in_a_list(refused):
    """As in a dict."""
    value, type_name = refused
    error = refusal({"a": [value, 1]})
    assert (error.path, error.type_name) == ("$.a[0]", type_name)


def test_a_refused_value_is_not_changed(refused):
    """Nor is what holds it: an iterator among others is not used up."""
    value, _ = refused
    tree = {"a": [value]}
    refusal(tree)
    assert tree["a"][0] is value
    if isinstance(value, types.GeneratorType):
        assert value.gi_frame is not None


def test_a_key_that_is_no_text_is_refused_at_the_top(bad_key):
    """The path is that of the dict, the type that of the key."""
    key, type_name = bad_key
    error = refusal({key: 1})
    assert (error.path, error.type_name) == ("$", type_name)


def test_a_key_that_is_no_text_is_refused_deep_down(bad_key):
    """As at the top."""
    key, type_name = bad_key
    error = refusal({"a": [{"b": {"good": 1, key: 1}}]})
    assert (error.path, error.type_name) == ("$.a[0].b", type_name)


def test_the_first_of_several_bad_values_is_named():
    """In the order of the document."""
    assert refusal({"a": 1, "b": {2}, "c": (3,)}).path == "$.b"


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("plain", "$.plain"),
        ("naïve", "$.naïve"),
        ("a.b", '$["a.b"]'),
        ("", '$[""]'),
        ("7", '$["7"]'),
        ('say "hi"', '$["say \\"hi\\""]'),
        ("a\nb", '$["a\\nb"]'),
    ],
)
def test_a_path_can_be_read_back(key, path):
    """Keys that are no identifiers stand in brackets, as JSON text."""
    assert refusal({key: {1}}).path == path


@pytest.mark.parametrize(("value", "advice"), [((), "list"), (set(), "list"), (frozenset(), "list"), (b"", "base64")])
def test_the_error_says_what_to_do(value, advice):
    """A list for what is like one, text for bytes."""
    assert advice in refusal({"a": value}).problem


def test_the_error_never_repeats_a_long_key():
    """It names what is wrong, not what is stored."""
    assert len(str(refusal({(1,) * 1000: 1}))) < 200


@pytest.mark.parametrize("size", [MAX_DEPTH + 100, 500, 5_000])
@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"a": inner}], ids=["lists", "dicts"])
def test_deep_nesting_is_a_limit(size, wrap):
    """Beyond what both serializers take, the error states the promised depth (RT08)."""
    value: Any = 1
    for _ in range(size):
        value = wrap(value)
    with pytest.raises(LimitExceededError) as caught:
        encode({"a": value})
    assert caught.value.limit == MAX_DEPTH


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"a": inner}], ids=["lists", "dicts"])
def test_the_promised_depth_is_kept(wrap):
    """The document itself is the first level."""
    value: Any = 1
    for _ in range(MAX_DEPTH - 1):
        value = wrap(value)
    assert decode(encode({"a": value})) == {"a": value}


def test_a_list_that_holds_itself_is_a_limit():
    """Not a crash, and not an endless walk."""
    value: list[Any] = []
    value.append(value)
    with pytest.raises(LimitExceededError):
        encode({"a": value})


def test_a_dict_that_holds_itself_is_a_limit():
    """As a list."""
    value: dict[str, Any] = {}
    value["a"] = [value]
    with pytest.raises(LimitExceededError):
        encode(value)


def test_what_only_a_serializer_refuses_is_still_refused(monkeypatch):
    """Should one of them know a reason that the walk does not, its words are passed on."""

    def refuse(*_, **__):
        raise orjson.JSONEncodeError("a reason of its own")

    monkeypatch.setattr("context_core._converter.orjson.dumps", refuse)
    error = refusal({"a": 1})
    assert (error.path, error.type_name, error.problem) == ("$", "dict", "a reason of its own")
    assert isinstance(error.__cause__, orjson.JSONEncodeError)
