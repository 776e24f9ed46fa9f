"""JSON bytes and typed values, exact or refused.

Two serializers must both accept a tree before it is stored. orjson writes the bytes, but silently turns tuples into
lists, UUIDs and enum members into their values, and nan into null. ormsgpack, told to pass all of these through, refuses
them; and a nan or an infinity shows in its output by its leading bytes. Together they cost a fifth of parsing back and
comparing. Only when one of them objects does `_explain` walk the tree in Python, to name the path and the type.
"""

import dataclasses
import functools
import math
import re
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime
from enum import Enum, StrEnum
from typing import Any, Final, Generic, TypeVar, cast, get_args, get_origin
from uuid import UUID

import attrs
import orjson
import ormsgpack
from cattrs import BaseConverter, BaseValidationError, StructureHandlerNotFoundError, override, transform_error
from cattrs.cols import list_structure_factory
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn
from cattrs.preconf.orjson import OrjsonConverter, make_converter

from context_core.errors import (
    ConfigurationError,
    InvalidContextError,
    LimitExceededError,
    UnserializableValueError,
    shown,
)

MAX_DEPTH = 200
"""Containers may be nested this deep. Both serializers go a little further; this much is promised."""

_JSON_OPTIONS = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
_MSGPACK_OPTIONS = (
    ormsgpack.OPT_PASSTHROUGH_TUPLE
    | ormsgpack.OPT_PASSTHROUGH_ENUM
    | ormsgpack.OPT_PASSTHROUGH_UUID
    | ormsgpack.OPT_PASSTHROUGH_SUBCLASS
    | ormsgpack.OPT_PASSTHROUGH_DATACLASS
    | ormsgpack.OPT_PASSTHROUGH_DATETIME
)
_NON_FINITE_STARTS: Final = (b"\x7f", b"\xff")
_MANY_DIGITS: Final = re.compile(rb"[0-9]{19}")
"""Where there may be a number that does not fit into 64 bits."""
_LONGEST_INT: Final = 20
_SCHEMA_KEY: Final = "schema"
_INT64_AND_UINT64 = range(-(2**63), 2**64)
_ADVICE: Final[dict[type, str]] = {
    tuple: "use a list",
    set: "use a list",
    frozenset: "use a list",
    bytes: "encode it as text, base64 for one",
    bytearray: "encode it as text, base64 for one",
}

IN_DOCUMENT: Final = "in_document"
"""The key in an attrs field's metadata that tells whether the field is part of the document; it is, unless False."""

UNKNOWN_FIELDS: Final = "unknown_fields"
"""The field of a class that keeps what a newer writer added to its objects (RT14)."""

AS_TREE: Final = "_as_tree"
"""The method of a class that gives the tree of its known fields, if it has one of its own: not that of a base class."""

T = TypeVar("T")


def encode(tree: dict[str, Any]) -> bytes:
    """Return *tree* as compact JSON, such that parsing it gives an equal tree of the same types in the same order.

    Raises:
        UnserializableValueError: Some value would come back changed; the error names its path and type.
        LimitExceededError: The tree is nested deeper than `MAX_DEPTH`.
    """
    try:
        if _may_hold_non_finite(ormsgpack.packb(tree, option=_MSGPACK_OPTIONS)):
            _explain(tree, "$", 0)
        return orjson.dumps(tree, option=_JSON_OPTIONS)
    except (orjson.JSONEncodeError, ormsgpack.MsgpackEncodeError) as error:
        _explain(tree, "$", 0)
        raise UnserializableValueError(path="$", type_name=type(tree).__name__, problem=str(error)) from error


def _may_hold_non_finite(packed: bytes) -> bool:
    """Tell whether there could be a nan or an infinity in what msgpack made.

    It writes a float as 0xcb and eight big-endian bytes, and those of a nan or an infinity begin with 0x7f or 0xff.
    Looking for the single byte is twenty times as fast as for the pair, and there are few.
    """
    place = packed.find(0xCB)
    while place != -1:
        if packed[place + 1 : place + 2] in _NON_FINITE_STARTS:
            return True
        place = packed.find(0xCB, place + 1)
    return False


def decode(document: bytes) -> Any:
    """Return the JSON value in *document*; raise ValueError where it is not JSON."""
    return orjson.loads(document)


