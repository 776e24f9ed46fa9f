"""Laws of the delete group: only a tombstone stays."""

import hashlib
from typing import Any

import pytest

from context_core import Capability, ContextNotFoundError, Delete, PhaseTransition, Save, VersionConflictError
from context_core.records import Deleted, DeleteRequest, QueryRequest, SavedVersion, VersionRequest, Want
from context_core_conformance.promises import promise
from context_core_conformance.racing import in_threads
from context_core_conformance.samples import EPOCH, a_context
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Store, a_save, apply, everything, loaded
from context_core_conformance.workers import racing_workers as workers

SIBLINGS = ("a", "ab", "abc", "A", "a ", "a%", "a_", "a/b", "a*", "%", "_", "a%b", "á")
MARK = "xyzzy"
TOMBSTONE_BYTES = 2_000
"""What may stay of a deleted workflow in a raw rendering of the storage: far less than the content that was there."""


def a_marked_context(number: int, workflow_id: str = "order-7") -> Any:
    """A context with a mark of its own in each field that can hold text."""
    mark = f"{MARK}{number}"
    return a_context(
        workflow_id,
        feature=f"{mark}feature",
        workflow_name=f"{mark}name",
        current_phase=f"{mark}phase",
        phase_history=[PhaseTransition(phase=f"{mark}left", timestamp=EPOCH)],
        decisions={f"{mark}key": f"{mark}decision"},
        artifacts=[f"{mark}artifact"],
        errors=[f"{mark}error"],
        metadata={"in": [f"{mark}metadata"]},
        tags=[f"{mark}tag"],
    )


def incompressible(number: int) -> str:
    """8 kB of text that no codec makes small."""
    return "".join(hashlib.sha256(f"{number}.{part}".encode()).hexdigest() for part in range(128))


