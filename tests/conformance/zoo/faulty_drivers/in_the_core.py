"""Faults of the core, shown on a driver that is good: promises that the facade keeps for every driver."""

import contextlib
import importlib
import json
from datetime import UTC
from typing import Any

import attrs
import orjson
import pytest

from context_core import (
    ConfigurationError,
    ContextDiff,
    ContextPersistence,
    WorkflowContext,
    _converter,
    cursors,
    idempotency,
    persistence,
    plugins,
    serialization,
    transfer,
)
from context_core._facade import exporting, idempotent_writes, importing, scans
from context_core.query import parse_filters
from context_core.serialization import ContextSerializer
from context_core_memory import MemoryBackend
from faulty_drivers.fault import infects


@infects(MemoryBackend, "RT02")
def nan_becomes_null(patch: pytest.MonkeyPatch) -> None:
    """What JSON has no number for is stored as null."""
    patch.setattr(serialization, "encode", orjson.dumps)


@infects(MemoryBackend, "RT07")
def keys_become_text(patch: pytest.MonkeyPatch) -> None:
    """A key that is a number comes back as text."""
    patch.setattr(serialization, "encode", lambda tree: orjson.dumps(tree, option=orjson.OPT_NON_STR_KEYS))


@infects(MemoryBackend, "RT06")
def tuples_become_lists(patch: pytest.MonkeyPatch) -> None:
    """A tuple is stored, and comes back as a list."""
    patch.setattr(serialization, "encode", lambda tree: json.dumps(tree).encode())


@infects(MemoryBackend, "RT06")
def anything_becomes_text(patch: pytest.MonkeyPatch) -> None:
    """What is no JSON value is stored as its `str`."""
    patch.setattr(serialization, "encode", lambda tree: json.dumps(tree, default=str).encode())


@infects(MemoryBackend, "RT05")
def surrogates_are_replaced(patch: pytest.MonkeyPatch) -> None:
    """Half a character becomes a question mark."""

    def encode(tree: dict[str, Any]) -> bytes:
        return json.dumps(tree, ensure_ascii=False).encode("utf-8", "replace")

    patch.setattr(serialization, "encode", encode)


@infects(MemoryBackend, "RT08")
def depth_is_not_looked_at(patch: pytest.MonkeyPatch) -> None:
    """A value nested too deep ends in a RecursionError."""
    patch.setattr(serialization, "encode", lambda tree: json.dumps(tree, check_circular=False).encode())


@infects(MemoryBackend, "RT11")
def loads_share_one_object(patch: pytest.MonkeyPatch) -> None:
    """Two loads of a version give one object, and who changes it changes it for all."""
    known: dict[object, Any] = {}
    read = ContextSerializer.to_context

    def to_context(self: ContextSerializer[Any], stored: Any) -> Any:
        place = (id(self), stored)
        if place not in known:
            known[place] = read(self, stored)
        return known[place]

    patch.setattr(ContextSerializer, "to_context", to_context)


@infects(MemoryBackend, "RT12")
def save_changes_its_argument(patch: pytest.MonkeyPatch) -> None:
    """A save writes its time into the context that it is given."""
    save = ContextPersistence.save_context

    def save_context(self: Any, context: WorkflowContext, **options: Any) -> int:
        version = save(self, context, **options)
        context.metadata["saved"] = version
        return version

    patch.setattr(ContextPersistence, "save_context", save_context)


@infects(MemoryBackend, "RT09", "QU08")
def naive_times_are_local(patch: pytest.MonkeyPatch) -> None:
    """A time without a zone is taken for one of the zone where it runs."""
    init = WorkflowContext.__init__

    def lenient(self: Any, *values: Any, **fields: Any) -> None:
        for name in ("created_at", "updated_at"):
            if name in fields and fields[name].tzinfo is None:
                fields[name] = fields[name].astimezone(UTC)
        init(self, *values, **fields)

    patch.setattr(WorkflowContext, "__init__", lenient)