def decode_document(document: bytes) -> Any:
    """As `decode`, for a stored document: what Python's own json wrote is read too, as the nearest exact value.

    A document without a schema number may be from an engine's own code, which wrote what JSON does not have. NaN and the
    infinities come back as their text, ints beyond 64 bits as text of their digits, and lone surrogates in text as their
    escapes. Nothing is rounded.
    """
    try:
        fields = orjson.loads(document)
    except ValueError as error:
        fields = decode_foreign(document)
        if type(fields) is not dict or _SCHEMA_KEY in fields:
            raise ValueError("it is not JSON") from error
        return fields
    if type(fields) is dict and _SCHEMA_KEY not in fields and _MANY_DIGITS.search(document):
        return decode_foreign(document)
    return fields


def decode_foreign(document: bytes) -> Any:
    """Read what Python's own json writes, each value as the nearest that is exact."""
    import json  # noqa: PLC0415  # only documents from elsewhere need it

    try:
        return _exact(
            json.loads(document.decode(), parse_constant=str, parse_int=_int_or_text, parse_float=_float_or_text)
        )
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def is_read_inexactly(document: bytes) -> bool:
    """Tell whether `decode` would round a number of a document that is JSON."""
    return _MANY_DIGITS.search(document) is not None and bool(orjson.loads(document) != decode_foreign(document))


def _int_or_text(digits: str) -> int | str:
    if len(digits) > _LONGEST_INT:
        return digits
    number = int(digits)
    return number if number in _INT64_AND_UINT64 else digits


def _float_or_text(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


def _exact(value: Any) -> Any:
    if type(value) is dict:
        return {_exact(key): _exact(item) for key, item in value.items()}
    if type(value) is list:
        return [_exact(item) for item in value]
    if type(value) is str and not _is_unicode(value):
        return value.encode("utf-8", "backslashreplace").decode()
    return value


def time_to_text(moment: datetime) -> str:
    """Render an aware time in UTC, always at the same width, so that text order is time order."""
    return utc_to_text(moment if moment.tzinfo is UTC else moment.astimezone(UTC))


@functools.lru_cache(maxsize=4096)
def utc_to_text(moment: datetime) -> str:
    """Render a time whose zone is UTC itself, as `time_to_text` does.

    Cached, since each save renders again the times at which phases ended, and that costs more than parsing them.

    For UTC alone: one instant at two offsets, and the two times of an hour that a zone repeats, are equal to a cache.
    """
    return moment.isoformat("T", "microseconds")


def time_of_field(moment: datetime) -> str:
    """Render a time of a context. That of an engine's own field keeps its offset, or its lack of one."""
    return utc_to_text(moment) if moment.tzinfo is UTC else moment.isoformat("T", "microseconds")


def _explain(value: Any, path: str, depth: int) -> None:
    """Raise for the first value below *path* that JSON does not hold exactly; return where there is none."""
    kind = type(value)
    problem = None
    if kind is dict:
        _check_depth(depth)
        for key, item in value.items():
            _check_key(key, path)
            _explain(item, _below(path, key), depth + 1)
    elif kind is list:
        _check_depth(depth)
        for position, item in enumerate(value):
            _explain(item, f"{path}[{position}]", depth + 1)
    elif kind is float:
        if not math.isfinite(value):
            problem = f"{value} is not a JSON number; use None or text"
    elif kind is int:
        if value not in _INT64_AND_UINT64:
            problem = "an int beyond 64 bits is not kept by JSON readers; use text"
    elif kind is str:
        if not _is_unicode(value):
            problem = "text with a lone surrogate is not Unicode; decode it properly first"
    elif kind is not bool and value is not None:
        problem = f"{_name(kind)} does not come back exactly from JSON; {_advice(kind)}"
    if problem is not None:
        raise UnserializableValueError(path=path, type_name=_name(kind), problem=problem)


def _advice(kind: type) -> str:
    return "use its value" if _is_enum(kind) else _ADVICE.get(kind, "convert it to a JSON value first")


def _check_depth(depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise LimitExceededError(what="the nesting of a context", actual=depth + 1, limit=MAX_DEPTH)


def _check_key(key: object, path: str) -> None:
    if type(key) is not str:
        problem = f"the key {shown(key)} is {_name(type(key))}; JSON keeps only str keys"
        raise UnserializableValueError(path=path, type_name=_name(type(key)), problem=problem)
    if not _is_unicode(key):
        problem = "a key with a lone surrogate is not Unicode; decode it properly first"
        raise UnserializableValueError(path=path, type_name="str", problem=problem)


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if key.isidentifier() else f"{path}[{orjson.dumps(key).decode()}]"


def _name(kind: type) -> str:
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


class TypedTree(Generic[T]):
    """Turns objects of one attrs class into plain trees for `encode`, and back.

    Free-form fields (`Any`, and dicts and lists of it) pass through as they are; every other field goes through cattrs
    by its annotation. Scalars are never coerced: the text "1" does not become the number 1.
    """

    def __init__(self, cls: type[T]) -> None:
        self._cls = cls
        self._converter = converter = _make_converter()
        try:
            self._unstructure: Callable[[T], dict[str, Any]] = converter.get_unstructure_hook(cls)
            self._structure: Callable[[Any, type[T]], T] = converter.get_structure_hook(cls)
        except (StructureHandlerNotFoundError, NameError) as error:
            raise ConfigurationError(f"{cls.__name__} has a field that JSON cannot bring back: {error}") from error

    def to_tree(self, value: T) -> dict[str, Any]:
        """Return the tree of *value*; raise InvalidContextError naming the first field that is not of its type."""
        try:
            return self._unstructure(value)
        except (AttributeError, TypeError, LookupError) as error:
            field = self._find_misfit(value)
            found = type(getattr(value, field, None)).__name__
            problem = f"is no value of its type, or holds one that is not (it is {found}): see the field's annotation"
            raise InvalidContextError(field=field, problem=problem) from error

    def _find_misfit(self, value: T) -> str:
        for field in attrs.fields(cast("Any", self._cls)):
            try:
                self._converter.unstructure(getattr(value, field.name), unstructure_as=field.type)
            except (AttributeError, TypeError, LookupError):
                return str(field.name)
        return "$"

    def from_tree(self, tree: Any) -> T:
        """Build the object; raise InvalidContextError naming the first field that does not fit."""
        try:
            return self._structure(tree, self._cls)
        except BaseValidationError as error:
            raise _first_problem(error) from error


typed_tree = cast("Callable[[type[T]], TypedTree[T]]", functools.cache(TypedTree))
"""The one `TypedTree` of a class: cattrs generates code, so it is made once."""


def comes_back_as(value: Any, returned: Any) -> bool:  # one kind of value after the other
    """Tell whether *returned* is *value* again, times of one instant being the same.

    To Python no time of an hour that a zone repeats or skips is equal to one of another zone, the same instant in UTC
    included.
    """
    if value == returned or _comparable(value) == _comparable(returned):
        return True
    if type(value) is not type(returned):
        return False
    if isinstance(value, list | tuple):
        return len(value) == len(returned) and all(map(comes_back_as, value, returned))
    if isinstance(value, dict):
        return comes_back_as(list(value.items()), list(returned.items()))
    if isinstance(value, AbstractSet):
        return set(map(_comparable, value)) == set(map(_comparable, returned))
    compared = _compared(type(value))
    return bool(compared) and all(comes_back_as(getattr(value, name), getattr(returned, name)) for name in compared)


def _compared(kind: type[Any]) -> tuple[str, ...]:
    """The fields by which objects of a class are equal, where it tells them."""
    if attrs.has(kind):
        return tuple(field.name for field in attrs.fields(kind) if field.eq)
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind) if field.compare)
    return ()


