"""What the core owes every driver. The test double looks, so that a slip of the core shows in the fastest tests."""

from datetime import UTC, datetime

from context_core.errors import BackendContractError, InvalidContextError
from context_core.record_rules import check_indexed
from context_core.records import (
    Clock,
    ContextRecord,
    LoadRequest,
    Operation,
    QueryRequest,
    RestoreRequest,
    RestoreTombstoneRequest,
    SaveRequest,
    VersionRequest,
)


def check_record(record: ContextRecord) -> None:
    """Refuse a record that another engine might store otherwise, or not at all."""
    try:
        check_indexed(record)
    except InvalidContextError as error:
        raise BackendContractError(f"the core sent a request that breaks the contract: record.{error}") from error
    _require(type(record.status) is str, "record.status")
    _require(type(record.document) is bytes, "record.document")


def check_operation(operation: Operation) -> None:
    """Refuse a part of a batch that breaks the contract."""
    match operation:
        case SaveRequest():
            check_record(operation.record)
        case RestoreRequest():
            check_record(operation.record)
            check_time(operation.saved_at, "saved_at")
            check_time(operation.workflow_created_at, "workflow_created_at")
        case RestoreTombstoneRequest():
            check_time(operation.deleted_at, "deleted_at")


def check_time(moment: datetime, what: str) -> None:
    """Refuse a time that is not aware UTC."""
    _require(isinstance(moment, datetime) and moment.tzinfo is UTC, what)


def checked_clock(clock: Clock) -> Clock:
    """Return *clock* with a check of each time that it gives."""

    def now() -> datetime:
        moment = clock()
        check_time(moment, "the clock")
        return moment

    return now


def check_load(request: LoadRequest) -> None:
    """Refuse a load that asks for two things at once, or for ids that are none."""
    _require(request.version is None or request.as_of is None, "version and as_of together")
    _require(all(type(workflow_id) is str for workflow_id in request.workflow_ids), "workflow_ids")
    if request.as_of is not None:
        check_time(request.as_of, "as_of")


def check_page(request: VersionRequest | QueryRequest) -> None:
    """Refuse a page that begins before the first item."""
    _require(request.offset >= 0 and (request.limit is None or request.limit >= 0), "limit and offset")


def _require(condition: bool, what: str) -> None:  # noqa: FBT001  # an assertion reads so
    if not condition:
        raise BackendContractError(f"the core sent a request that breaks the contract: {what}")