@infects(MemoryBackend, "RT10", "RT14")
def further_fields_are_dropped(patch: pytest.MonkeyPatch) -> None:
    """What a newer writer added is gone after the next load."""
    read = ContextSerializer.to_context

    def to_context(self: Any, stored: Any) -> Any:
        found = read(self, stored)
        found.unknown_fields.clear()
        return found

    patch.setattr(ContextSerializer, "to_context", to_context)


@infects(MemoryBackend, "VE09")
def rollback_truncates(patch: pytest.MonkeyPatch) -> None:
    """A rollback removes what came after its target."""
    patch.setattr(
        ContextPersistence,
        "rollback",
        lambda self, workflow_id, version, **_: self.load_context(workflow_id, version=version).version,
    )


@infects(MemoryBackend, "VE11")
def diff_takes_one_for_true(patch: pytest.MonkeyPatch) -> None:
    """A difference that `==` does not see is none."""
    between = ContextDiff.between

    def lenient(before: WorkflowContext, after: WorkflowContext) -> ContextDiff:
        return between(before, before) if before == after else between(before, after)

    patch.setattr(ContextDiff, "between", lenient)


@infects(MemoryBackend, "VE10")
def fork_overwrites(patch: pytest.MonkeyPatch) -> None:
    """A fork onto a workflow that exists is saved on top of it."""
    request_of = ContextPersistence._save_request

    def save_request(self: Any, context: Any, expected: Any = None, key: Any = None, **options: Any) -> Any:
        return request_of(self, context, expected or None, key, **options)

    patch.setattr(ContextPersistence, "_save_request", save_request)


@infects(MemoryBackend, "QU06")
def unknown_filters_are_ignored(patch: pytest.MonkeyPatch) -> None:
    """A misspelt field finds everything."""
    known = set(attrs.fields_dict(WorkflowContext))

    def lenient(filters: Any) -> Any:
        if not isinstance(filters, dict):
            return parse_filters(filters)
        fields = {name: value for name, value in filters.items() if not isinstance(name, str) or name[:6] != "statsu"}
        return parse_filters({name: value for name, value in fields.items() if str(name).split("__")[0] in known})

    patch.setattr(persistence, "parse_filters", lenient)


@infects(MemoryBackend, "PA04")
def cursors_fit_any_query(patch: pytest.MonkeyPatch) -> None:
    """A cursor of one query is taken by another."""
    patch.setattr(cursors, "_digest", lambda *_: bytes(cursors._DIGEST_BYTES))


@infects(MemoryBackend, "PA06")
def streams_read_everything_first(patch: pytest.MonkeyPatch) -> None:
    """An iterator over many contexts holds them all."""
    patch.setattr(
        ContextPersistence, "iter_contexts", lambda self, filters=None, **_: iter(self.search_contexts(filters))
    )


@infects(MemoryBackend, "ER04", "ER02")
def arguments_are_not_judged(patch: pytest.MonkeyPatch) -> None:
    """A bad id is sent to the driver."""
    patch.setattr(persistence, "check_id", lambda _: None)


@infects(MemoryBackend, "BA07")
def inputs_are_read_twice(patch: pytest.MonkeyPatch) -> None:
    """A batch counts its items before it saves them, and a generator has no more to give."""
    save = ContextPersistence.save_contexts

    def save_contexts(self: Any, contexts: Any) -> list[int]:
        return save(self, contexts) if sum(1 for _ in contexts) else []

    patch.setattr(ContextPersistence, "save_contexts", save_contexts)


@infects(MemoryBackend, "HO01", "HO02")
def wrappers_are_left_out(patch: pytest.MonkeyPatch) -> None:
    """A store does not ask its wrappers."""
    bind = plugins.bind
    patch.setattr(persistence, "bind", lambda backend, _=(): bind(backend))


@infects(MemoryBackend, "HO01", "HO02", "MO01")
def imports_go_around_wrappers(patch: pytest.MonkeyPatch) -> None:
    """An import writes to the driver directly."""
    load = ContextPersistence.import_

    def import_(self: Any, source: Any) -> Any:
        verbs, self._verbs = self._verbs, plugins.bind(self._backend)
        try:
            return load(self, source)
        finally:
            self._verbs = verbs

    patch.setattr(ContextPersistence, "import_", import_)


