"""Every error that context-core raises.

::

    ContextCoreError
    ├── ConfigurationError            (ValueError)   a URL, option or key that cannot be used
    ├── InvalidContextError           (ValueError)   a context field that breaks its rule
    ├── InvalidQueryError             (ValueError)   an unknown field or operator, or a value that does not fit
    ├── PluginError                                  a backend or wrapper that cannot be brought in
    │   ├── BackendNotFoundError      (LookupError)
    │   ├── BackendNameTakenError
    │   ├── BackendImportError        (ImportError)
    │   └── BackendContractError      (TypeError)    a plugin that breaks the contract
    └── PersistenceError                             everything that storing and loading can raise
        ├── ContextNotFoundError      (LookupError)
        │   └── VersionNotFoundError
        ├── ContextExistsError
        ├── VersionConflictError
        ├── IdempotencyConflictError
        ├── RestoreConflictError
        ├── ContextReferencedError                   rows of another table refer to what was to be deleted
        ├── UnserializableValueError  (InvalidContextError)
        ├── CorruptDocumentError
        ├── DamagedHistoryError                      the head and the history of a workflow do not belong together
        ├── UnsupportedSchemaError                   a document of a newer schema than this code knows
        ├── LimitExceededError
        ├── UnsupportedOperationError
        ├── BackendClosedError
        ├── ReadOnlyError
        ├── ForeignDatabaseError                     a database that is not ours to touch
        ├── NewerDatabaseError
        ├── StorageError                             the engine refused, and retrying will not help by itself
        ├── BackendUnavailableError                  the store cannot be reached now; safe to try again
        │   └── BackendBusyError      (TimeoutError)
        └── OutcomeUnknownError                      the one error after which a write may have happened

Facts are attributes; the class writes the sentence and says what to do next. Messages never hold a document or a
password. An engine's own exception is always the ``__cause__``.
"""

from collections.abc import Iterable
from typing import Any, Final, Self

MOST_CHARACTERS: Final = 1_500
"""A message ends here, so that an id or a filter of a megabyte makes no log entry of a megabyte."""

_KEPT_BEFORE: Final = 1_000


class ContextCoreError(Exception):
    """The root of every error that context-core raises. They all travel between processes, facts included.

    A message of more than `MOST_CHARACTERS` loses its middle; the facts stay whole.
    """

    def __init__(self, *arguments: object) -> None:
        super().__init__(*(_cut(each) if isinstance(each, str) else each for each in arguments))

    def __reduce__(self) -> tuple[Any, ...]:
        # The constructors take facts, where pickle would pass them the sentence.
        return _revive, (type(self), self.args, self.__dict__)


def _cut(message: str) -> str:
    """Return *message* without its middle where it is too long: the end says what to do next."""
    if len(message) <= MOST_CHARACTERS:
        return message
    left_out = f" [… {len(message) - MOST_CHARACTERS:,} characters are left out …] "
    return f"{message[: _KEPT_BEFORE - len(left_out)]}{left_out}{message[-(MOST_CHARACTERS - _KEPT_BEFORE) :]}"


def _revive(kind: type[ContextCoreError], arguments: tuple[Any, ...], facts: dict[str, Any]) -> ContextCoreError:
    error = kind.__new__(kind, *arguments)
    error.args = arguments
    error.__dict__.update(facts)
    return error


def shown(value: object, length: int = 40) -> str:
    """Return *value* as a message may show it, cut to *length* characters."""
    if isinstance(value, str | bytes):
        value = value[:length]  # no megabyte is written to be cut
    try:
        return f"{value!r:.{length}}"
    except ValueError:  # Python does not write an int of thousands of digits
        return f"a huge {type(value).__name__}"
    except RecursionError:
        return f"a {type(value).__name__} nested too deep"


class ConfigurationError(ContextCoreError, ValueError):
    """A URL, an option or a configuration key cannot be used as given."""


class InvalidContextError(ContextCoreError, ValueError):
    """A field of a context breaks its rule; `field` names it."""

    def __init__(self, *, field: str, problem: str) -> None:
        self.field = field
        self.problem = problem
        super().__init__(f"{field}: {problem}")


class InvalidQueryError(ContextCoreError, ValueError):
    """A query names something unknown, or compares with a value that does not fit."""


class PluginError(ContextCoreError):
    """A backend or a wrapper cannot be brought in."""


_OTHER_NAMES: Final = {
    "file": "sqlite",
    "mem": "memory",
    "pg": "postgresql",
    "postgres": "postgresql",
    "sqlite3": "sqlite",
}
"""What backends are called elsewhere."""


