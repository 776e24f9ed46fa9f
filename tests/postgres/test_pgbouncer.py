"""A store behind PgBouncer in transaction mode: what the pooler cannot do is told as what it is."""

import contextlib

import psycopg
import pytest
from pgbouncer import PgBouncer

from context_core import BackendUnavailableError, ContextPersistence, OutcomeUnknownError, StorageError
from context_core_conformance.samples import a_context


def test_store_works_behind_a_pooler(own_server):
    """With the two options that the docs name."""
    with PgBouncer(own_server) as pooler, ContextPersistence(pooler.url("contexts")) as store:
        for number in (1, 2, 3):
            assert store.save_context(a_context("w")) == number
        assert store.save_contexts([a_context("w"), a_context("v")]) == [4, 1]
        assert store.verify().is_sound


def test_missing_option_is_named(own_server):
    """The pooler refuses what it is asked for, and would make the connection without."""
    with PgBouncer(own_server) as pooler, pytest.raises(StorageError, match="busy_timeout=none"):
        ContextPersistence(pooler.url("contexts", busy_timeout="5"))


def test_pooler_whose_server_is_down_is_unavailable(own_server):
    """Reads, writes and opening; the store goes on when the server is back."""
    with PgBouncer(own_server) as pooler, ContextPersistence(pooler.url("contexts")) as store:
        store.save_context(a_context("w"))
        own_server.kill()
        for call in (
            lambda: store.load_context("w"),
            lambda: store.search_contexts({"decisions.x": 1}),
            lambda: store.save_contexts([a_context("w")]),
            lambda: ContextPersistence(pooler.url("contexts")),
        ):
            with pytest.raises(BackendUnavailableError) as caught:
                call()
            assert isinstance(caught.value.__cause__, psycopg.Error)
        with pytest.raises((BackendUnavailableError, OutcomeUnknownError)):
            store.save_context(a_context("w"))
        own_server.start()
        while not answers(store):
            pass
        assert len(store.history("w")) == 1


def answers(store):
    """Whether the pooler has noticed that its server is back."""
    with contextlib.suppress(BackendUnavailableError):
        return store.context_exists("w")
    return False


@pytest.mark.parametrize("busy_timeout", ["none", "5"])
def test_pooler_without_a_connection_left_is_unavailable(own_server, busy_timeout):
    """max_client_conn: it refuses with the code that it has for everything."""
    with PgBouncer(own_server, max_client_conn="1") as pooler, ContextPersistence(pooler.url("contexts")) as store:
        store.save_context(a_context("w"))
        with pytest.raises(BackendUnavailableError, match="max_client_conn"):
            ContextPersistence(pooler.url("contexts", busy_timeout=busy_timeout))


def test_pooler_whose_server_connections_are_in_use_is_unavailable(own_server):
    """query_wait_timeout: what waited for one was never sent to the server."""
    with (
        PgBouncer(own_server, default_pool_size="1", query_wait_timeout="1") as pooler,
        ContextPersistence(pooler.url("contexts")) as store,
        ContextPersistence(pooler.url("contexts")) as other,
        contextlib.closing(store._backend.snapshot()),
        pytest.raises(BackendUnavailableError, match="query_wait_timeout"),
    ):
        other.load_context("w")
