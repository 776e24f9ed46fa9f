"""Every call that a store takes: each public method that reads or writes, on a store that holds `w`."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from context_core import Capability, ContextBackend, Save
from context_core.records import BatchRequest, LoadRequest, QueryRequest, VersionRequest, Want
from context_core_conformance.samples import a_context
from context_core_conformance.verbs import Store, a_save

CALLS: Final[dict[str, Callable[[Store, Path], object]]] = {
    "save_context": lambda store, _: store.save_context(a_context("w")),
    "update_context": lambda store, _: store.update_context(a_context("w")),
    "save_contexts": lambda store, _: store.save_contexts([a_context("w")]),
    "batch": lambda store, _: store.batch([Save(a_context("w"))]),
    "delete_context": lambda store, _: store.delete_context("w"),
    "rollback": lambda store, _: store.rollback("w", 1),
    "fork": lambda store, _: store.fork("w", "forked"),
    "load_context": lambda store, _: store.load_context("w"),
    "load_contexts": lambda store, _: store.load_contexts(["w"]),
    "context_exists": lambda store, _: store.context_exists("w"),
    "get_context_by_version": lambda store, _: store.get_context_by_version("w", 1),
    "history": lambda store, _: store.history("w"),
    "diff": lambda store, _: store.diff("w", 1, 1),
    "get_latest_context": lambda store, _: store.get_latest_context(1, 2),
    "get_latest_context_by_status": lambda store, _: store.get_latest_context_by_status(1, 2, "running"),
    "get_context_versions": lambda store, _: store.get_context_versions(1, 2),
    "get_version_count": lambda store, _: store.get_version_count(1, 2),
    "get_contexts_by_epic": lambda store, _: store.get_contexts_by_epic(1),
    "get_contexts_by_feature": lambda store, _: store.get_contexts_by_feature("checkout"),
    "get_active_contexts": lambda store, _: store.get_active_contexts(),
    "get_failed_contexts": lambda store, _: store.get_failed_contexts(),
    "search_contexts": lambda store, _: store.search_contexts(),
    "count_contexts": lambda store, _: store.count_contexts(),
    "list_headers": lambda store, _: store.list_headers(),
    "search_page": lambda store, _: store.search_page(),
    "iter_contexts": lambda store, _: list(store.iter_contexts()),
    "headers_page": lambda store, _: store.headers_page(),
    "iter_headers": lambda store, _: list(store.iter_headers()),
    "export": lambda store, folder: store.export(folder / f"{len(list(folder.iterdir()))}.jsonl"),
    "import_": lambda store, folder: store.import_(folder / "exported.jsonl"),
    "explain": lambda store, _: store.explain(),
    "prune": lambda store, _: store.prune(),
    "verify": lambda store, _: store.verify(),
    "repair": lambda store, _: store.repair(dry_run=True),
    "migrate": lambda store, _: store.migrate(),
    "backup": lambda store, folder: store.backup(folder / f"{len(list(folder.iterdir()))}.backup"),
}
"""By name; the folder is for files, and holds `exported.jsonl`, an export of the store."""

WORK_WHEN_CLOSED: Final = frozenset({"close", "is_closed", "db_path", "describe", "from_config"})
"""All other public names of a store."""

NEEDS: Final = {
    "explain": Capability.EXPLAIN,
    "prune": Capability.PRUNE,
    "verify": Capability.VERIFY,
    "repair": Capability.REPAIR,
    "migrate": Capability.MIGRATE,
    "backup": Capability.BACKUP,
}
"""The capability without which a call is refused."""

VERBS: Final[dict[str, Callable[[ContextBackend], object]]] = {
    "save": lambda backend: backend.save(a_save("w")),
    "load": lambda backend: backend.load(LoadRequest(workflow_ids=("w",))),
    "load of nothing": lambda backend: backend.load(LoadRequest(workflow_ids=())),
    "version": lambda backend: backend.version(VersionRequest(of="w")),
    "version count": lambda backend: backend.version(VersionRequest(of="w", want=Want.COUNT)),
    "version of nothing": lambda backend: backend.version(VersionRequest(of="w", limit=0)),
    "query": lambda backend: backend.query(QueryRequest()),
    "query count": lambda backend: backend.query(QueryRequest(want=Want.COUNT)),
    "query tombstones": lambda backend: backend.query(QueryRequest(want=Want.TOMBSTONES)),
    "query of nothing": lambda backend: backend.query(QueryRequest(limit=0)),
    "batch": lambda backend: backend.batch(BatchRequest(operations=[a_save("w")])),
    "batch of nothing": lambda backend: backend.batch(BatchRequest(operations=[])),
}
"""The verbs of a backend, also where there is nothing to do."""
