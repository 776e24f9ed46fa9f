"""What stands behind a failure: the cause that it shares with other failures, and the values that the law used.

One error in a driver can break a hundred laws. The report groups failures by cause, so that a reader sees one error and
not a hundred.
"""

import ast
import inspect
import re
import reprlib
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import attrs
import cattrs
import hypothesis
import pluggy
import pytest

import context_core
from context_core import ContextBackend, ContextPersistence
from context_core_conformance.subject import Subject

_SUITE: Final = Path(__file__).parents[1]
_CORE: Final = Path(context_core.__file__).parent
_STANDARD_LIBRARY: Final = Path(reprlib.__file__).parent
_LIBRARIES: Final = tuple(
    Path(inspect.getfile(each)).parent for each in (attrs.Attribute, cattrs, hypothesis, pluggy, pytest.Item)
)
_UNTOLD: Final = (ModuleType, Subject, ContextPersistence, ContextBackend)
_MOST_CHARACTERS: Final = 400
_MOST_VALUES: Final = 6
_MOST_DIFFERENCES: Final = 5
_FRAME: Final = re.compile(r'^\s*File "(?P<path>[^"]+)", line (?P<line>\d+), in (?P<function>\S+)', re.MULTILINE)
_DIFFERS: Final = re.compile(r"^\s*differs at (?P<path>\S+): ", re.MULTILINE)
_CRASHES: Final = ("Traceback (most recent call last)", "Fatal Python error")