@infects(MemoryBackend, "HO02")
def wrappers_run_backwards(patch: pytest.MonkeyPatch) -> None:
    """The first wrapper is the innermost."""
    bind = plugins.bind
    patch.setattr(persistence, "bind", lambda backend, wrappers=(): bind(backend, wrappers[::-1]))


@infects(MemoryBackend, "HO03")
def documents_may_name_classes(patch: pytest.MonkeyPatch) -> None:
    """Reading a document imports what it names."""
    decode = _converter.decode_document

    def import_named(value: Any) -> Any:
        if isinstance(value, dict):
            for name, item in value.items():
                if name == "py/object":
                    importlib.import_module(str(item).partition(".")[0])
                import_named(item)
        elif isinstance(value, list):
            for item in value:
                import_named(item)
        return value

    patch.setattr(serialization, "decode_document", lambda document: import_named(decode(document)))


@infects(MemoryBackend, "MO01")
def imports_look_for_the_end_when_they_get_there(patch: pytest.MonkeyPatch) -> None:
    """What came before it is written by then."""
    patch.setattr(importing, "_check_whole", lambda *_: True)


@infects(MemoryBackend, "MO01", "MO02")
def imports_need_no_end(patch: pytest.MonkeyPatch) -> None:
    """An export that breaks off is imported as far as it goes."""
    read = transfer.read_lines

    def read_lines(lines: Any) -> Any:
        with contextlib.suppress(ConfigurationError):
            yield from read(lines)

    patch.setattr(importing, "_check_whole", lambda *_: True)
    patch.setattr(importing, "read_lines", read_lines)


@infects(MemoryBackend, "MO01", "RT13", "VE01")
def imports_take_what_saves_refuse(patch: pytest.MonkeyPatch) -> None:
    """An export is written to the store as it is."""
    patch.setattr(importing, "_check_item", lambda *_: None)


@infects(MemoryBackend, "MO01", "MO02")
def failed_exports_stay(patch: pytest.MonkeyPatch) -> None:
    """An export is written under its own name from its first line on."""
    patch.setattr(exporting, "whole_file", lambda path, **_: contextlib.nullcontext(path))


@infects(MemoryBackend, "MO02")
def exports_read_the_live_store(patch: pytest.MonkeyPatch) -> None:
    """An export does not ask for a snapshot."""
    patch.setattr(scans, "view_of", contextlib.nullcontext)


@infects(MemoryBackend, "MO01")
def imports_overwrite_nothing_and_say_nothing(patch: pytest.MonkeyPatch) -> None:
    """A version that stands here otherwise is taken for equal."""
    patch.setattr(importing, "_is_stored", lambda *_: True)


@infects(MemoryBackend, "VE04", "ER02")
def missing_is_missing(patch: pytest.MonkeyPatch) -> None:
    """A missing version is reported as a missing workflow."""
    refuse = ContextPersistence._refuse_missing
    patch.setattr(
        ContextPersistence, "_refuse_missing", lambda self, workflow_id, *_: refuse(self, workflow_id, None, None)
    )


@infects(MemoryBackend, "ID01", "ID03")
def times_are_content(patch: pytest.MonkeyPatch) -> None:
    """A context that was built again for a retry is other content, since its times are new."""
    patch.setattr(idempotency, "_without_times", lambda fields: fields)


@infects(MemoryBackend, "ID01", "ID04")
def what_no_hash_tells_is_a_conflict(patch: pytest.MonkeyPatch) -> None:
    """A key whose hash is of an older rule, or is not kept, is refused without a look at its version."""

    def refuse(*arguments: Any) -> Any:
        *_, error = arguments
        raise error

    patch.setattr(idempotent_writes, "_with_known_versions", refuse)


@infects(MemoryBackend, "HO04")
def hashes_let_guesses_be_tried(patch: pytest.MonkeyPatch) -> None:
    """What is kept beside a key is the plain hash of what the codec hides."""
    patch.setattr(
        ContextSerializer, "idempotency_key", lambda _, key, record, *__: idempotency.idempotency_key(key, record)
    )
