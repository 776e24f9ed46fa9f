"""Laws of stores that an earlier or a later version of the driver wrote: test classes of such drivers bring some."""

from collections.abc import Mapping, Sequence
from contextlib import closing

import pytest

from context_core import NewerDatabaseError, WorkflowContext
from context_core.plugins import open_backend
from context_core.url import BackendURL
from context_core_conformance.access import OlderStore
from context_core_conformance.laws.read_only import files_of
from context_core_conformance.promises import promise
from context_core_conformance.racing import in_processes
from context_core_conformance.samples import a_context
from context_core_conformance.skipping import skip_without_access
from context_core_conformance.subject import Subject, needed
from context_core_conformance.verbs import Store
from context_core_conformance.workers import racing_workers as workers

PROCESSES = 10


class MigrationLaws:
    @pytest.fixture
    def older(self, subject: Subject) -> list[OlderStore]:
        """The older stores; the law is skipped where the test class brings none."""
        found = list(subject.access.older_stores(subject.folder))
        if not found:
            skip_without_access("older_stores")
        return found

    @promise("MI01", "VE02")
    def test_an_older_store_opens_with_equal_content(self, subject: Subject, older: list[OlderStore]) -> None:
        """Every version of every workflow loads as it was, at its number; heads are found; opening again changes nothing."""
        for old in older:
            for _ in range(2):
                with closing(subject.open_at(old.url)) as store:
                    assert (old.name, _contents(store, old.contents)) == (old.name, _expected(old.contents))
                    assert store.count_contexts() == len(old.contents)

    @promise("MI01", "VE01")
    def test_histories_of_an_older_store_go_on(self, subject: Subject, older: list[OlderStore]) -> None:
        """The next save has the next number, at a time that does not go back."""
        for old in older:
            store = subject.open_at(old.url)
            for workflow_id, versions in old.contents.items():
                assert store.save_context(a_context(workflow_id)) == versions[-1].version + 1
                times = [header.saved_at for header in store.history(workflow_id)]
                assert times == sorted(times)

    @promise("MI02", "MI01")
    def test_processes_open_an_older_store_at_once(self, subject: Subject, older: list[OlderStore]) -> None:
        """Ten at a time: all read the same, and what they leave is migrated once."""
        for old in older:
            workflow_ids = tuple(old.contents)
            seen = in_processes(PROCESSES, workers.open_and_read, old.url, workflow_ids)
            heads = [versions[-1] for versions in old.contents.values()]
            assert seen == [[(head.version, head.to_json()) for head in heads]] * PROCESSES
            assert _contents(subject.open_at(old.url), old.contents) == _expected(old.contents)

    @promise("MI05")
    def test_fresh_and_migrated_schemas_are_identical(self, subject: Subject, older: list[OlderStore]) -> None:
        """A store tells by nothing in its schema how old it is."""
        subject.open()
        fresh = needed(subject.access.schema(subject.url), "schema")
        for old in older:
            store = subject.open_at(old.url)
            assert (old.name, subject.access.schema(old.url)) == (old.name, fresh)
            assert store.describe().schema_version == subject.open().describe().schema_version

    @promise("MI04", "ER01")
    def test_a_newer_store_is_refused_and_not_touched(self, subject: Subject) -> None:
        """It names both versions and says what to do; no byte of any file changes, read-only or not."""
        url = needed(subject.access.newer_url(subject.folder), "newer_url")
        before = files_of(subject.folder)
        for _ in range(2):
            with pytest.raises(NewerDatabaseError, match="upgrade") as caught:
                open_backend(BackendURL.parse(url))
            assert caught.value.found > caught.value.known
        assert files_of(subject.folder) == before


def _contents(store: Store, asked: Mapping[str, object]) -> dict[str, list[tuple[int, str]]]:
    """Every version of the asked workflows, exactly."""
    return {
        workflow_id: [
            (header.version, store.load_context(workflow_id, version=header.version).to_json())
            for header in store.history(workflow_id)
        ]
        for workflow_id in asked
    }


def _expected(contents: Mapping[str, Sequence[WorkflowContext]]) -> dict[str, list[tuple[int, str]]]:
    return {name: [(each.version, each.to_json()) for each in versions] for name, versions in contents.items()}
