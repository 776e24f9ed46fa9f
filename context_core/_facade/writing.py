"""Everything that makes, or removes, versions of one workflow or of several."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, TypeAlias

import attrs

from context_core._facade.arguments import check_id, check_key, check_many, check_version, check_wanted
from context_core._facade.opening import C
from context_core._facade.retrying import Retrying
from context_core.errors import ContextExistsError, InvalidQueryError, VersionConflictError
from context_core.model import WorkflowContext
from context_core.records import (
    BatchRequest,
    Deleted,
    DeleteRequest,
    Operation,
    Origin,
    Outcome,
    SavedVersion,
    SaveRequest,
)

ROLLBACK_ATTEMPTS: Final = 100
"""How often a rollback looks again after others saved in between: each time someone went on, so that few are enough."""


@attrs.frozen
class Save:
    """A save within a batch; the arguments are those of `save_context`."""

    context: WorkflowContext
    expected_version: int | None = attrs.field(default=None, kw_only=True)
    idempotency_key: str | None = attrs.field(default=None, kw_only=True)


@attrs.frozen
class Delete:
    """A delete within a batch; the arguments are those of `delete_context`."""

    workflow_id: str
    expected_version: int | None = attrs.field(default=None, kw_only=True)


BatchOperation: TypeAlias = Save | Delete

_LAST_BUT_ONE: Final = datetime.max.replace(tzinfo=UTC) - datetime.resolution


class Writing(Retrying[C]):
    """The writing verbs."""

    def save_context(
        self, context: WorkflowContext, *, expected_version: int | None = None, idempotency_key: str | None = None
    ) -> int:
        """Store *context* as the next version of its workflow and return that version's number (VE01).

        Args:
            context: What to store; its own `version` is ignored.
            expected_version: Save only if the newest version is still this one (`context.version` of a loaded
                context); 0 saves only what does not exist yet. By default the last writer wins.
            idempotency_key: Makes a retry safe: the same key with the same content returns the first version. The times
                that the library sets itself are no content: `created_at`, `updated_at`, and those of `phase_history`.

        Raises:
            VersionConflictError: The newest version is not *expected_version*; nothing was written.
            IdempotencyConflictError: The key stands for other content; nothing was written.
            InvalidContextError: A value would not come back exactly, or a field breaks its rule; nothing was written.
            BackendUnavailableError: The store cannot be reached; try again.
            OutcomeUnknownError: The reply was lost; retry with the same key.
        """
        return self._save(self._save_request(context, expected_version, idempotency_key)).version

    def update_context(
        self, context: WorkflowContext, *, expected_version: int | None = None, idempotency_key: str | None = None
    ) -> int:
        """As `save_context`, for a workflow that must exist.

        Raises:
            ContextNotFoundError: It does not; nothing was written.
        """
        request = self._save_request(context, expected_version, idempotency_key, must_exist=True)
        return self._save(request).version

    def save_contexts(self, contexts: Iterable[WorkflowContext]) -> list[int]:
        """Store all *contexts* in one transaction, or none of them; return their versions in input order (BA01, BA02).

        Raises:
            As `save_context`.
        """
        requests = [self._save_request(context) for context in check_many("contexts", contexts)]
        outcomes = self._verbs.batch(BatchRequest(operations=requests))
        return [outcome.version for outcome in outcomes if isinstance(outcome, SavedVersion)]

    def delete_context(self, workflow_id: str, *, expected_version: int | None = None) -> bool:
        """Remove a workflow with all its versions; return whether it existed (DE01, DE03).

        Version numbers go on from where they stood if the workflow is saved again (VE05).

        Raises:
            VersionConflictError: The newest version is not *expected_version*; nothing was deleted.
        """
        request = _delete_request(workflow_id, expected_version)
        (outcome,) = self._verbs.batch(BatchRequest(operations=[request]))
        return bool(_result_of(outcome))

    def rollback(
        self,
        workflow_id: str,
        version: int,
        *,
        expected_version: int | None = None,
        idempotency_key: str | None = None,
    ) -> int:
        """Append a version equal to *version* and return its number; nothing is removed (VE09).

        Raises:
            VersionNotFoundError: There is no such version; nothing was written.
            ContextNotFoundError: There is no such workflow.
            VersionConflictError: The newest version is not *expected_version*; or others saved between each of a hundred
                attempts.
        """
        check_id(workflow_id)
        check_wanted("version", version)
        check_version("expected_version", expected_version)
        check_key(idempotency_key)
        for attempts_left in reversed(range(ROLLBACK_ATTEMPTS)):
            # The number, not the context: a head that cannot be read is what a rollback may have to mend.
            newest = self._newest_version(workflow_id)
            target = self.load_context(workflow_id, version=version)
            expected = newest if expected_version is None else expected_version
            try:
                return self.save_context(target, expected_version=expected, idempotency_key=idempotency_key)
            except VersionConflictError:
                # Someone saved, or deleted, since the target was read: look again, so that a deleted one stays deleted.
                if expected_version is not None or not attempts_left:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def fork(self, workflow_id: str, new_workflow_id: str, version: int | None = None) -> int:
        """Begin the history of *new_workflow_id* with a version of another workflow, the newest by default (VE10).

        The content is the same but for the id and the times: a fork begins when it is made, so its `created_at` and
        `updated_at` are the clock's time, and never before those of its source. `history` tells where it came from. The
        source is not touched.

        Returns:
            The version of the new workflow: 1, or the next number where one of this id was deleted.

        Raises:
            ContextExistsError: The new workflow exists; nothing was written.
            ContextNotFoundError: There is no such workflow, or not this version of it.
        """
        check_id(new_workflow_id)
        source = self.load_context(workflow_id, version=version)
        now = self._time_after(source)
        forked = attrs.evolve(source, workflow_id=new_workflow_id, created_at=now, updated_at=now)
        origin = Origin(workflow_id=workflow_id, version=source.version)
        request = attrs.evolve(self._save_request(forked, 0), origin=origin)
        try:
            return self._verbs.save(request).version
        except VersionConflictError as error:
            raise ContextExistsError(workflow_id=new_workflow_id, version=error.actual) from error

    def batch(self, operations: Iterable[BatchOperation]) -> list[int | bool]:
        """Do all *operations* in order, in one transaction, or none of them (BA01, BA06).

        Returns:
            For each `Save` its version, for each `Delete` whether the workflow existed.

        Raises:
            PersistenceError: As `save_context` and `delete_context`, for whichever operation fails first.
        """
        requests = [self._request_of(operation) for operation in check_many("operations", operations)]
        return [_result_of(outcome) for outcome in self._apply(requests)]

    def _time_after(self, source: WorkflowContext) -> datetime:
        """The clock's time, or the first moment after *source* was created where the clock is not there yet."""
        return max(self._clock(), min(source.created_at, _LAST_BUT_ONE) + datetime.resolution)

    def _request_of(self, operation: BatchOperation) -> Operation:
        if isinstance(operation, Save):
            return self._save_request(operation.context, operation.expected_version, operation.idempotency_key)
        if isinstance(operation, Delete):
            return _delete_request(operation.workflow_id, operation.expected_version)
        raise InvalidQueryError(f"a batch takes Save and Delete operations, not {type(operation).__name__}")

    def _save_request(
        self,
        context: WorkflowContext,
        expected_version: int | None = None,
        key: str | None = None,
        *,
        must_exist: bool = False,
    ) -> SaveRequest:
        check_version("expected_version", expected_version)
        record = self._serializer.to_record(context)
        if key is None:
            return SaveRequest(
                record=self._serializer.seal(record), expected_version=expected_version, must_exist=must_exist
            )
        check_key(key)
        return SaveRequest(
            record=self._serializer.seal(record),
            expected_version=expected_version,
            must_exist=must_exist,
            idempotency=self._serializer.idempotency_key(key, record, context),
        )


def _delete_request(workflow_id: str, expected_version: int | None) -> DeleteRequest:
    check_id(workflow_id)
    check_version("expected_version", expected_version)
    return DeleteRequest(workflow_id=workflow_id, expected_version=expected_version)


def _result_of(outcome: Outcome) -> int | bool:
    return outcome.version if isinstance(outcome, SavedVersion) else isinstance(outcome, Deleted) and outcome.existed