def _comparable(value: Any) -> Any:
    """For an aware time the time in UTC since the year 1, also where UTC has no year for it; all else as it is."""
    offset = value.utcoffset() if isinstance(value, datetime) else None
    return value if offset is None else value.replace(tzinfo=None) - datetime.min - offset  # noqa: DTZ901  # both naive


def document_fields(cls: type[Any]) -> frozenset[str]:
    """The names of the fields that make up a document of *cls*."""
    return frozenset(field.name for field in attrs.fields(cls) if field.metadata.get(IN_DOCUMENT, True))


def _make_converter() -> OrjsonConverter:
    converter = make_converter(
        unstruct_collection_overrides={AbstractSet: list, tuple: list}, prefer_attrib_converters=False
    )
    converter.register_unstructure_hook_factory(_keeps_unknown, _unstructure_keeping)
    converter.register_structure_hook_factory(_keeps_unknown, _structure_keeping)
    converter.register_unstructure_hook_func(_is_free_form, _as_is)
    converter.register_structure_hook_func(_is_free_form, lambda value, _: value)
    converter.register_unstructure_hook_func(_is_enum, lambda member: member.value)
    converter.register_unstructure_hook(datetime, time_of_field)
    converter.register_unstructure_hook(StrEnum, str.__str__)  # cattrs takes it for the str that it is
    converter.register_structure_hook(datetime, _read_time)
    converter.register_unstructure_hook(UUID, str)
    converter.register_structure_hook(UUID, lambda value, _: UUID(value))
    converter.register_unstructure_hook_func(lambda kind: kind == list[str], _as_is)
    converter.register_structure_hook_factory(_is_typed_list, _exact_list)
    converter.register_unstructure_hook(date, date.isoformat)
    for kind, accepted in ((str, (str,)), (int, (int,)), (bool, (bool,)), (float, (float, int))):
        converter.register_structure_hook(kind, _exactly(accepted))
    return converter


