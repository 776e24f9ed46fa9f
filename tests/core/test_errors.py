"""The error tree: drawn truly, public, carrying facts, and fit to travel between processes."""

import builtins
import copy
import inspect
import pickle
import re

import pytest

import context_core
from context_core import errors

SAMPLES = [
    errors.ConfigurationError("no such option"),
    errors.InvalidContextError(field="tags", problem="must be a list"),
    errors.InvalidQueryError("unknown field"),
    errors.BackendNotFoundError(name="sqlte", known=["sqlite", "memory"]),
    errors.BackendNameTakenError(name="x", distributions=["two", "one"]),
    errors.BackendImportError(name="x", target="x:Y", distribution="dist-x"),
    errors.BackendContractError("save gave None"),
    errors.ContextNotFoundError(workflow_id="order-7"),
    errors.VersionNotFoundError(workflow_id="order-7", wanted="version 9", head_version=3),
    errors.ContextExistsError(workflow_id="order-7", version=3),
    errors.VersionConflictError(workflow_id="order-7", expected=3, actual=5),
    errors.IdempotencyConflictError(workflow_id="order-7", key="k", version=2),
    errors.ContextReferencedError(workflow_id="order-7", table="reviews"),
    errors.RestoreConflictError(workflow_id="order-7", version=3, head_version=5),
    errors.UnserializableValueError(path="$.decisions.a[3].b", type_name="set", problem="does not come back"),
    errors.CorruptDocumentError(workflow_id="order-7", version=2, problem="not JSON"),
    errors.DamagedHistoryError(workflow_id="order-7", problem="has versions but no current state"),
    errors.UnsupportedSchemaError(workflow_id="order-7", version=2, schema=9, known=1),
    errors.LimitExceededError(what="the document in bytes", actual=2_000_000, limit=1_000_000),
    errors.UnsupportedOperationError(operation="prune", backend="memory"),
    errors.BackendClosedError(),
    errors.ReadOnlyError("the store is read-only"),
    errors.ForeignDatabaseError("not ours"),
    errors.NewerDatabaseError(location="a.db", found=9, known=1),
    errors.StorageError("disk full"),
    errors.BackendUnavailableError("cannot open"),
    errors.BackendBusyError(waited_s=2.5),
    errors.OutcomeUnknownError("the reply was lost"),
]
CLASSES = [
    kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ContextCoreError)
]


def drawn_tree():
    """The parent and the joined built-in of each class, as the module's docstring draws them."""
    parents: list[str] = []
    bases: dict[str, tuple[str, str | None]] = {}
    for line in (errors.__doc__ or "").splitlines():
        match = re.fullmatch(r"    ([│ ]*)(?:[├└]── )?(\w+Error)\s*(?:\((\w+)\))?.*", line)
        if match is None:
            continue
        depth = 0 if "──" not in line else len(match[1]) // 4 + 1
        del parents[depth:]
        bases[match[2]] = (parents[-1] if parents else "Exception", match[3])
        parents.append(match[2])
    return bases


def test_the_drawn_tree_is_the_real_one():
    """Each class of the module stands in its docstring, under its base, with the built-in that it joins."""
    real = {}
    for kind in CLASSES:
        first, *others = [base.__name__ for base in kind.__bases__]
        real[kind.__name__] = (first, others[0] if others else None)
    assert drawn_tree() == real


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_is_public(kind):
    """An engine can import every error from the front door."""
    assert getattr(context_core, kind.__name__) is kind
    assert kind.__name__ in context_core.__all__


def test_the_public_names_are_sorted():
    """`__all__` is read by people."""
    assert list(context_core.__all__) == sorted(context_core.__all__)


def test_every_concrete_error_has_a_sample_here():
    """The tests below leave none out."""
    bases = {base for kind in CLASSES for base in kind.__mro__[1:]} - {errors.BackendUnavailableError}
    leaves = {kind for kind in CLASSES if kind not in bases or kind in {type(sample) for sample in SAMPLES}}
    assert {type(sample) for sample in SAMPLES} == leaves


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("way", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy], ids=["pickle", "copy"])
def test_an_error_survives_the_way_to_another_process(error, way):
    """Message and facts arrive: a pool's worker may raise it."""
    returned = way(error)
    assert type(returned) is type(error)
    assert str(returned) == str(error)
    assert vars(returned) == vars(error)


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
def test_every_message_is_one_line(error):
    """It stays readable in a log."""
    assert str(error)
    assert "\n" not in str(error)


