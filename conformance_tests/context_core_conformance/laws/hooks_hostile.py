"""Laws of hostile documents: what someone else put into the storage is data, or corrupt, and nothing more."""

import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import attrs
import pytest

from context_core import Capability, ContextCoreError, CorruptDocumentError, UnsupportedSchemaError
from context_core.records import SaveRequest
from context_core_conformance.promises import promise
from context_core_conformance.samples import a_context
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Store, a_save, record_of, refusal

CANARY: Final = "this"
"""A module of the standard library that nobody imports, and that prints when someone does."""

_CALLS: Final[dict[str, Any]] = {
    "__class__": {"__class__": "os.system", "args": [f"import {CANARY}"]},
    "__reduce__": {"__reduce__": ["builtins.exec", [f"import {CANARY}"]]},
    "__init__": {"__init__": {"__globals__": {}}, "__dict__": {"version": 99}},
    "py/object": {"py/object": f"{CANARY}.Anything", "py/reduce": [{"py/type": "os.system"}, {"py/tuple": ["true"]}]},
    "yaml": f"!!python/object/apply:importlib.import_module ['{CANARY}']",
    "yaml key": {"!!python/name:os.system": ""},
    "$type": {"$type": "System.Diagnostics.Process", "_type": CANARY, "@class": "java.lang.Runtime", "$ref": "#"},
    "attrs": {"__attrs_attrs__": [], "__setattr__": None, "__attrs_init__": None},
    "template": "{0.__class__.__mro__} ${jndi:ldap://x} {{7*7}} %(x)s `id` $(id)",
    "pickle": "gASVHgAAAAAAAACMAm9zlIwGc3lzdGVtlJOUjAR0cnVllIWUUpQu",
    "dates": {"__datetime__": "2025-01-01T00:00:00Z", "__type__": "datetime"},
}
"""What some reader of JSON takes for more than data."""

_DOCUMENT: Final[dict[str, Any]] = {"schema": 1, **a_context().to_dict()}

_WRONG: Final[dict[str, Any]] = {
    "workflow_id": [None, 7, "", "a\0b", ["order-7"], {"a": 1}, "x" * 300],
    "epic_num": ["1", 1.0, True, 0, -1, 2**64, None, [1]],
    "story_num": ["1", 2.0, False, 0, {}],
    "status": ["done", None, 1, "Status.RUNNING", ["running"]],
    "created_at": ["yesterday", 0, None, "2025-01-01T00:00:00", {"__datetime__": ""}, "9999-12-31T23:59:59-23:59"],
    "phase_history": [None, {}, "x", [1], ["ab"], [{"phase": 1}], [[]]],
    "decisions": [None, [], "x", 1],
    "artifacts": [None, {}, "x", 1],
    "metadata": [None, [], "x", True],
    "tags": [None, {}, "x", [1], [None], [["x"]]],
}
"""Values that a field cannot have."""

CORRUPT: Final[dict[str, bytes]] = {
    "empty": b"",
    "no json": b"not json",
    "cut short": json.dumps(_DOCUMENT).encode()[:-5],
    "two documents": json.dumps(_DOCUMENT).encode() * 2,
    "no utf-8": b'{"schema": 1, "feature": "\xff"}',
    "utf-16": json.dumps(_DOCUMENT).encode("utf-16"),
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
    "a list": b"[]",
    "a number": b"7",
    "a text": b'"text"',
    "null": b"null",
    "an empty object": b"{}",
    "nothing but a schema": b'{"schema": 1}',
    "infinity": json.dumps(_DOCUMENT | {"metadata": {"k": float("inf")}}).encode(),
    "nested beyond any parser": b"[" * 100_000,
    "nested objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    **{
        f"{field}={value!r:.20}": json.dumps(_DOCUMENT | {field: value}).encode()
        for field, values in _WRONG.items()
        for value in values
    },
    **{
        f"no {field}": json.dumps({k: v for k, v in _DOCUMENT.items() if k != field}).encode()
        for field in ("epic_num", "workflow_id")
    },
}
"""Documents that hold no context."""

SCHEMAS: Final = (2, 10**30, -1, "1", 1.0, True, None, [1], {"__class__": "int"})
"""Schema numbers that this code does not read."""


def plant(subject: Subject, document: bytes, workflow_id: str = "order-7", **fields: Any) -> None:
    """Put a document behind the facade's back, as someone with access to the storage can."""
    record = attrs.evolve(record_of(a_context(workflow_id, **fields)), document=document)
    subject.backend().save(SaveRequest(record=record))


def read_everywhere(store: Store) -> dict[str, ContextCoreError]:
    """The errors that reading `order-7` in every way raises; anything but one of ours goes through."""
    readings: dict[str, Callable[[], object]] = {
        "load": lambda: store.load_context("order-7"),
        "load many": lambda: store.load_contexts(["other", "order-7"]),
        "version": lambda: store.load_context("order-7", version=1),
        "search": store.search_contexts,
        "page": lambda: store.search_page(order_by="version"),
        "stream": lambda: list(store.iter_contexts()),
        "versions": lambda: store.get_context_versions(1, 2),
        "rollback": lambda: store.rollback("order-7", 1),
        "fork": lambda: store.fork("order-7", "fork"),
        "diff": lambda: store.diff("order-7", 1, 1),
    }
    errors = {name: refusal(ContextCoreError, read) for name, read in readings.items()}
    return {name: error for name, error in errors.items() if error is not None}


