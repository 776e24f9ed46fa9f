"""A server that stops, restarts, crashes, or hands over to its standby costs time, never an acknowledged version."""

import threading

import psycopg
import pytest
from postgres_server import Server
from postgres_workers import Witness

from context_core import (
    BackendUnavailableError,
    ContextPersistence,
    OutcomeUnknownError,
    PersistenceError,
    ReadOnlyError,
)
from context_core_conformance.racing import PATIENCE_S
from context_core_conformance.samples import a_context

SAVES = 200


def stopped(server, mode):
    """Stop a server in one of the ways it can go."""
    server.kill() if mode == "kill" else server.stop(mode)


def save_while(witnesses, event, go_on):
    """Have each witness save until *go_on* is false; *event* is set once the first has been acknowledged often."""

    def work(witness):
        turn = 0
        while go_on():
            witness.save(turn)
            turn += 1
            if len(witness.acknowledged) >= SAVES // len(witnesses) // 2:
                event.set()

    threads = [threading.Thread(target=work, args=(witness,), daemon=True) for witness in witnesses]
    for thread in threads:
        thread.start()
    return threads


@pytest.mark.parametrize("mode", ["fast", "immediate", "kill"])
def test_server_that_goes_during_saves_loses_nothing(own_server, mode):
    """What was acknowledged is there; what was not, raised a typed error; the same store then goes on (CR04)."""
    with ContextPersistence(own_server.url()) as store:
        witnesses = [Witness(store, f"w{number}") for number in range(4)]
        are_saving, is_over = threading.Event(), threading.Event()
        threads = save_while(witnesses, are_saving, lambda: not is_over.is_set())
        assert are_saving.wait(PATIENCE_S)
        stopped(own_server, mode)
        is_over.set()
        for thread in threads:
            thread.join(PATIENCE_S)
        with pytest.raises(BackendUnavailableError):
            store.save_context(a_context("w0", metadata={"turn": -1}))
        own_server.start()
        for witness in witnesses:
            witness.save(-2)  # by itself, on the store that saw the server go
            assert -2 in witness.acknowledged
            witness.check(store)
        assert store.verify().is_sound
    assert sum(len(witness.acknowledged) for witness in witnesses) >= SAVES // 8


def test_restart_between_calls_is_not_noticed(own_server):
    """Sessions that broke while they lay idle are replaced before anything is sent."""
    with ContextPersistence(own_server.url()) as store:
        for turn in range(1, 4):
            assert store.save_context(a_context("w")) == turn
            assert store.load_context("w").version == turn
            own_server.restart()
        assert store.load_context("w").version == 3


def test_stopped_server_is_unavailable_for_every_verb(own_server):
    """Reads and writes say so, in a sentence that names the place."""
    with ContextPersistence(own_server.url()) as store:
        store.save_context(a_context("w"))
        own_server.stop()
        calls = [
            lambda: store.save_context(a_context("w")),
            lambda: store.save_contexts([a_context("w")]),
            lambda: store.load_context("w"),
            lambda: store.history("w"),
            lambda: store.search_contexts({"decisions.x": 1}),
            lambda: store.delete_context("w"),
            store.prune,
            store.verify,
        ]
        for call in calls:
            with pytest.raises(BackendUnavailableError, match="postgresql://") as caught:
                call()
            assert isinstance(caught.value.__cause__, psycopg.Error)
        own_server.start()
        assert store.load_context("w").version == 1


def test_session_that_dies_in_the_middle_of_a_save_leaves_it_unknown(own_server):
    """The commit was sent and the reply never came: without a key that is for the caller to look into."""
    with ContextPersistence(own_server.url()) as store:
        store.save_context(a_context("w"))
        with pytest.raises(OutcomeUnknownError) as caught:
            during_a_held_save(own_server, lambda: store.save_context(a_context("w")))
        assert isinstance(caught.value.__cause__, psycopg.Error)
        assert store.load_context("w").version == 1


def test_session_that_dies_in_the_middle_of_a_save_with_a_key_is_retried(own_server):
    """With a key the save is made once, by itself (ID03)."""
    with ContextPersistence(own_server.url()) as store:
        store.save_context(a_context("w"))
        assert during_a_held_save(own_server, lambda: store.save_context(a_context("w"), idempotency_key="k")) == 2
        assert [header.idempotency_key for header in store.history("w")] == [None, "k"]


def during_a_held_save(server, save):
    """Run *save* against a row that someone else holds, and kill its session while it waits."""
    with psycopg.connect(f"host={server.folder} user=postgres") as holder:
        holder.execute("SELECT FROM contexts.workflow_context FOR UPDATE")

        def kill():
            kill_waiting_session(server)
            holder.rollback()

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            return save()
        finally:
            killer.join()


def kill_waiting_session(server):
    """End the session that waits for a lock, as soon as there is one."""
    with psycopg.connect(f"host={server.folder} user=postgres", autocommit=True) as other:
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        while not other.execute(query).fetchall():
            pass


@pytest.fixture
def pair():
    """A primary and its standby, which has all that is acknowledged."""
    settings = {"synchronous_standby_names": "standby", "synchronous_commit": "remote_apply"}
    with Server.create(**settings) as primary, primary.standby("standby") as standby:
        yield primary, standby


def pair_url(primary, standby, **options):
    """One URL that leads to whichever of the two is the primary."""
    hosts = f"{primary.folder},{standby.folder}"
    return f"postgresql://postgres@/postgres?host={hosts}&port=5432,5432&schema=contexts" + "".join(
        f"&{name}={value}" for name, value in options.items()
    )


def test_failover_loses_nothing(pair):
    """The primary is killed during saves, the standby promoted, and the same store goes on there."""
    primary, standby = pair
    with ContextPersistence(pair_url(primary, standby, target_session_attrs="read-write")) as store:
        witnesses = [Witness(store, f"w{number}") for number in range(4)]
        are_saving, is_over = threading.Event(), threading.Event()
        threads = save_while(witnesses, are_saving, lambda: not is_over.is_set())
        assert are_saving.wait(PATIENCE_S)
        primary.kill()
        is_over.set()
        for thread in threads:
            thread.join(PATIENCE_S)
        with pytest.raises(PersistenceError):
            store.save_context(a_context("w0", metadata={"turn": -1}))
        standby.promote()
        for witness in witnesses:
            witness.save(-2)
            assert -2 in witness.acknowledged
            witness.check(store)
        assert store.verify().is_sound


def test_standby_reads_and_refuses_writes(pair):
    """With the reason, and what to add to the URL; nothing is retried for ever."""
    primary, standby = pair
    with ContextPersistence(primary.url()) as store:
        store.save_context(a_context("w"))
        with ContextPersistence(standby.url(read_only="true")) as reader:
            assert reader.load_context("w").version == 1
        with ContextPersistence(standby.url()) as reader:
            assert reader.load_context("w").version == 1
            for write in (
                lambda: reader.save_context(a_context("w")),
                lambda: reader.save_context(a_context("new")),
                lambda: reader.delete_context("w"),
            ):
                with pytest.raises(ReadOnlyError, match="target_session_attrs=read-write"):
                    write()
        with pytest.raises(BackendUnavailableError):
            ContextPersistence(standby.url(target_session_attrs="read-write"))