class _ShortRepr(reprlib.Repr):
    """The repr of a value in one line. Of an attrs instance it shows the fields that are not the default."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother, self.maxlong = 4, 80, 120, 40

    def repr1(self, x: Any, level: int) -> str:
        if not attrs.has(type(x)) or isinstance(x, type):
            return super().repr1(x, level)
        if level <= 0:
            return f"{type(x).__name__}(...)"
        shown = (
            f"{field.name}={self.repr1(getattr(x, field.name), level - 1)}"
            for field in attrs.fields(type(x))
            if field.repr and getattr(x, field.name, field.default) != field.default
        )
        return f"{type(x).__name__}({', '.join(shown)})"


short: Final = _ShortRepr().repr
"""The repr of a value in one short line."""


def cause_of(error: BaseException, crash: str = "") -> str:
    """The cause of a failure in one line: two failures with one cause have the same line.

    The line names the exception and the innermost frame that is neither the suite's nor a library's. Without such a frame
    it is the field in which two values differ, or the message without its numbers and texts. It is empty where the
    failure says nothing that another failure could share.

    Args:
        error: What the law raised.
        crash: The traceback that a process of the law printed, if one did.
    """
    if crash:
        frames = [(match["path"], match["line"], match["function"]) for match in _FRAME.finditer(crash)]
        told = crash.strip().splitlines()[-1 if crash.startswith(_CRASHES[0]) else 0]
        return _located(_shape(told), frames) or f"a process of the law ended: {_shape(told)}"
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    while error.__cause__ is not None:
        error = error.__cause__
    kind = type(error).__name__
    located = _located(kind, list(_frames(error)))
    if located:
        return located
    differs = _DIFFERS.search(str(error))
    if differs is not None:
        return f"values differ in {re.sub(r'[0-9]+', 'N', differs['path'])}"
    return "" if isinstance(error, AssertionError) else f"{kind}: {_shape(str(error))}"


def crash_in(stderr: str) -> str:
    """The last traceback that *stderr* holds: a process of the law printed it before it ended."""
    start = max(stderr.rfind(mark) for mark in _CRASHES)
    return stderr[start:].strip() if start >= 0 else ""


def values_of(statement: str, variables: Mapping[str, Any], error: BaseException) -> tuple[str, ...]:
    """The values that a failed statement used, and the request that the driver got, as lines ``name = value``."""
    nodes = [node for node in ast.walk(_parsed(statement)) if isinstance(node, ast.Name)]
    names = [node.id for node in sorted(nodes, key=lambda node: (node.lineno, node.col_offset))]
    used = {
        name: variables[name]
        for name in dict.fromkeys(names)
        if name in variables and not callable(variables[name]) and not isinstance(variables[name], _UNTOLD)
    }
    requests = (frame.f_locals.get("request") for frame in _raw_frames(error))
    request = next((each for each in requests if type(each).__module__.startswith("context_core.")), None)
    told = {name: value for name, value in used.items() if value is not request}
    lines = [f"{name} = {short(value)[:_MOST_CHARACTERS]}" for name, value in islice(told.items(), _MOST_VALUES)]
    return tuple(lines if request is None else [*lines, f"request = {short(request)[:_MOST_CHARACTERS]}"])


def differences(left: Any, right: Any) -> list[str]:
    """Lines that name the fields in which two values differ; empty unless one of them lies inside a value."""
    found = islice(_differences(left, right, ""), _MOST_DIFFERENCES)
    return [f"differs at {path}: {short(one)} != {short(other)}" for path, one, other in found if path]


def _differences(left: Any, right: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    inner = [each for name, one, other in _parts(left, right) for each in _differences(one, other, f"{path}{name}")]
    if inner:
        yield from inner
    elif _differ(left, right):
        yield path.removeprefix("."), left, right


def _parts(left: Any, right: Any) -> Iterator[tuple[str, Any, Any]]:
    """The parts of two values of one kind, pair by pair."""
    if type(left) is not type(right):
        return
    if attrs.has(type(left)):
        for field in attrs.fields(type(left)):
            if field.eq:
                yield f".{field.name}", getattr(left, field.name), getattr(right, field.name)
    elif isinstance(left, dict):
        for key in [*left, *(key for key in right if key not in left)]:
            yield f"[{short(key)}]", left.get(key, _MISSING), right.get(key, _MISSING)
    elif isinstance(left, list | tuple):
        names = getattr(left, "_fields", None)
        for number in range(max(len(left), len(right))):
            one, other = (side[number] if number < len(side) else _MISSING for side in (left, right))
            yield f".{names[number]}" if names else f"[{number}]", one, other


class _Missing:
    """Stands for the part that one of two values does not have."""

    def __repr__(self) -> str:
        return "nothing"


_MISSING: Final = _Missing()


def _differ(left: Any, right: Any) -> bool:
    return type(left) is not type(right) or bool(left != right)


def _parsed(statement: str) -> ast.AST:
    for source in (statement, f"{statement}\n    pass"):
        try:
            return ast.parse(source)
        except SyntaxError:
            continue
    return ast.Module([], [])


def _raw_frames(error: BaseException) -> Iterator[Any]:
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame
        trace = trace.tb_next


def _frames(error: BaseException) -> Iterator[tuple[str, str, str]]:
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        yield code.co_filename, str(trace.tb_lineno), code.co_name
        trace = trace.tb_next


def _located(kind: str, frames: list[tuple[str, str, str]]) -> str:
    """The exception with the innermost frame of the driver, else of the core; empty where both have no frame."""
    for owner in ("driver", "core"):
        for path, line, function in reversed(frames):
            if _owner(path) == owner:
                return f"{kind} at {'/'.join(Path(path).parts[-2:])}:{line}, in {function}"
    return ""


def _owner(path: str) -> str:
    file = Path(path)
    is_installed = "site-packages" in file.parts
    if path.startswith("<") or (file.is_relative_to(_STANDARD_LIBRARY) and not is_installed):
        return "library"
    if file.is_relative_to(_SUITE) or any(map(file.is_relative_to, _LIBRARIES)):
        return "library"
    return "core" if file.is_relative_to(_CORE) else "driver"


def _shape(message: str) -> str:
    """A message without what differs from law to law: its numbers, its quoted texts, all lines but the first."""
    first = message.strip().partition("\n")[0]
    return re.sub(r"\d+", "N", re.sub(r"'[^']*'|\"[^\"]*\"", "'…'", first))[:160]