class HostileLaws:
    @promise("HO03")
    @pytest.mark.parametrize("hostile", _CALLS)
    def test_a_hostile_document_is_data(self, subject: Subject, hostile: str) -> None:
        """It loads as what it says, imports and executes nothing, and can be saved again."""
        assert CANARY not in sys.modules
        threads = threading.active_count()
        content = _CALLS[hostile]
        fields = {"metadata": {"k": content}, "artifacts": [content], "unknown": content, "__dict__": content}
        plant(subject, json.dumps(_DOCUMENT | fields).encode())
        store = subject.open()
        loaded = store.load_context("order-7")
        assert (type(loaded).__name__, loaded.version) == ("WorkflowContext", 1)
        assert (loaded.metadata, loaded.artifacts) == ({"k": content}, [content])
        assert loaded.unknown_fields == {"unknown": content, "__dict__": content}
        assert read_everywhere(store) == {}
        assert store.save_context(loaded) == 3
        assert (CANARY in sys.modules, threading.active_count()) == (False, threads)

    @promise("HO03", "CR06", "ER01")
    @pytest.mark.parametrize("name", CORRUPT)
    def test_a_document_that_is_no_context_is_corrupt(self, subject: Subject, name: str) -> None:
        """By every way to read it, and the error repeats nothing of it."""
        plant(subject, CORRUPT[name])
        store = subject.open()
        store.save_context(a_context("other"))
        errors = read_everywhere(store)
        assert {reading: type(error) for reading, error in errors.items()} == dict.fromkeys(
            errors, CorruptDocumentError
        )
        assert len(errors) == 10
        assert store.load_context("other").version == 1
        assert store.delete_context("order-7") is True

    @promise("HO03", "ER01")
    @pytest.mark.parametrize("schema", SCHEMAS, ids=repr)
    def test_a_schema_that_is_not_known_is_refused(self, subject: Subject, schema: Any) -> None:
        """Whatever stands where the number should be; the document is not guessed at."""
        plant(subject, json.dumps(_DOCUMENT | {"schema": schema}).encode())
        with pytest.raises((UnsupportedSchemaError, CorruptDocumentError)):
            subject.open().load_context("order-7")

    @promise("HO03", "RT08")
    @pytest.mark.parametrize("depth", [100, 190, 250, 500, 900, 1_100])
    def test_a_deep_document_is_data_or_a_typed_error(self, subject: Subject, tmp_path: Path, depth: int) -> None:
        """Deeper than any save allows: reading, saving again, exporting and verifying never crash."""
        deep = b'{"metadata": {"k": ' + b"[" * depth + b"]" * depth + b"}, "
        plant(subject, deep + json.dumps({k: v for k, v in _DOCUMENT.items() if k != "metadata"}).encode()[1:])
        store = subject.open()
        read_everywhere(store)
        try:
            count = store.export(tmp_path / "export").count
            assert subject.another().open().import_(tmp_path / "export").written == count
        except ContextCoreError:
            pass
        if Capability.VERIFY in store.describe().capabilities:
            store.verify()

    @promise("HO03", "ER01")
    def test_a_search_inside_hostile_documents_is_a_typed_error_or_passes_over(self, subject: Subject) -> None:
        """A filter that looks into documents meets some that are none."""
        subject.requires(Capability.JSON_PATHS)
        store = subject.open()
        for number, document in enumerate(
            (b"not json", b"[]", b"7", b"null", b"{}", b'{"decisions": 7}', b'{"decisions": {"k": {}}}')
        ):
            name = f"w{number}"
            plant(subject, document, name)
            for filters in ({"decisions.k": 1}, {"decisions.k.l__prefix": "x"}, {"artifacts__contains": 1}):
                asked = {"workflow_id": name, **filters}
                error = refusal(CorruptDocumentError, lambda asked=asked: store.count_contexts(asked))  # type: ignore[misc]  # bound now
                if error is None:
                    assert store.count_contexts(asked) == 0
                else:
                    assert (error.workflow_id, error.version) == (name, 1)

    @promise("HO03")
    def test_a_document_under_another_id_reaches_no_other_workflow(self, subject: Subject) -> None:
        """A document that names a victim is not loaded as the victim, and nothing done to it writes there."""
        plant(subject, json.dumps(_DOCUMENT | {"workflow_id": "victim"}).encode())
        store = subject.open()
        store.save_context(a_context("victim", feature="precious"))
        read_everywhere(store)
        assert [header.feature for header in store.history("victim")] == ["precious"]
        error = refusal(CorruptDocumentError, lambda: store.load_context("order-7"))
        assert error is not None or store.load_context("order-7").workflow_id == "order-7"

    @promise("HO03")
    def test_a_raw_save_of_a_sample_is_readable(self, subject: Subject) -> None:
        """The way in which these laws plant documents works for good ones."""
        plant(subject, a_save().record.document)
        assert subject.open().load_context("order-7") == a_context()
