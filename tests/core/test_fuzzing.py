"""Every public call, with arguments that nobody should pass: only our own errors come back (ER01, ER02).

Each call fits the signature; that it does not is Python's own TypeError, and stays one. CONTEXT_CORE_TEST_FUZZ says how
many calls to each verb of a store.
"""

import collections
import inspect
import json
import os
import random
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from strange_values import CONTAINERS, DEEP_DICT, LONG, SCALARS, a_filter, a_value, operations

from context_core import (
    BackendURL,
    ContextCoreError,
    ContextDiff,
    ContextPersistence,
    JsonPath,
    PhaseTransition,
    Status,
    UnsupportedOperationError,
    Upcaster,
    WorkflowContext,
)
from context_core.config import find_settings
from context_core.errors import MOST_CHARACTERS
from context_core_conformance.samples import EPOCH, a_context
from context_core_memory import MemoryBackend

CALLS: Final = int(os.environ.get("CONTEXT_CORE_TEST_FUZZ", "150"))
LEFT_OUT: Final = frozenset({"close", "from_config", "is_closed", "db_path", "export", "import_", "backup"})
"""What takes no argument, changes the object under test, or is about files, which have tests of their own."""


FITTING: Final[dict[str, Callable[[random.Random], Any]]] = {
    "workflow_id": lambda random: random.choice(["w", "v", "none"]),
    "new_workflow_id": lambda random: f"new-{random.random()}",
    "version": lambda random: random.choice([None, 1, 2, 99]),
    "context": lambda random: a_context(random.choice(["w", "v"])),
    "filters": a_filter,
    "operations": operations,
    "status": lambda random: random.choice([*Status]),
    "damaged": lambda random: random.choice(["raise", "skip"]),
}


def arguments_for(signature: inspect.Signature, random: random.Random) -> tuple[list[Any], dict[str, Any]]:
    """Arguments that fit a signature; about half of them fit their meaning too."""
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            named.update({random.choice(["status", "tags", "x", "metadata", "epic_num", LONG]): a_value(random)})
            continue
        if parameter.kind is parameter.VAR_POSITIONAL:
            positional += [a_value(random) for _ in range(random.randrange(3))]
            continue
        is_needed = parameter.default is parameter.empty
        if not is_needed and random.random() < 0.6:
            continue
        fitting = FITTING.get(parameter.name)
        value = fitting(random) if fitting is not None and random.random() < 0.5 else a_value(random)
        if parameter.kind is parameter.KEYWORD_ONLY or not is_needed:
            named[parameter.name] = value
        else:
            positional.append(value)
    return positional, named


def outcome(call: Callable[..., Any], positional: list[Any], named: dict[str, Any]) -> str:
    """The name of what came back; raises where it is no error of ours, with the arguments."""
    try:
        found = call(*positional, **named)
        if isinstance(found, Iterator):
            list(found)
    except ContextCoreError as error:
        if len(str(error)) > MOST_CHARACTERS:
            raise AssertionError(f"{type(error).__name__} has {len(str(error)):,} characters") from None
        return type(error).__name__
    except Exception as error:  # noqa: BLE001  # whatever it is, it is the fault that is looked for
        shown = [f"{type(value).__name__} {_short(value)}" for value in (*positional, *named.items())]
        frames = "".join(traceback.format_tb(error.__traceback__)[-3:])
        raise AssertionError(f"{type(error).__name__}: {str(error)[:200]} from {shown}\n{frames}") from None
    return "a result"


def _short(value: Any) -> str:
    try:
        return repr(value)[:120]
    except (RecursionError, ValueError):
        return "(too large)"


def verbs_of(store: Any) -> dict[str, Any]:
    """Every public method of a store, but those that are left out."""
    names = [name for name in dir(store) if not name.startswith("_") and name not in LEFT_OUT]
    return {name: getattr(store, name) for name in names}


