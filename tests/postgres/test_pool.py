"""Sessions: how many, whose, and what becomes of broken ones."""

import contextlib
import os
import threading
from typing import Any

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from context_core import BackendBusyError, BackendClosedError, ContextPersistence
from context_core.url import BackendURL
from context_core_conformance.racing import in_threads
from context_core_conformance.samples import a_context
from context_core_postgres import PostgresBackend, _pool

COUNT = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"


@pytest.fixture
def named(postgres_server, schema):
    """The URL of a store whose sessions can be counted by its schema's name."""
    return postgres_server.url(schema, application_name=schema, pool_min="1", pool_max="4")


@pytest.fixture
def pool(postgres_server):
    """An application's own pool, not in autocommit mode."""
    conninfo = f"host={postgres_server.folder} user=postgres dbname=postgres"
    with ConnectionPool(conninfo, min_size=1, max_size=2, timeout=0.3, open=True) as opened:
        yield opened


def test_store_on_an_applications_own_pool(pool, schema):
    """Borrows its connections, gives them back as they were, and never closes it."""
    with ContextPersistence(PostgresBackend(pool, schema=schema)) as store:
        in_threads(4, lambda number: [store.save_context(a_context(f"w{number}")) for _ in range(5)])
        assert len(store.search_contexts({"decisions.x": None})) == 4
        store.save_contexts([a_context("w0"), a_context("v")])
        with contextlib.suppress(psycopg.Error), pool.connection() as connection:
            assert connection.autocommit is False
            connection.execute("SELECT 1")
    with pytest.raises(BackendClosedError):
        store.save_context(a_context("w0"))
    with pool.connection() as connection:
        (count,) = connection.execute(f'SELECT count(*) FROM "{schema}".workflow_context').fetchone()
    assert count == 5


def test_exhausted_pool_of_the_application_is_busy(pool, schema):
    """In the pool's own time (CO11)."""
    with ContextPersistence(PostgresBackend(pool, schema=schema)) as store:
        with pool.connection(), pool.connection(), pytest.raises(BackendBusyError) as caught:
            store.save_context(a_context("w"))
        assert caught.value.waited_s == 0.3
        assert store.save_context(a_context("w")) == 1


def test_closed_pool_of_the_application_closes_the_store(pool, schema):
    """What it stood on is gone."""
    store = ContextPersistence(PostgresBackend(pool, schema=schema))
    pool.close()
    with pytest.raises(BackendClosedError):
        store.save_context(a_context("w"))
    store.close()


@pytest.mark.parametrize("call", ["save", "load", "batch"])
def test_session_that_was_ended_while_idle_is_replaced(postgres_server, schema, named, call):
    """By an administrator, say: the next call finds out before it sends anything."""
    with ContextPersistence(named) as store:
        store.save_context(a_context("w"))
        end = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = %s"
        assert postgres_server.sql(end, schema) == [(True,)]
        verbs = {
            "save": lambda: store.save_context(a_context("w")),
            "load": lambda: store.load_context("w"),
            "batch": lambda: store.save_contexts([a_context("w")]),
        }
        verbs[call]()
        assert store.load_context("w").version == (1 if call == "load" else 2)


def test_surplus_sessions_are_closed_when_they_grow_old(postgres_server, schema, named, monkeypatch):
    """A burst leaves sessions behind; once they lay idle for long, calls close them one by one, down to pool_min."""
    with ContextPersistence(named) as store:
        everyone = threading.Barrier(4)

        def hold(_):
            with contextlib.closing(store._backend.snapshot()):
                everyone.wait(60)

        in_threads(4, hold)
        assert postgres_server.sql(COUNT, schema) == [(4,)]
        monkeypatch.setattr(_pool, "IDLE_S", 0.0)
        for _ in range(6):
            store.context_exists("w")
        wait_until(lambda: postgres_server.sql(COUNT, schema) == [(1,)])
    wait_until(lambda: postgres_server.sql(COUNT, schema) == [(0,)])


def wait_until(is_so):
    """Look until it is so; the test's own time-out ends it."""
    while not is_so():
        pass


def test_error_inside_a_pipeline_spoils_no_later_statement(store):
    """psycopg takes for prepared what the server skipped behind an error: such a session is not used again."""
    backend: Any = store._backend
    pool = backend._pool

    def fail(session):
        with session.pipeline():
            session.execute("SELECT 1 / %s::int", (0,))
            session.execute("SELECT %s::int + 1", (1,))

    for _ in range(10):
        session = pool.take()
        with pytest.raises(psycopg.errors.DivisionByZero):
            fail(session)
        pool.give_up(session)
        session = pool.take()
        assert session.execute("SELECT %s::int + 1", (1,)).fetchall() == [(2,)]
        pool.give_back(session)


def test_without_prepared_statements(postgres_server, schema):
    """As a pooler needs it that hands a session to another client after each transaction."""
    url = postgres_server.url(schema, prepare_threshold="none", busy_timeout="none", application_name=schema)
    with ContextPersistence(url) as store:
        for _ in range(10):
            store.save_context(a_context("w"))
            store.load_context("w")
        backend: Any = store._backend
        session = backend._pool.take()
        assert session.execute("SELECT count(*) FROM pg_prepared_statements").fetchall() == [(0,)]
        assert session.execute("SHOW lock_timeout").fetchall() == [("0",)]
        backend._pool.give_back(session)


def test_child_leaves_its_parents_sessions_alone(postgres_server, schema, named):
    """The child of a fork opens its own; when it ends, closing what it inherited says nothing to the server (CO08)."""
    with ContextPersistence(named) as store:
        store.save_context(a_context("w"))
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            told = b"failed"
            with contextlib.suppress(BaseException):
                store.save_context(a_context("w"))
                for raw in _pool._inherited:
                    raw.close()
                store.close()
                told = b"saved"
            os.write(write_end, told)
            os._exit(0)
        assert os.waitpid(child, 0) == (child, 0)
        assert os.read(read_end, 10) == b"saved"
        os.close(read_end)
        os.close(write_end)
        backend: Any = store._backend
        own = backend._pool._idle[0]
        assert not own.is_stale  # the server has not hung up
        assert store.save_context(a_context("w")) == 3
        assert backend._pool._idle[0] is own


@pytest.mark.promise("CO10")
def test_session_that_is_dropped_makes_room_for_another(postgres_server, schema):
    """As when an interrupt strikes between taking one and using it: it is closed, and its place is free."""
    url = postgres_server.url(schema, application_name=schema, pool_max="1", pool_timeout="5")
    backend = PostgresBackend.from_url(BackendURL.parse(url))
    with ContextPersistence(backend) as store:
        store.save_context(a_context("w"))
        for _ in range(3):
            session = backend._pool.take()
            session.execute("BEGIN")
            session.execute("SELECT FROM our.workflow_context FOR UPDATE")
            del session
            assert store.save_context(a_context("w"))
        while postgres_server.sql(COUNT, schema) != [(1,)]:  # the server takes a moment to notice
            pass
