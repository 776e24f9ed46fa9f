"""Durable, versioned workflow contexts behind a pluggable storage contract.

An engine opens a `ContextPersistence`; the author of a driver subclasses `ContextBackend`.

PYTEST_DONT_REWRITE: pytest would warn where this package was imported before it (ER09).
"""

from context_core.codecs import DocumentCodec
from context_core.cursors import Page
from context_core.diff import ContextDiff
from context_core.errors import (
    BackendBusyError,
    BackendClosedError,
    BackendContractError,
    BackendImportError,
    BackendNameTakenError,
    BackendNotFoundError,
    BackendUnavailableError,
    ConfigurationError,
    ContextCoreError,
    ContextExistsError,
    ContextNotFoundError,
    ContextReferencedError,
    CorruptDocumentError,
    DamagedHistoryError,
    ForeignDatabaseError,
    IdempotencyConflictError,
    InvalidContextError,
    InvalidQueryError,
    LimitExceededError,
    NewerDatabaseError,
    OutcomeUnknownError,
    PersistenceError,
    PluginError,
    ReadOnlyError,
    RestoreConflictError,
    StorageError,
    UnserializableValueError,
    UnsupportedOperationError,
    UnsupportedSchemaError,
    VersionConflictError,
    VersionNotFoundError,
)
from context_core.hookspecs import ContextBackend, hookimpl
from context_core.maintenance import ExportResult, ImportResult, PruneResult, RepairResult, RepairStep, VerifyReport
from context_core.model import PhaseTransition, Status, WorkflowContext
from context_core.persistence import ContextPersistence, Delete, Save
from context_core.query import JsonPath
from context_core.records import BackendDescription, Capability, Limits, VersionHeader
from context_core.upcasting import Upcaster
from context_core.url import BackendURL

__all__ = [
    "BackendBusyError",
    "BackendClosedError",
    "BackendContractError",
    "BackendDescription",
    "BackendImportError",
    "BackendNameTakenError",
    "BackendNotFoundError",
    "BackendURL",
    "BackendUnavailableError",
    "Capability",
    "ConfigurationError",
    "ContextBackend",
    "ContextCoreError",
    "ContextDiff",
    "ContextExistsError",
    "ContextNotFoundError",
    "ContextPersistence",
    "ContextReferencedError",
    "CorruptDocumentError",
    "DamagedHistoryError",
    "Delete",
    "DocumentCodec",
    "ExportResult",
    "ForeignDatabaseError",
    "IdempotencyConflictError",
    "ImportResult",
    "InvalidContextError",
    "InvalidQueryError",
    "JsonPath",
    "LimitExceededError",
    "Limits",
    "NewerDatabaseError",
    "OutcomeUnknownError",
    "Page",
    "PersistenceError",
    "PhaseTransition",
    "PluginError",
    "PruneResult",
    "ReadOnlyError",
    "RepairResult",
    "RepairStep",
    "RestoreConflictError",
    "Save",
    "Status",
    "StorageError",
    "UnserializableValueError",
    "UnsupportedOperationError",
    "UnsupportedSchemaError",
    "Upcaster",
    "VerifyReport",
    "VersionConflictError",
    "VersionHeader",
    "VersionNotFoundError",
    "WorkflowContext",
    "hookimpl",
]
