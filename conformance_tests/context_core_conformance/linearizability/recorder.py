"""A store whose calls are written down as they are made."""

import time
from collections.abc import Callable, Iterable
from zlib import crc32

import attrs

from context_core import (
    ContextCoreError,
    ContextNotFoundError,
    Delete,
    OutcomeUnknownError,
    Save,
    VersionConflictError,
    WorkflowContext,
)
from context_core_conformance.linearizability.histories import (
    Call,
    Deleting,
    Item,
    Listing,
    Loading,
    Outcome,
    Pruning,
    Result,
    Saving,
    Seen,
    Writing,
)
from context_core_conformance.samples import a_context
from context_core_conformance.verbs import Store


def content(workflow_id: str, label: str) -> WorkflowContext:
    """The context that is called *label*: a few hundred bytes, or a few database pages."""
    return a_context(
        workflow_id, feature=label, metadata={"label": label, "padding": label * (crc32(label.encode()) % 400)}
    )


class Session:
    """One thread's way to a store: does what it is asked, and keeps a record in `calls`.

    Errors of a store are outcomes, not raised. What is no error of ours is raised, its outcome being unknown.

    Args:
        who: The name of the thread or process.
        tell: Called with each call before it is made, and again after it has returned.
    """

    def __init__(self, store: Store, who: str, tell: Callable[[Call], object] = lambda _: None) -> None:
        self.calls: list[Call] = []
        self.store = store
        self._who = who
        self._tell = tell
        self._count = 0

    def label(self) -> str:
        """A label that no other save uses."""
        self._count += 1
        return f"{self._who}#{self._count}"

    def save(
        self, workflow_id: str, *, expected: int | None = None, must_exist: bool = False, has_key: bool = False
    ) -> Call:
        """Save new content, with its label as idempotency key where it *has_key*."""
        item = Saving(workflow_id, self.label(), expected=expected, must_exist=must_exist, has_key=has_key)
        return self.record([item], lambda: (self._saved(item),))

    def save_again(self, call: Call) -> Call:
        """Repeat an interrupted save that had a key. The record is that of one save, which began when the first did."""
        (item,) = call.items
        if not (isinstance(item, Saving) and item.has_key):
            raise ValueError(f"{item} has no key: to repeat it would be another save")
        self.record(call.items, lambda: (self._saved(item),))
        self.calls[-1] = attrs.evolve(self.calls[-1], began_ns=call.began_ns)
        return self.calls[-1]

    def _saved(self, item: Saving) -> int:
        save = self.store.update_context if item.must_exist else self.store.save_context
        return save(
            content(item.workflow_id, item.label),
            expected_version=item.expected,
            idempotency_key=item.label if item.has_key else None,
        )

    def delete(self, workflow_id: str, *, expected: int) -> Call:
        """Delete the workflow if its head is *expected*."""
        return self.record(
            [Deleting(workflow_id, expected=expected)],
            lambda: (self.store.delete_context(workflow_id, expected_version=expected),),
        )

    def batch(self, items: Iterable[Writing]) -> Call:
        """Write all of them in one transaction."""
        items = list(items)
        operations = [
            Save(content(item.workflow_id, item.label), expected_version=item.expected)
            if isinstance(item, Saving)
            else Delete(item.workflow_id, expected_version=item.expected)
            for item in items
        ]
        return self.record(items, lambda: tuple(self.store.batch(operations)))

    def load(self, workflow_id: str, version: int | None = None) -> Call:
        """Load the head, or exactly *version*."""
        return self.record([Loading(workflow_id, version)], lambda: (self._loaded(workflow_id, version),))

    def load_many(self, workflow_ids: Iterable[str]) -> Call:
        """Load the heads of several workflows at once."""
        names = list(workflow_ids)

        def load() -> tuple[Result, ...]:
            found = {context.workflow_id: seen(context) for context in self.store.load_contexts(names)}
            return tuple(found.get(name) for name in names)

        return self.record([Loading(name) for name in names], load)

    def list(self, workflow_id: str) -> Call:
        """List every version."""
        return self.record([Listing(workflow_id)], lambda: (self._listed(workflow_id),))

    def read_all(self, workflow_id: str) -> Call:
        """List every version and load each of them. Only for a store that no other session uses at the time."""

        def read() -> tuple[Result, ...]:
            listed = self._listed(workflow_id)
            loaded = tuple(self._loaded(workflow_id, each.version) for each in listed)
            return (
                tuple(
                    one if one is not None else Seen(each.version, "missing")
                    for one, each in zip(loaded, listed, strict=True)
                ),
            )

        return self.record([Listing(workflow_id)], read)

    def prune(self, keep_last: int, batch_size: int) -> Call:
        """Remove old versions, in transactions of *batch_size*."""
        return self.record(
            [Pruning(keep_last)], lambda: (self.store.prune(keep_last=keep_last, batch_size=batch_size).count,)
        )

    def record(self, items: Iterable[Item], action: Callable[[], tuple[Result, ...]]) -> Call:
        """Do *action*, which gives a result for each item, and write down what came of it."""
        call = begun = Call(who=self._who, items=tuple(items), began_ns=time.monotonic_ns())
        self._tell(begun)
        try:
            results = action()
            call = attrs.evolve(begun, outcome=Outcome.DONE, results=results, ended_ns=time.monotonic_ns())
        except OutcomeUnknownError as error:
            call = attrs.evolve(begun, reason=type(error).__name__)
        except ContextCoreError as error:
            call = attrs.evolve(
                begun,
                outcome=Outcome.REFUSED,
                ended_ns=time.monotonic_ns(),
                stood_at=_told_by(error),
                reason=type(error).__name__,
            )
        except BaseException as error:
            call = attrs.evolve(begun, reason=type(error).__name__)
            raise
        finally:
            # Also of a call that is interrupted between two lines of this method: its outcome is unknown then.
            self.calls.append(call)
            self._tell(call)
        return call

    def _loaded(self, workflow_id: str, version: int | None) -> Seen | None:
        try:
            return seen(self.store.load_context(workflow_id, version=version))
        except ContextNotFoundError:
            return None

    def _listed(self, workflow_id: str) -> tuple[Seen, ...]:
        return tuple(Seen(header.version, header.feature) for header in self.store.history(workflow_id))


def seen(context: WorkflowContext) -> Seen:
    """What was read: the label, if the whole content is what goes by that label."""
    label = context.feature
    is_whole = context == content(context.workflow_id, label)
    return Seen(context.version, label if is_whole else f"{label}, damaged")


def _told_by(error: ContextCoreError) -> tuple[str, int] | None:
    """What an error tells of where a workflow stands."""
    if isinstance(error, VersionConflictError):
        return error.workflow_id, error.actual
    return (error.workflow_id, 0) if type(error) is ContextNotFoundError else None