class DeleteLaws:
    """Laws about what a delete removes, and what it does not."""

    @promise("DE01")
    def test_no_content_is_left_in_the_storage(self, subject: Subject) -> None:
        """No table, index or column holds anything of any version, its idempotency key included."""
        store = subject.open()
        has_keys = Capability.IDEMPOTENCY in subject.capabilities
        for number in range(3):
            store.save_context(a_marked_context(number), idempotency_key=f"{MARK}{number}key" if has_keys else None)
        store.rollback("order-7", 1)
        assert f"{MARK}0feature".encode() in subject.raw_storage()
        store.delete_context("order-7")
        assert MARK.encode() not in subject.raw_storage()

    @promise("DE01")
    def test_nothing_but_a_tombstone_is_left_in_size(self, subject: Subject) -> None:
        """Whatever form the content was stored in, what stays is small."""
        store = subject.open()
        store.save_context(a_context("other"))
        before = len(subject.raw_storage())
        for number in range(20):
            store.save_context(a_context(metadata={"blob": incompressible(number)}))
        assert len(subject.raw_storage()) > before + 20 * TOMBSTONE_BYTES
        store.delete_context("order-7")
        assert len(subject.raw_storage()) < before + TOMBSTONE_BYTES

    @promise("DE01")
    def test_nothing_is_left_of_large_documents(self, subject: Subject) -> None:
        """Engines keep large values apart, in pages, tables or files of their own: these go too, in a batch as well."""
        store = subject.open()
        store.save_context(a_context("other"))
        before = len(subject.raw_storage())
        large = "".join(incompressible(part) for part in range(200))
        for number in range(3):
            store.save_contexts(
                a_context(name, metadata={"blob": f"{number}{large}", "mark": f"{MARK}{number}"}) for name in ("w", "x")
            )
        assert len(subject.raw_storage()) > before + len(large)
        store.delete_context("w")
        store.batch([Delete("x"), Save(a_context("y"))])
        left = subject.raw_storage()
        assert MARK.encode() not in left
        assert len(left) < before + 4 * TOMBSTONE_BYTES

    @promise("DE01", "BA06")
    def test_a_delete_in_a_batch_leaves_no_content_either(self, subject: Subject) -> None:
        """Content that was saved and deleted within one batch is gone like any other."""
        backend, store = subject.backend(), subject.open()
        store.save_context(a_marked_context(0))
        store.save_context(a_marked_context(0, "b"))
        save = a_save(feature=f"{MARK}1feature", metadata={"in": f"{MARK}1"})
        apply(
            backend, save, DeleteRequest(workflow_id="order-7"), DeleteRequest(workflow_id="b"), a_save(feature="new")
        )
        assert MARK.encode() not in subject.raw_storage()
        assert [header.feature for header in store.history("order-7")] == ["new"]

    @promise("DE01")
    def test_content_stays_gone_when_the_workflow_is_saved_again(self, subject: Subject) -> None:
        """A new life begins with its own content only."""
        store = subject.open()
        store.save_context(a_marked_context(0))
        store.delete_context("order-7")
        store.save_context(a_context())
        assert MARK.encode() not in subject.raw_storage()

    @promise("DE02")
    def test_a_deleted_workflow_is_seen_nowhere(self, subject: Subject) -> None:
        """No way to read, in any store on this database, shows it."""
        for name in ("order-7", "other"):
            subject.open().save_contexts([a_context(name, tags=["t"]), a_context(name, tags=["t"])])
        other_handle = subject.open()
        assert other_handle.load_context("order-7").version == 2
        assert subject.open().delete_context("order-7") is True
        for store in (other_handle, subject.open()):
            _check_unseen(store)
        backend = subject.backend()
        assert backend.query(QueryRequest(want=Want.COUNT)).count == 1
        assert loaded(backend, "order-7", version=1) == []
        assert loaded(backend, "order-7", as_of=EPOCH.replace(year=9999)) == []
        assert backend.version(VersionRequest(of="order-7", want=Want.COUNT)).count == 0

    @promise("DE02", "RT13")
    @pytest.mark.parametrize("workflow_id", SIBLINGS)
    def test_siblings_survive(self, subject: Subject, workflow_id: str) -> None:
        """An id is neither a prefix nor a pattern: one workflow goes, every other stays as it was."""
        store, backend = subject.open(), subject.backend()
        store.save_contexts([a_context(name, metadata={"name": name}) for name in (*SIBLINGS, *SIBLINGS)])
        before = everything(backend)
        assert store.delete_context(workflow_id) is True
        survivors = {name: versions for name, versions in before.items() if name != workflow_id}
        assert everything(backend, [workflow_id]) == survivors | {workflow_id: ()}
        assert store.get_version_count(1, 2) == 2 * len(survivors)

    @promise("DE03")
    def test_deleting_what_is_missing_is_false(self, subject: Subject) -> None:
        """There is nothing to do, twice too, and nothing is done."""
        store, backend = subject.open(), subject.backend()
        store.save_context(a_context("other"))
        before = everything(backend)
        assert [store.delete_context("order-7") for _ in range(2)] == [False, False]
        assert apply(backend, DeleteRequest(workflow_id="order-7"), DeleteRequest(workflow_id="order-7")) == [
            *(Deleted(existed=False), Deleted(existed=False)),
        ]
        assert everything(backend) == before

    @promise("DE03")
    def test_deleting_twice_is_true_then_false(self, subject: Subject) -> None:
        """The second delete finds nothing, by another handle and in one batch too."""
        store = subject.open()
        store.save_context(a_context())
        assert store.delete_context("order-7") is True
        assert subject.open().delete_context("order-7") is False
        assert store.delete_context("order-7") is False
        store.save_contexts([a_context(), a_context("other")])
        backend = subject.backend()
        outcomes = apply(
            backend, *(DeleteRequest(workflow_id=name) for name in ("order-7", "other", "order-7", "none"))
        )
        assert [outcome.existed for outcome in outcomes if isinstance(outcome, Deleted)] == [True, True, False, False]

    @promise("DE03", "VE05")
    def test_a_second_delete_does_not_forget_the_number(self, store: Store) -> None:
        """The tombstone stays as the first delete left it."""
        store.save_contexts([a_context(), a_context(), a_context()])
        assert [store.delete_context("order-7") for _ in range(3)] == [True, False, False]
        assert store.save_context(a_context()) == 4

    @promise("DE04")
    @pytest.mark.parametrize("handles", [1, 2])
    def test_a_reader_sees_all_of_a_workflow_or_nothing(self, subject: Subject, handles: int) -> None:
        """While a workflow comes and goes, no read shows a part of it."""
        backends = [subject.backend() for _ in range(handles)]
        writer, reader = backends[0], backends[-1]
        life = [a_save() for _ in range(20)]
        writer.save(a_save("on", feature="on"))

        def act(number: int) -> list[int]:
            if number:
                return workers.watch(lambda: _versions_seen(reader), until=lambda _: loaded(reader, "on") == [])
            for _ in range(40):
                apply(writer, *life)
                apply(writer, DeleteRequest(workflow_id="order-7"))
            apply(writer, DeleteRequest(workflow_id="on"))
            return []

        _, seen = in_threads(2, act)
        assert set(seen) <= {0, 20}

    @promise("DE05")
    def test_a_conflict_deletes_nothing(self, subject: Subject) -> None:
        """Every version of the workflow, and what else a batch was to delete, is as it was."""
        backend = subject.backend()
        apply(backend, a_save(), a_save(), a_save("b"))
        before = everything(backend)
        for batch in (
            [DeleteRequest(workflow_id="order-7", expected_version=1)],
            [DeleteRequest(workflow_id="b"), DeleteRequest(workflow_id="order-7", expected_version=3)],
            [DeleteRequest(workflow_id="order-7"), DeleteRequest(workflow_id="order-7", expected_version=2)],
        ):
            with pytest.raises(VersionConflictError):
                apply(backend, *batch)
            assert everything(backend) == before
        (saved,) = apply(backend, a_save())
        assert isinstance(saved, SavedVersion)
        assert saved.version == 3


def _versions_seen(backend: Any) -> int:
    """How many versions one read shows, that of the records, which needs more than one table or more than one row."""
    selection = backend.version(VersionRequest(of="order-7", want=Want.RECORDS))
    assert len(selection.headers) == len(selection.documents)
    return len(selection.headers)


def _check_unseen(store: Store) -> None:
    for version in (None, 1, 2, 3):
        with pytest.raises(ContextNotFoundError) as caught:
            store.load_context("order-7", version=version)
        assert type(caught.value) is ContextNotFoundError
    assert store.history("order-7") == []
    assert store.context_exists("order-7") is False
    assert store.get_context_by_version("order-7", 1) is None
    assert [context.workflow_id for context in store.load_contexts(["order-7", "other"])] == ["other"]
    found = [
        store.get_context_versions(1, 2),
        store.get_contexts_by_epic(1),
        store.get_contexts_by_feature("checkout"),
        store.get_active_contexts(),
        store.search_contexts(),
        store.search_contexts({"tags__contains": "t"}),
    ]
    assert {context.workflow_id for contexts in found for context in contexts} == {"other"}
    assert store.get_version_count(1, 2) == 2
    latest = store.get_latest_context(1, 2)
    assert latest is not None
    assert latest.workflow_id == "other"
