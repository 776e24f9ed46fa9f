"""A whole store, said a second time: slow, obvious, and written from the promises alone.

Its verbs are those of `ContextPersistence`, so that one call can be made of both. It keeps plain dicts and lists, looks
at everything for every question, and shares nothing with any driver.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import attrs

from context_core import (
    ContextExistsError,
    ContextNotFoundError,
    Delete,
    IdempotencyConflictError,
    PruneResult,
    Save,
    VersionConflictError,
    VersionHeader,
    VersionNotFoundError,
    WorkflowContext,
)
from context_core.maintenance import PrunedRange
from context_core.records import Origin, Tombstone
from context_core_conformance.stateful.query_strategies import Query
from context_core_conformance.stateful.reference_query import Clause, Head, select

EVERYTHING: Final = Query(clauses=(), order=(), limit=None, offset=0)
"""The query that finds all workflows, newest first."""


@attrs.frozen(kw_only=True)
class Saved:
    """One stored version. Its context was made from the content, so that nobody else holds it (RT11)."""

    version: int
    content: str
    context: WorkflowContext
    saved_at: datetime
    key: str | None
    origin: Origin | None

    @property
    def header(self) -> VersionHeader:
        """The version without its document, with its own `created_at`."""
        context = self.context
        return VersionHeader(
            workflow_id=context.workflow_id,
            version=self.version,
            epic_num=context.epic_num,
            story_num=context.story_num,
            feature=context.feature,
            workflow_name=context.workflow_name,
            current_phase=context.current_phase,
            status=context.status,
            created_at=context.created_at,
            updated_at=context.updated_at,
            saved_at=self.saved_at,
            tags=tuple(context.tags),
            idempotency_key=self.key,
            origin=self.origin,
        )


def what_a_key_stands_for(content: str) -> str:
    """The content without the times that the library sets itself, whatever the order of its keys."""
    fields = json.loads(content)
    del fields["created_at"], fields["updated_at"]
    for left in fields["phase_history"]:
        del left["timestamp"], left["duration"]
    return json.dumps(fields, sort_keys=True)


class Model:
    """Histories by workflow, when each workflow was created, and what is left of the deleted ones."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.histories: dict[str, list[Saved]] = {}
        self.created_at: dict[str, datetime] = {}
        self.graves: dict[str, Tombstone] = {}

    # Writing

    def save_context(
        self, context: WorkflowContext, *, expected_version: int | None = None, idempotency_key: str | None = None
    ) -> int:
        """Append a version (VE01, CA01, ID01)."""
        return self._save(context, expected_version, idempotency_key)

    def update_context(
        self, context: WorkflowContext, *, expected_version: int | None = None, idempotency_key: str | None = None
    ) -> int:
        """Append a version to a workflow that must exist."""
        return self._save(context, expected_version, idempotency_key, must_exist=True)

    def save_contexts(self, contexts: Iterable[WorkflowContext]) -> list[int]:
        """Append all versions or none."""
        return self.batch([Save(context) for context in contexts])

    def batch(self, operations: Iterable[Save | Delete]) -> list[Any]:
        """Do all operations or none (BA01); arguments are judged before any of them is done (ER04)."""
        operations = list(operations)
        for operation in operations:
            if isinstance(operation, Save):
                operation.context.to_json()
        draft = Model(self._clock)
        draft.histories = {workflow_id: list(history) for workflow_id, history in self.histories.items()}
        draft.created_at = dict(self.created_at)
        draft.graves = dict(self.graves)
        results = [
            draft._save(operation.context, operation.expected_version, operation.idempotency_key)
            if isinstance(operation, Save)
            else draft.delete_context(operation.workflow_id, expected_version=operation.expected_version)
            for operation in operations
        ]
        self.histories, self.created_at, self.graves = draft.histories, draft.created_at, draft.graves
        return results

    def delete_context(self, workflow_id: str, *, expected_version: int | None = None) -> bool:
        """Leave only a tombstone (DE01, DE03, DE05)."""
        self._check_expected(workflow_id, expected_version)
        if workflow_id not in self.histories:
            return False
        last_version, deleted_at = self.head_version(workflow_id), self._time_for(workflow_id)
        del self.histories[workflow_id], self.created_at[workflow_id]
        self.graves[workflow_id] = Tombstone(workflow_id=workflow_id, last_version=last_version, deleted_at=deleted_at)
        return True

    def rollback(
        self,
        workflow_id: str,
        version: int,
        *,
        expected_version: int | None = None,
        idempotency_key: str | None = None,
    ) -> int:
        """Append a version equal to an earlier one (VE09)."""
        return self._save(self.load_context(workflow_id, version=version), expected_version, idempotency_key)

    def fork(self, workflow_id: str, new_workflow_id: str, version: int | None = None) -> int:
        """Begin a history with a version of another (VE10)."""
        source = self.load_context(workflow_id, version=version)
        if new_workflow_id in self.histories:
            raise ContextExistsError(workflow_id=new_workflow_id, version=self.head_version(new_workflow_id))
        began = max(self._clock(), source.created_at + datetime.resolution)
        forked = attrs.evolve(source, workflow_id=new_workflow_id, created_at=began, updated_at=began)
        return self._save(forked, origin=Origin(workflow_id=workflow_id, version=source.version))

    def prune(
        self,
        *,
        keep_last: int = 1,
        inactive_since: datetime | None = None,
        statuses: Sequence[str] | None = None,
        dry_run: bool = False,
    ) -> PruneResult:
        """Forget all but the newest versions of the workflows meant (RE01, RE02)."""
        ranges = []
        for workflow_id in sorted(self.histories):
            history = self.histories[workflow_id]
            is_active = inactive_since is not None and history[-1].saved_at >= inactive_since
            if is_active or (statuses is not None and history[-1].context.status not in statuses):
                continue
            gone, kept = history[:-keep_last], history[-keep_last:]
            if gone:
                first, last = gone[0].version, gone[-1].version
                ranges.append(PrunedRange(workflow_id=workflow_id, first=first, last=last))
                self.histories[workflow_id] = history if dry_run else kept
        return PruneResult(ranges=tuple(ranges))

    def _save(
        self,
        context: WorkflowContext,
        expected_version: int | None = None,
        key: str | None = None,
        *,
        must_exist: bool = False,
        origin: Origin | None = None,
    ) -> int:
        workflow_id, content = context.workflow_id, context.to_json()
        history = self.histories.get(workflow_id, [])
        for saved in history:
            if key is not None and saved.key == key:
                if what_a_key_stands_for(saved.content) != what_a_key_stands_for(content):
                    raise IdempotencyConflictError(workflow_id=workflow_id, key=key, version=saved.version)
                return saved.version
        if must_exist and not history:
            raise ContextNotFoundError(workflow_id=workflow_id)
        self._check_expected(workflow_id, expected_version)
        version, saved_at = self.last_number(workflow_id) + 1, self._time_for(workflow_id)
        self.graves.pop(workflow_id, None)
        self.created_at.setdefault(workflow_id, context.created_at)
        kept = attrs.evolve(WorkflowContext.from_json(content), version=version)
        saved = Saved(version=version, content=content, context=kept, saved_at=saved_at, key=key, origin=origin)
        self.histories[workflow_id] = [*history, saved]
        return version

    def _check_expected(self, workflow_id: str, expected: int | None) -> None:
        actual = self.head_version(workflow_id)
        if expected is not None and expected != actual:
            raise VersionConflictError(workflow_id=workflow_id, expected=expected, actual=actual)

    def _time_for(self, workflow_id: str) -> datetime:
        """The clock's time, unless that lies before what was written last (VE08, TI02)."""
        if workflow_id in self.histories:
            return max(self._clock(), self.histories[workflow_id][-1].saved_at)
        grave = self.graves.get(workflow_id)
        return self._clock() if grave is None else max(self._clock(), grave.deleted_at)

    # Reading

    def head_version(self, workflow_id: str) -> int:
        """The newest version, 0 where the workflow does not exist."""
        return self.histories[workflow_id][-1].version if workflow_id in self.histories else 0

    def last_number(self, workflow_id: str) -> int:
        """The number after which the next version is numbered, that of a deleted workflow too (VE05)."""
        grave = self.graves.get(workflow_id)
        return self.head_version(workflow_id) if grave is None else grave.last_version

    def load_context(
        self, workflow_id: str, *, version: int | None = None, as_of: datetime | None = None
    ) -> WorkflowContext:
        """The newest version, exactly one, or the one of a time (VE03, VE04, VE08)."""
        history = self.histories.get(workflow_id, [])
        if not history:
            raise ContextNotFoundError(workflow_id=workflow_id)
        found = [
            saved
            for saved in history
            if version in (None, saved.version) and (as_of is None or saved.saved_at <= as_of)
        ]
        if not found:
            raise VersionNotFoundError(workflow_id=workflow_id, wanted="", head_version=history[-1].version)
        return found[-1].context

    def load_contexts(self, workflow_ids: Iterable[str]) -> list[WorkflowContext]:
        """The newest versions of those that exist (BA08)."""
        return [self.load_context(workflow_id) for workflow_id in workflow_ids if workflow_id in self.histories]

    def context_exists(self, workflow_id: str) -> bool:
        """Whether the workflow has a version."""
        return workflow_id in self.histories

    def get_context_by_version(self, workflow_id: str, version: int) -> WorkflowContext | None:
        """Exactly that version, or None."""
        found = [saved.context for saved in self.histories.get(workflow_id, []) if saved.version == version]
        return found[0] if found else None

    def history(
        self, workflow_id: str, *, limit: int | None = None, offset: int = 0, newest_first: bool = False
    ) -> list[VersionHeader]:
        """The headers of a workflow (VE07)."""
        headers = [saved.header for saved in self.histories.get(workflow_id, [])]
        headers = (headers[::-1] if newest_first else headers)[offset:]
        return headers if limit is None else headers[:limit]

    def get_context_versions(self, epic_num: int, story_num: int | None = None) -> list[WorkflowContext]:
        """Every version of a story (VE12)."""
        contexts = [saved.context for history in self.histories.values() for saved in history]
        of_story = [context for context in contexts if (context.epic_num, context.story_num) == (epic_num, story_num)]
        return sorted(of_story, key=lambda context: (context.version, context.created_at, context.workflow_id))

    def get_version_count(self, epic_num: int, story_num: int | None = None) -> int:
        """How many those are."""
        return len(self.get_context_versions(epic_num, story_num))

    def get_latest_context(self, epic_num: int, story_num: int | None = None) -> WorkflowContext | None:
        """The workflow of a story that was created last."""
        return self._first(Clause("epic_num", "eq", epic_num), Clause("story_num", "eq", story_num))

    def get_latest_context_by_status(self, epic_num: int, story_num: int | None, status: str) -> WorkflowContext | None:
        """The same, among those of a status."""
        of_story = Clause("epic_num", "eq", epic_num), Clause("story_num", "eq", story_num)
        return self._first(*of_story, Clause("status", "eq", status))

    def tombstones(self) -> list[Tombstone]:
        """What is left of deleted workflows, by id."""
        return [self.graves[workflow_id] for workflow_id in sorted(self.graves)]

    # Searching

    def find(self, query: Query = EVERYTHING) -> list[str]:
        """The ids that a search gives."""
        return select(self.heads(), query.clauses, query.order, query.limit, query.offset)

    def search(self, query: Query = EVERYTHING) -> list[WorkflowContext]:
        """The newest versions that a search gives."""
        return self.load_contexts(self.find(query))

    def headers(self, query: Query = EVERYTHING) -> list[VersionHeader]:
        """Their headers, each with the `created_at` of its workflow (QU12)."""
        return [
            attrs.evolve(self.histories[workflow_id][-1].header, created_at=self.created_at[workflow_id])
            for workflow_id in self.find(query)
        ]

    def heads(self) -> list[Head]:
        """The newest versions as the reference takes them."""
        return [
            Head(history[-1].context, history[-1].version, self.created_at[workflow_id])
            for workflow_id, history in self.histories.items()
        ]

    def _first(self, *clauses: Clause) -> WorkflowContext | None:
        return next(iter(self.search(attrs.evolve(EVERYTHING, clauses=clauses))), None)