@pytest.mark.parametrize("name", verbs_of(ContextPersistence))
@pytest.mark.parametrize("driver", ["memory", "sqlite"])
def test_a_store_answers_any_arguments_with_its_own_errors(tmp_path, driver, name):
    """Whatever they are, and it still works afterwards."""
    seed = random.Random(f"{driver} {name}")
    came: collections.Counter[str] = collections.Counter()
    faults: dict[str, None] = {}
    url = "memory://" if driver == "memory" else f"sqlite:///{tmp_path}/store.db?synchronous=normal"
    with ContextPersistence(url) as store:
        store.save_contexts([a_context("w"), a_context("v"), a_context("w", decisions={"a": {"b": 1}})])
        verb = getattr(store, name)
        signature = inspect.signature(verb)
        for _ in range(CALLS if signature.parameters else 1):
            try:
                came[outcome(verb, *arguments_for(signature, seed))] += 1
            except AssertionError as error:
                faults.setdefault(str(error))
        assert store.save_context(a_context("after")) == 1
        assert store.load_context("after") == a_context("after")
    print(f"outcomes {json.dumps(came)}")  # pytest -rP shows it
    assert not faults, "\n".join([f"{len(faults)} faults", *list(faults)[:5]])


def a_url(random: random.Random) -> str:
    """Text of the pieces of URLs."""
    pieces = [
        "sqlite",
        "memory",
        "nosuch",
        "://",
        ":",
        "/",
        "//",
        "?",
        "&",
        "=",
        "#",
        "@",
        "u:p@",
        "h",
        ":80",
        ":x",
        "[",
        "]",
    ]
    pieces += [
        "%",
        "%00",
        "%ff",
        "%zz",
        "\0",
        "\ud800",
        "é",
        "..",
        " ",
        "\n",
        ",",
        "synchronous=normal",
        "busy_timeout=x",
    ]
    pieces += [
        "busy_timeout=1e999",
        "busy_timeout=nan",
        "read_only=true",
        "a" * 300,
        "\u2102",
        "file:",
        ":memory:",
        "\u2100",
    ]
    start = random.choice(["", "sqlite:///", "memory://", "sqlite://", "postgresql://"])
    return start + "".join(random.choice(pieces) for _ in range(random.randrange(6)))


def a_json(random: random.Random) -> Any:
    """JSON text with one thing changed, or no JSON."""
    fields = a_context("w").to_dict()
    value = random.choice([*SCALARS, *CONTAINERS])
    fields[random.choice([*fields, "schema", "unknown"])] = value
    try:
        return json.dumps(fields) if random.random() < 0.9 else json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return random.choice(["", "{", "[" * 5_000, '{"schema":0}', LONG, b"\xff", value])


def some_fields(random: random.Random) -> Any:
    """What `to_dict` gave, with one field changed."""
    fields: dict[Any, Any] = a_context("w").transition_phase("b").to_dict()
    fields[random.choice([*fields, "unknown", LONG, 5])] = random.choice(
        [*SCALARS, *CONTAINERS, [fields["phase_history"]]]
    )
    return random.choice([fields, {}, random.choice(SCALARS)])


def opened(random: random.Random) -> Any:
    """Open a store by a strange address or with strange options, and close it."""
    options = {
        "context_type": lambda: random.choice([WorkflowContext, *SCALARS]),
        "clock": lambda: random.choice([lambda: EPOCH]),
        "wrappers": lambda: random.choice(
            [[], [object()], [random.choice(SCALARS)], [WorkflowContext], random.choice(SCALARS)]
        ),
        "upcasters": lambda: random.choice(
            [[], [Upcaster(random.choice(SCALARS), random.choice(SCALARS))], [1], random.choice(SCALARS)]
        ),
        "document_codec": lambda: random.choice(SCALARS),
        "db_path": lambda: random.choice([None, *SCALARS]),
    }
    named = {name: made() for name, made in options.items() if random.random() < 0.3}
    store = random.choice([None, a_url(random), "memory://", random.choice(SCALARS)])
    with ContextPersistence(store, **named) as opened:
        return opened.describe()


