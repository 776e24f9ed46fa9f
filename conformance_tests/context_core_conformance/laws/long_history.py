"""Laws of long histories, which drivers may keep compactly, and of migrating what is stored to the newest form."""

import random
from collections.abc import Sequence
from typing import Final

import pytest

from context_core import Capability, Delete, Save, VersionConflictError, WorkflowContext
from context_core.records import Story, VersionRequest, Want
from context_core_conformance.promises import promise
from context_core_conformance.racing import in_threads
from context_core_conformance.samples import TickingClock, a_context
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import Store, everything, record_of

LENGTH: Final = 150
SMALL, LARGE = 2_000, 60_000

each_size: Final = pytest.mark.parametrize("size_bytes", [SMALL, LARGE])


def a_life(size_bytes: int, length: int = LENGTH, workflow_id: str = "long") -> list[WorkflowContext]:
    """Versions of about that size, each with a few words changed, some with all, and one empty in between."""
    chance = random.Random(length)  # noqa: S311  # repeatable, not secret
    words = [f"word{number}" for number in range(500)]
    notes = [" ".join(chance.choices(words, k=12)) for _ in range(size_bytes // 85)]
    versions = []
    for number in range(1, length + 1):
        if number % 50 == 0:
            notes = [" ".join(chance.choices(words, k=12)) for _ in notes]
        notes[chance.randrange(len(notes))] = " ".join(chance.choices(words, k=12))
        kept = [] if number == length // 2 else list(notes)
        versions.append(a_context(workflow_id, metadata={"number": number, "notes": kept}))
    return versions


def saved(store: Store, versions: Sequence[WorkflowContext]) -> None:
    """Save by one and by many, as engines do."""
    half = len(versions) // 2
    store.save_contexts(versions[:half])
    for context in versions[half:]:
        store.save_context(context)


class LongHistoryLaws:
    @promise("VE02", "VE03")
    @each_size
    def test_any_version_of_a_long_history_loads(self, subject: Subject, size_bytes: int) -> None:
        """In any order, alone or all together, by the store that wrote it and by another."""
        versions = a_life(size_bytes, LENGTH if size_bytes == SMALL else 70)
        writer = subject.open()
        saved(writer, versions)
        order = random.Random(1).sample(range(1, len(versions) + 1), 40)  # noqa: S311  # repeatable, not secret
        for store in (writer, subject.open()):
            for number in order:
                assert store.load_context("long", version=number) == versions[number - 1]
            assert store.get_context_versions(1, 2) == versions

    @promise("VE07", "VE12")
    @pytest.mark.parametrize("of", ["long", Story(epic_num=1, story_num=2)], ids=["workflow", "story"])
    @pytest.mark.parametrize("newest_first", [False, True])
    def test_a_page_of_documents_begins_anywhere(self, subject: Subject, of: str | Story, newest_first: bool) -> None:  # noqa: FBT001  # a parameter
        """Of a workflow or of its story, forwards and backwards, whatever the documents lean on outside of the page."""
        versions = a_life(SMALL, 24)
        saved(subject.open(), versions)
        numbered = list(enumerate(versions, start=1))[:: -1 if newest_first else 1]
        backend = subject.backend()
        for offset in range(22):
            request = VersionRequest(of=of, want=Want.DOCUMENTS, limit=3, offset=offset, newest_first=newest_first)
            page = [(document.version, document.document) for document in backend.version(request).documents]
            assert page == [(number, record_of(context).document) for number, context in numbered[offset : offset + 3]]

    @promise("VE08", "VE02")
    def test_each_moment_of_a_long_history_loads(self, subject: Subject) -> None:
        """By a store that did not write it, and the last moment first."""
        versions = a_life(SMALL, 70)
        clock = TickingClock()
        writer = subject.open(clock=clock)
        for context in versions:
            clock.advance(1)
            writer.save_context(context)
        reader = subject.open()
        for header in reversed(reader.history("long")):
            assert reader.load_context("long", as_of=header.saved_at) == versions[header.version - 1]

    @promise("CO04", "VE02")
    def test_stores_that_come_and_go_continue_a_history(self, subject: Subject) -> None:
        """Each knows nothing of what the others wrote; they save alone, by condition, and in batches short and long."""
        versions = a_life(SMALL)
        old = subject.open()
        count = 0
        for length in (1, 2, 1, 4, 1, 3, 21, 1, 1, 16, 2, 1, 1, 1):
            newcomer = subject.open()
            for store in (old, newcomer):
                batch = versions[count : count + length]
                if length == 1 and count % 2:
                    store.update_context(batch[0], expected_version=count)
                else:
                    store.save_contexts(batch)
                count += length
            newcomer.close()
        assert subject.open().get_context_versions(1, 2) == versions[:count]

    @promise("RE01", "CO04")
    def test_stores_save_and_prune_in_turns(self, subject: Subject) -> None:
        """What one prunes, another may have in mind for its next version; all that is kept loads."""
        subject.requires(Capability.PRUNE)
        versions = a_life(SMALL, 100)
        chance = random.Random(1)  # noqa: S311  # repeatable, not secret
        stores = [subject.open(), subject.open()]
        pruned = 0
        for number, context in enumerate(versions, start=1):
            assert chance.choice(stores).save_context(context) == number
            if number % 9 == 0:
                keep_last = chance.randrange(1, 12)
                chance.choice(stores).prune(keep_last=keep_last)
                pruned = max(pruned, number - keep_last)
                assert chance.choice(stores).get_context_versions(1, 2) == versions[pruned:number]
        if Capability.VERIFY in subject.capabilities:
            assert stores[0].verify().is_sound

    @promise("BA01", "VE02")
    def test_a_history_goes_on_as_if_a_failed_batch_had_not_been(self, subject: Subject) -> None:
        """Nothing of it is taken for what the next versions follow."""
        versions = a_life(SMALL, 40)
        store = subject.open()
        store.save_contexts(versions[:4])
        failing = [Save(context) for context in a_life(SMALL, 12)[::-1]]
        with pytest.raises(VersionConflictError):
            store.batch([*failing, Delete("long", expected_version=1)])
        for context in versions[4:]:
            store.save_context(context)
        for reader in (store, subject.open()):
            assert reader.get_context_versions(1, 2) == versions

    @promise("RE01", "VE02")
    @pytest.mark.parametrize("keep_last", [1, 2, 23, 64, 86, 87])
    def test_what_prune_leaves_of_a_long_history_loads(self, subject: Subject, keep_last: int) -> None:
        """Nothing that is kept leans on what is gone, and saving goes on."""
        subject.requires(Capability.PRUNE)
        versions = a_life(SMALL)
        store = subject.open()
        saved(store, versions)
        assert store.prune(keep_last=keep_last).count == LENGTH - keep_last
        store.save_contexts(versions[:70])
        expected = versions[-keep_last:] + versions[:70]
        first = LENGTH - keep_last + 1
        for reader in (store, subject.open()):
            assert reader.get_context_versions(1, 2) == expected
            for offset in (0, keep_last - 1, keep_last, keep_last + 69):
                assert reader.load_context("long", version=first + offset) == expected[offset]

    @promise("VE05", "DE01")
    def test_a_long_history_that_came_again_leans_on_nothing_of_its_past(self, store: Store) -> None:
        """After a delete the next versions are whole, whatever a writer still has in mind."""
        versions = a_life(SMALL, 80)
        saved(store, versions)
        store.delete_context("long")
        other = a_life(SMALL, 70)[::-1]
        assert store.save_contexts(other) == list(range(81, 151))
        assert store.get_context_versions(1, 2) == other
        # In one batch too.
        again = a_life(SMALL, 20)
        store.batch([*map(Save, versions[:3]), Delete("long"), *map(Save, again)])
        assert store.get_context_versions(1, 2) == again

    @promise("MI03", "VE02")
    def test_migrating_changes_nothing_that_is_seen(self, subject: Subject) -> None:
        """Heads, versions, times, keys and tombstones are what they were, however often; saving goes on."""
        subject.requires(Capability.MIGRATE)
        store = subject.open()
        saved(store, a_life(SMALL, 70))
        store.save_context(a_context("keyed"), idempotency_key="k")
        store.fork("long", "forked", 3)
        store.save_context(a_context("gone"))
        store.delete_context("gone")
        backend = subject.backend()
        before = everything(backend, ["gone"])
        assert [backend.migrate(), backend.migrate()] == [backend.describe().schema_version] * 2
        assert everything(backend, ["gone"]) == before
        assert store.save_context(a_context("gone")) == 2
        assert store.save_context(a_context("keyed"), idempotency_key="k") == 1

    @promise("MI03", "CO03")
    def test_migrating_goes_on_beside_writers(self, subject: Subject) -> None:
        """Nobody waits for its end, and nothing is lost."""
        subject.requires(Capability.MIGRATE)
        store = subject.open()

        def work(number: int) -> list[int]:
            if number == 0:
                return [store.migrate() for _ in range(3)][:0]
            life = a_life(SMALL, 20, f"w{number}")
            return [store.save_context(context) for context in life]

        assert in_threads(3, work)[1:] == [list(range(1, 21))] * 2
        for number in (1, 2):
            found = [store.load_context(f"w{number}", version=version) for version in range(1, 21)]
            assert found == a_life(SMALL, 20, f"w{number}")