def _read_time(value: Any, _: object) -> datetime:
    if type(value) is not str:
        raise TypeError(f"expected a time as text, not {type(value).__name__}")
    try:
        return datetime.fromisoformat(value)
    except ValueError as error:
        raise ValueError(f"is no time as ISO 8601 has it: {shown(value)}") from error


def _keeps_unknown(kind: Any) -> bool:
    return isinstance(kind, type) and attrs.has(kind) and UNKNOWN_FIELDS in attrs.fields_dict(kind)


def _omitting(cls: type[Any]) -> dict[str, Any]:
    return {name: override(omit=True) for name in attrs.fields_dict(cls).keys() - document_fields(cls)}


def _unstructure_keeping(cls: type[Any], converter: BaseConverter) -> Callable[[Any], dict[str, Any]]:
    unstructure = cls.__dict__.get(AS_TREE) or make_dict_unstructure_fn(cls, converter, **_omitting(cls))
    known = document_fields(cls)

    def with_unknown(value: Any) -> dict[str, Any]:
        tree = unstructure(value)
        if not value.unknown_fields:
            return tree
        hidden = value.unknown_fields.keys() & known
        if hidden:
            problem = f"must not hold {', '.join(sorted(hidden))}: that is a field of its own"
            raise InvalidContextError(field=UNKNOWN_FIELDS, problem=problem)
        return {**tree, **value.unknown_fields}

    return with_unknown


def _structure_keeping(cls: type[Any], converter: BaseConverter) -> Callable[[Any, Any], Any]:
    structure = make_dict_structure_fn(cls, converter, **_omitting(cls))
    known = document_fields(cls)

    def with_unknown(tree: Any, kind: Any) -> Any:
        if type(tree) is not dict:
            raise TypeError(f"expected an object, not {type(tree).__name__}")
        value = structure(tree, kind)
        if not tree.keys() <= known:
            unknown = {name: item for name, item in tree.items() if name not in known}
            # The object is ours alone until it is returned; evolve would check every field a second time.
            object.__setattr__(value, UNKNOWN_FIELDS, unknown)
        return value

    return with_unknown


def _exactly(accepted: tuple[type, ...]) -> Callable[[Any, Any], Any]:
    names = " or ".join(kind.__name__ for kind in accepted)

    def check(value: Any, kind: Any) -> Any:
        if _is_enum(kind):  # cattrs asks here for an IntEnum too: it is an int
            return _member(kind, value, accepted)
        if type(value) in accepted:
            return value
        raise TypeError(f"expected {names}, not {type(value).__name__}")

    return check


def _member(kind: Any, value: Any, accepted: tuple[type, ...]) -> Any:
    if type(value) is kind:
        return value
    if type(value) in accepted and value in {member.value for member in kind}:
        return kind(value)
    known = ", ".join(str(member.value) for member in kind)
    raise ValueError(f"must be one of {known}, not {shown(value)}")


def _is_typed_list(kind: Any) -> bool:
    return get_origin(kind) is list and not _is_free_form(kind)


def _exact_list(kind: Any, converter: BaseConverter) -> Callable[[Any, Any], Any]:
    """cattrs makes a list of anything it can iterate over: of a text its characters, of an object its keys."""
    structure = list_structure_factory(kind, converter)

    def check(value: Any, kind: Any) -> Any:
        if type(value) is list:
            return structure(value, kind)
        raise TypeError(f"expected list, not {type(value).__name__}")

    return check


def _as_is(value: Any) -> Any:
    return value


def _is_free_form(kind: Any) -> bool:
    """`Any`, and bare or Any-valued dicts and lists: JSON that belongs to the engine, not to us."""
    if kind is Any or kind is object or kind is dict or kind is list:
        return True
    return get_origin(kind) in (dict, list) and get_args(kind)[-1] is Any


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum)


def _first_problem(error: BaseValidationError) -> InvalidContextError:
    own = _find_own(error)
    if own is not None:
        return own
    message, _, path = transform_error(error, format_exception=_describe)[0].rpartition(" @ ")
    return InvalidContextError(field=path.removeprefix("$."), problem=message)


def _find_own(error: BaseException) -> InvalidContextError | None:
    """The InvalidContextError that a constructor raised, if that is what went wrong."""
    if isinstance(error, InvalidContextError):
        return error
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(_find_own, error.exceptions)), None)
    return None


def _describe(error: BaseException, _: type | None) -> str:
    return "is missing" if isinstance(error, KeyError) else str(error)