REQUIRED: Final[dict[str, Any]] = {
    "workflow_id": "w",
    "epic_num": 1,
    "story_num": 1,
    "feature": "f",
    "workflow_name": "n",
}
CORE: Final[dict[str, Callable[[random.Random], Any]]] = {
    "open": opened,
    "URL": lambda random: BackendURL.parse(a_url(random)).check_options(["a"]),
    "settings": lambda random: find_settings(
        random.choice([None, a_url(random)]), directory=Path(), environment={"CONTEXT_CORE_URL": a_url(random)}
    ),
    "from_dict": lambda random: WorkflowContext.from_dict(some_fields(random)),
    "from_json": lambda random: WorkflowContext.from_json(a_json(random)),
    "construct": lambda random: WorkflowContext(
        **REQUIRED | {random.choice(list(inspect.signature(WorkflowContext).parameters)): a_value(random)}
    ),
    "transition": lambda random: PhaseTransition(
        phase=random.choice(["a", a_value(random)]), timestamp=a_value(random), duration=a_value(random)
    ),
    "copy_with": lambda random: a_context().copy_with(
        **{
            random.choice(["status", "tags", "created_at", "phase_history", "version", "x", "unknown_fields"]): a_value(
                random
            )
        }
    ),
    "transition_phase": lambda random: a_context().transition_phase(
        random.choice(["b", a_value(random)]), at=random.choice([None, a_value(random)])
    ),
    "to_json": lambda random: a_context(
        **{random.choice(["decisions", "metadata"]): random.choice([{"k": a_value(random)}, {1: 1}, DEEP_DICT])}
    ).to_json(),
    "diff": lambda random: ContextDiff.between(a_context(), a_context(decisions={"k": a_value(random)})).apply(
        a_context(decisions={"k": a_value(random)})
    ),
    "JsonPath": lambda random: JsonPath(
        *[random.choice(["decisions", "a", a_value(random)]) for _ in range(random.randrange(1, 4))]
    ),
    "backend": lambda random: MemoryBackend.from_url(BackendURL(scheme="memory", host=a_url(random))).close(),
}


@pytest.mark.parametrize("name", CORE)
def test_the_core_answers_any_arguments_with_its_own_errors(tmp_path, monkeypatch, name):
    """Contexts, addresses, settings, differences, paths."""
    monkeypatch.chdir(tmp_path)
    seed = random.Random(name)
    came: collections.Counter[str] = collections.Counter()
    faults: dict[str, None] = {}
    for _ in range(CALLS * 4):
        try:
            came[outcome(CORE[name], [seed], {})] += 1
        except AssertionError as error:
            faults.setdefault(str(error))
    print(f"outcomes {json.dumps(came)}")  # pytest -rP shows it
    assert not faults, "\n".join([f"{len(faults)} faults", *list(faults)[:5]])


def test_what_a_backend_does_not_support_is_among_our_errors():
    """The fuzzers above count it as an answer."""
    assert issubclass(UnsupportedOperationError, ContextCoreError)


def test_the_command_line_answers_any_arguments_with_a_sentence(tmp_path, monkeypatch):
    """Exit code 0, 1 or 2, and no traceback."""
    testing = pytest.importorskip("click.testing", reason="the commands need the extra `cli`")
    from context_core.cli._commands import commands  # noqa: PLC0415  # it needs click

    monkeypatch.chdir(tmp_path)
    seed = random.Random("command line")
    words = [
        "demo",
        "conformance",
        "--directory",
        "--promise",
        "--seed",
        "--json",
        "--version",
        "--help",
        "nosuch",
        "--",
        "-",
    ]
    words += [
        "",
        "a",
        "-1",
        "9" * 5_000,
        LONG,
        "a\0b",
        "\udcff",
        "sqlite:///x",
        "memory://",
        "x" * 300,
        "é",
        "no\nline",
    ]
    came: collections.Counter[int] = collections.Counter()
    for _ in range(CALLS // 4):
        arguments = [seed.choice(words) for _ in range(seed.randrange(1, 4))]
        if arguments[0] == "demo" and len(arguments) == 1:
            continue  # it runs the demonstration, which takes seconds
        result = testing.CliRunner().invoke(commands, arguments)
        assert result.exception is None or isinstance(result.exception, SystemExit), (arguments, repr(result.exception))
        assert result.exit_code in (0, 1, 2), arguments
        came[result.exit_code] += 1
    print(f"outcomes {json.dumps(came)}")  # pytest -rP shows it