class BackendNotFoundError(PluginError, LookupError):
    """No installed distribution offers a backend of this name."""

    def __init__(self, *, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = tuple(sorted(known))
        base = name.partition("+")[0]
        meant = _OTHER_NAMES.get(base, base)
        advice = f"Write {meant}://…" if meant in self.known else "Install the package that brings it"
        super().__init__(
            f"no backend is called {name!r}; installed are: {', '.join(self.known) or 'none'}. "
            f"{advice}, or correct the URL's scheme"
        )


class BackendNameTakenError(PluginError):
    """Two distributions claim one backend name, and neither may win silently."""

    def __init__(self, *, name: str, distributions: Iterable[str]) -> None:
        self.name = name
        self.distributions = tuple(sorted(distributions))
        super().__init__(
            f"backend {name!r} is claimed by {' and '.join(self.distributions)}; uninstall all but one of them"
        )


class BackendImportError(PluginError, ImportError):
    """A backend is installed but its module fails to import: an extra that its entry point names may be missing."""

    def __init__(self, *, name: str, target: str, distribution: str, extras: Iterable[str] = ()) -> None:
        self.backend_name = name
        self.target = target
        self.distribution = distribution
        self.extras = tuple(extras)
        needed = f"{distribution}[{','.join(self.extras)}]" if self.extras else distribution
        super().__init__(
            f"backend {name!r} ({target}, from {distribution}) failed to import; install what it needs: "
            f'python -m pip install "{needed}"'
        )


class BackendContractError(PluginError, TypeError):
    """A plugin breaks the contract of `ContextBackend`; the message says which rule."""


class PersistenceError(ContextCoreError):
    """The base of everything that storing and loading can raise."""


class ContextNotFoundError(PersistenceError, LookupError):
    """No context is stored under this id. An engine may raise it with a message of its own; `workflow_id` is then empty."""

    def __init__(self, message: str | None = None, *, workflow_id: str = "") -> None:
        self.workflow_id = workflow_id
        if message is None:
            message = f"Context not found: no workflow {shown(workflow_id)} is stored: check the id, or save it first"
        super().__init__(message)


class VersionNotFoundError(ContextNotFoundError):
    """The workflow is stored, but not in this version, or not yet at this time."""

    def __init__(self, *, workflow_id: str, wanted: str, head_version: int) -> None:
        PersistenceError.__init__(
            self,
            f"Context not found: workflow {workflow_id!r} has no {wanted}; its newest version is {head_version}. "
            f"history({workflow_id!r}) lists those it has",
        )
        self.workflow_id = workflow_id
        self.wanted = wanted
        self.head_version = head_version


class ContextExistsError(PersistenceError):
    """Something that only creates was asked to write onto a workflow that exists."""

    def __init__(self, *, workflow_id: str, version: int) -> None:
        self.workflow_id = workflow_id
        self.version = version
        super().__init__(f"workflow {workflow_id!r} exists already, at version {version}: choose another id")


class VersionConflictError(PersistenceError):
    """The head is not the version that the writer had seen; nothing was written. `actual` is 0 where none exists."""

    def __init__(self, *, workflow_id: str, expected: int, actual: int) -> None:
        self.workflow_id = workflow_id
        self.expected = expected
        self.actual = actual
        if not expected:
            problem = f"exists already, at version {actual}, but was to be created: choose another id, or load it first"
        elif not actual:
            problem = (
                f"does not exist, so it is not at version {expected}: it was deleted or never saved; create it anew"
            )
        else:
            problem = f"is at version {actual}, not {expected}: load it again and retry"
        super().__init__(f"workflow {workflow_id!r} {problem}")


class IdempotencyConflictError(PersistenceError):
    """An idempotency key was used before in this workflow, with other content; nothing was written."""

    def __init__(self, *, workflow_id: str, key: str, version: int) -> None:
        self.workflow_id = workflow_id
        self.key = key
        self.version = version
        super().__init__(
            f"idempotency key {key!r} already stands for version {version} of workflow {workflow_id!r}, "
            f"which has other content: use a new key for new content"
        )


class RestoreConflictError(PersistenceError):
    """A version or tombstone cannot be restored where the workflow stands; nothing was written."""

    def __init__(self, *, workflow_id: str, version: int, head_version: int) -> None:
        self.workflow_id = workflow_id
        self.version = version
        self.head_version = head_version
        super().__init__(
            f"version {version} of workflow {workflow_id!r} cannot be restored onto version {head_version}: "
            f"histories are only continued; import into a store that does not hold this workflow"
        )


class ContextReferencedError(PersistenceError):
    """Rows of *table*, which is not of context-core, refer to a workflow and keep it from being deleted.

    *workflow_id* is None where the engine does not tell which workflow of several it is.
    """

    def __init__(self, *, workflow_id: str | None, table: str) -> None:
        self.workflow_id = workflow_id
        self.table = table
        which = "a workflow" if workflow_id is None else f"workflow {shown(workflow_id)}"
        super().__init__(
            f"{which} cannot be deleted or pruned: table {table!r} refers to it by a foreign key. "
            f"Delete its rows first, or declare the foreign key ON DELETE CASCADE; nothing was changed"
        )


class UnserializableValueError(PersistenceError, InvalidContextError):
    """A value would not come back exactly; nothing was written. `path` leads to it, `type_name` is its type."""

    def __init__(self, *, path: str, type_name: str, problem: str) -> None:
        PersistenceError.__init__(self, f"{path}: {problem}")
        self.path = path
        self.field = path.removeprefix("$.").partition(".")[0].partition("[")[0]
        self.type_name = type_name
        self.problem = problem


class CorruptDocumentError(PersistenceError):
    """A stored document cannot be read; other versions and workflows are not affected."""

    def __init__(self, *, workflow_id: str, version: int, problem: str) -> None:
        self.workflow_id = workflow_id
        self.version = version
        self.problem = problem
        super().__init__(
            f"version {version} of workflow {workflow_id!r} cannot be read ({problem}): "
            f"load another version, or restore it from a backup"
        )


class DamagedHistoryError(PersistenceError):
    """The head and the history of a workflow do not belong together: a state that no driver makes.

    One of the two is missing, or the head is not that of the newest version. Every verb that meets such a workflow raises
    this, but `delete_context`, which finishes the deletion.
    """

    def __init__(self, *, workflow_id: str, problem: str) -> None:
        self.workflow_id = workflow_id
        self.problem = problem
        super().__init__(f"workflow {shown(workflow_id, 300)} {problem}: store.repair() mends it")

    @classmethod
    def between(cls, workflow_id: str | bytes, head: int | None, newest: int | None) -> Self:
        """Say how the number in a head and that of the newest version differ; None stands for a missing one."""
        if head is None:
            problem = "has versions but no current state"
        elif newest is None:
            problem = "has a current state but no versions"
        else:
            problem = f"has its current state at version {head} and its newest version at {newest}"
        if isinstance(workflow_id, bytes):  # a text column that is not UTF-8
            workflow_id = workflow_id.decode("utf-8", "backslashreplace")
        return cls(workflow_id=workflow_id, problem=problem)

    @classmethod
    def check(cls, workflow_id: str | bytes, head: int | None, newest: int | None) -> None:
        """Raise unless the head is that of the newest version, or both are missing (CR07)."""
        if head != newest:
            raise cls.between(workflow_id, head, newest)


class UnsupportedSchemaError(PersistenceError):
    """A document was written by a newer context-core, or by one so old that no upcaster reads it."""

    def __init__(self, *, workflow_id: str, version: int, schema: object, known: int) -> None:
        self.workflow_id = workflow_id
        self.version = version
        self.schema = schema
        self.known = known
        is_old = isinstance(schema, int) and schema < known
        advice = f"register an upcaster from {schema}" if is_old else "upgrade context-core"
        super().__init__(
            f"version {version} of workflow {workflow_id!r} has document schema {shown(schema)}, this code reads "
            f"{known}: {advice}"
        )


class LimitExceededError(PersistenceError):
    """Something is larger than the backend's declared limit; nothing was written."""

    def __init__(self, *, what: str, actual: int, limit: int) -> None:
        self.what = what
        self.actual = actual
        self.limit = limit
        super().__init__(
            f"{what} is {actual:,}, the limit is {limit:,}: make it smaller, or keep large values elsewhere"
        )


class UnsupportedOperationError(PersistenceError):
    """This backend does not declare the capability that the operation needs."""

    def __init__(self, *, operation: str, backend: str, hint: str = "use a backend that declares it") -> None:
        self.operation = operation
        self.backend = backend
        super().__init__(f"backend {backend!r} does not support {operation}: {hint}")


class BackendClosedError(PersistenceError):
    """The store was closed before this call."""

    def __init__(self) -> None:
        super().__init__("this store is closed: open a new one")


class ReadOnlyError(PersistenceError):
    """The store, or what it stands on, allows reading only; nothing was written."""


class ForeignDatabaseError(PersistenceError):
    """The database belongs to someone else; it was left untouched."""


class NewerDatabaseError(PersistenceError):
    """The database was migrated by a newer driver; it was left untouched."""

    def __init__(self, *, location: str, found: int, known: int) -> None:
        self.location = location
        self.found = found
        self.known = known
        super().__init__(
            f"{location} has schema version {found}, this driver knows up to {known}: upgrade context-core; "
            f"nothing was changed"
        )


class StorageError(PersistenceError):
    """The engine refused: a full disk, a damaged file, a missing right. The cause tells; old data is untouched."""


class BackendUnavailableError(PersistenceError):
    """The store cannot be reached now; nothing was written, and trying again later is safe."""


class BackendBusyError(BackendUnavailableError, TimeoutError):
    """Others held the store for the whole busy budget; nothing was written.

    `setting` names the engine's own setting that ended the wait, where there is one.
    """

    def __init__(self, *, waited_s: float, setting: str | None = None) -> None:
        self.waited_s = waited_s
        self.setting = setting
        by = f" (ended by {setting})" if setting else ""
        super().__init__(f"the store stayed busy for {waited_s:g} s{by}: try again, or raise its busy time-out")


class OutcomeUnknownError(PersistenceError):
    """The write may or may not have happened: retry it with the same idempotency key, or load and look."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"{reason}: the write may have happened; retry with the same idempotency key, or load and look"
        )