def test_builtin_bases_catch():
    """Readers find errors where Python has taught them to look."""
    joined = {name: base for name, (_, base) in drawn_tree().items() if base and hasattr(builtins, base)}
    assert joined
    for name, base in joined.items():
        assert issubclass(getattr(errors, name), getattr(builtins, base))


def test_a_missing_version_is_a_missing_context():
    """Who catches "not found" catches both."""
    error = errors.VersionNotFoundError(workflow_id="a", wanted="version 9", head_version=3)
    assert isinstance(error, LookupError)
    assert (error.workflow_id, error.wanted, error.head_version) == ("a", "version 9", 3)


def test_a_conflict_says_both_versions():
    """The sentence holds the facts and the next step."""
    error = errors.VersionConflictError(workflow_id="order-7", expected=3, actual=5)
    assert str(error) == "workflow 'order-7' is at version 5, not 3: load it again and retry"


def test_a_conflict_on_creation_says_so():
    """Expected 0 stands for "does not exist"."""
    error = errors.VersionConflictError(workflow_id="a", expected=0, actual=5)
    assert str(error) == (
        "workflow 'a' exists already, at version 5, but was to be created: choose another id, or load it first"
    )


def test_a_conflict_with_nothing_says_so():
    """Actual 0 stands for "does not exist"."""
    error = errors.VersionConflictError(workflow_id="a", expected=2, actual=0)
    assert str(error) == (
        "workflow 'a' does not exist, so it is not at version 2: it was deleted or never saved; create it anew"
    )


def test_an_unserializable_value_names_its_field():
    """The field is the first step of the path, however the path goes on."""
    for path in ("$.decisions", "$.decisions.a", "$.decisions[3]", '$.decisions["a.b"].c'):
        assert errors.UnserializableValueError(path=path, type_name="set", problem="no").field == "decisions"


def test_no_backend_at_all_is_said():
    """An empty list of names would read like a slip."""
    assert "installed are: none." in str(errors.BackendNotFoundError(name="x", known=[]))


def test_names_of_backends_and_distributions_are_sorted():
    """A message is the same at every run."""
    assert errors.BackendNotFoundError(name="x", known=["b", "a"]).known == ("a", "b")
    assert errors.BackendNameTakenError(name="x", distributions=["b", "a"]).distributions == ("a", "b")


def test_a_missing_context_is_said_in_the_story_s_words():
    """The message begins so, whatever is missing of it."""
    missing = errors.ContextNotFoundError(workflow_id="order-7")
    assert str(missing).startswith("Context not found: ")
    assert "'order-7'" in str(missing)
    other = errors.VersionNotFoundError(workflow_id="order-7", wanted="version 9", head_version=3)
    assert str(other).startswith("Context not found: ")


def test_an_engine_may_raise_a_missing_context_itself():
    """With a message alone; it travels between processes."""
    error = errors.ContextNotFoundError("Context not found: order-7")
    for each in (error, pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (str(each), each.workflow_id, each.args) == ("Context not found: order-7", "", (str(error),))


@pytest.mark.parametrize("kind", [errors.ConfigurationError, errors.ContextNotFoundError, errors.StorageError])
def test_a_message_of_a_megabyte_loses_its_middle(kind):
    """Its beginning says what is wrong, its end what to do next."""
    message = str(kind(f"this is wrong: {'x' * 2**20}: do that next"))
    assert len(message) <= errors.MOST_CHARACTERS
    assert message.startswith("this is wrong: xxx")
    assert message.endswith("xxx: do that next")
    assert "characters are left out" in message


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
def test_no_fact_of_a_megabyte_makes_such_a_message(error):
    """Every class cuts, whichever of its facts is too long; the facts stay whole."""
    arguments = inspect.signature(type(error)).parameters
    facts = {name: getattr(error, name) for name in arguments if hasattr(error, name)}
    long = {name: 2**20 * "x" if isinstance(value, str) else value for name, value in facts.items()}
    made = type(error)(**long) if long else type(error)(*[2**20 * "x" for _ in error.args if arguments])
    assert len(str(made)) <= errors.MOST_CHARACTERS
    assert {name: getattr(made, name) for name in long} == long
