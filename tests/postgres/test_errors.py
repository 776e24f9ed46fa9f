"""What the server refuses has a class of ours and says what to do, by SQLSTATE; a password is in none of it."""

import logging
import threading
import time
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from postgres_server import Server, store_url

from context_core import (
    BackendBusyError,
    BackendUnavailableError,
    ConfigurationError,
    ContextPersistence,
    OutcomeUnknownError,
    StorageError,
)
from context_core_conformance.racing import in_threads
from context_core_conformance.samples import a_context
from context_core_postgres import _errors, _write

PASSWORD = "s3cr3t!/@: 'quote"


@pytest.fixture(scope="module")
def guarded():
    """A server that asks for passwords."""
    with Server.create() as server:
        server.sql(f"CREATE ROLE engine LOGIN PASSWORD '{PASSWORD.replace(chr(39), chr(39) * 2)}'")
        server.sql("CREATE ROLE few LOGIN CONNECTION LIMIT 0")
        server.sql("CREATE SCHEMA AUTHORIZATION engine")
        hba = server.data / "pg_hba.conf"
        hba.write_text("local all engine scram-sha-256\nlocal all postgres trust\nlocal all few trust\n")
        server.sql("SELECT pg_reload_conf()")
        yield server


def whole_chain(error):
    """All that an error, its causes and its contexts would show."""
    if error is None:
        return ""
    own = [str(error), repr(error), *getattr(error, "__notes__", ())]
    return "\n".join([*own, whole_chain(error.__cause__), whole_chain(error.__context__)])


def address(server, *, user="engine", password=None, database="postgres", **options):
    """A URL with a password."""
    secret = f":{quote(password, safe='')}" if password is not None else ""
    host = quote(str(server.folder), safe="")
    return store_url(f"postgresql://{user}{secret}@/{database}?host={host}", "engine", **options)


def test_right_password_of_any_characters_works(guarded):
    """Whatever it is made of, it arrives as it is, and shows nowhere (ER07)."""
    with ContextPersistence(address(guarded, password=PASSWORD)) as store:
        store.save_context(a_context())
        backend: Any = store._backend
        own = list(vars(backend).values())
        shown = [repr(part) for part in (store, backend, backend.describe(), *own, backend._pool._options)]
    assert [text for text in shown if PASSWORD in text or "s3cr3t" in text] == []


@pytest.mark.parametrize(
    ("wrong", "kind", "advice"),
    [
        ({"password": PASSWORD + "x"}, StorageError, "check user name and password"),
        ({"password": None}, BackendUnavailableError, "cannot be reached"),
        ({"user": "nobody"}, StorageError, "check user name and password"),
        ({"user": "postgres", "database": "nowhere"}, StorageError, "create the database"),
        ({"user": "few"}, BackendUnavailableError, "connections"),
        ({"password": PASSWORD, "sslmode": "perhaps"}, ConfigurationError, "options"),
    ],
)
def test_refused_connection_says_why(guarded, caplog, wrong, kind, advice):
    """By the code of the refusal, which psycopg does not tell; the server's own words are the cause."""
    caplog.set_level(logging.DEBUG)
    with pytest.raises(kind, match=advice) as caught:
        ContextPersistence(address(guarded, **wrong))
    assert type(caught.value) is kind
    assert isinstance(caught.value.__cause__, psycopg.Error)
    assert "s3cr3t" not in whole_chain(caught.value) + caplog.text


def test_nobody_at_the_other_end_is_unavailable(tmp_path):
    """A socket or a port that nobody listens on."""
    for url in (f"postgresql:///db?host={tmp_path}", "postgresql://127.0.0.1:1/db"):
        with pytest.raises(BackendUnavailableError, match="cannot be reached"):
            ContextPersistence(url)


def test_lock_that_others_hold_is_waited_for_so_long(postgres_server, schema):
    """Then the store is busy, whatever is written; what was read meanwhile was not in the way (CO11)."""
    with ContextPersistence(postgres_server.url(schema, busy_timeout="0.2")) as store:
        store.save_context(a_context("w"))
        with psycopg.connect(f"host={postgres_server.folder} user=postgres") as holder:
            holder.execute(f'SELECT FROM "{schema}".workflow_context FOR UPDATE'.encode())
            for write in (
                lambda: store.save_context(a_context("w")),
                lambda: store.save_contexts([a_context("w")]),
                lambda: store.delete_context("w"),
            ):
                with pytest.raises(BackendBusyError) as caught:
                    write()
                assert caught.value.waited_s >= 0.2
            assert store.load_context("w").version == 1
        assert store.save_context(a_context("w")) == 2


def test_statement_that_the_server_cuts_off_names_its_setting(postgres_server, schema):
    """A statement_timeout of the server's or the URL's own: nothing was written, and the store is usable after it."""
    options = {"options": "-c statement_timeout=200"}
    with ContextPersistence(postgres_server.url(schema, **options)) as store:
        store.save_context(a_context("w"))
        with psycopg.connect(f"host={postgres_server.folder} user=postgres") as holder:
            holder.execute(f'SELECT FROM "{schema}".workflow_context FOR UPDATE'.encode())
            for write in (
                lambda: store.save_context(a_context("w")),
                lambda: store.save_contexts([a_context("w"), a_context("v")]),
                lambda: store.delete_context("w"),
            ):
                with pytest.raises(BackendUnavailableError, match="statement_timeout") as caught:
                    write()
                assert type(caught.value) is BackendUnavailableError
        assert store.save_context(a_context("w")) == 2
        assert store.context_exists("v") is False


def test_lock_timeout_of_the_servers_own_is_named(postgres_server, schema):
    """The role's or the database's, which is shorter than the URL's busy_timeout or is the only one."""
    with ContextPersistence(postgres_server.url(schema, busy_timeout="none", options="-c lock_timeout=100")) as store:
        store.save_context(a_context("w"))
        with psycopg.connect(f"host={postgres_server.folder} user=postgres") as holder:
            holder.execute(f'SELECT FROM "{schema}".workflow_context FOR UPDATE'.encode())
            with pytest.raises(BackendBusyError, match="lock_timeout") as caught:
                store.save_context(a_context("w"))
        assert caught.value.setting == "lock_timeout"
        assert store.save_context(a_context("w")) == 2


@pytest.mark.parametrize(
    ("code", "setting"),
    [
        ("25P03", "idle_in_transaction_session_timeout"),
        ("25P04", "transaction_timeout"),
        ("55P03", "lock_timeout"),
        ("57014", "statement_timeout"),
        ("57P05", "idle_session_timeout"),
    ],
)
def test_setting_by_which_the_server_ends_work_is_named(code, setting):
    """Whoever reads the message knows what to raise."""
    error = _errors.translated(psycopg.errors.lookup(code)(), "somewhere", 1.0, code)
    assert isinstance(error, BackendUnavailableError)
    assert setting in str(error)


def test_session_that_ends_idle_in_a_transaction_wrote_nothing(postgres_server, schema, monkeypatch):
    """Between the two round trips of a batch: the server read nothing of the second, so that no outcome is unknown."""
    write, count = _write._write, []
    end = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = %s"

    def write_later(*arguments):
        count.append(postgres_server.sql(end, schema))
        return write(*arguments)

    with ContextPersistence(postgres_server.url(schema, application_name=schema)) as store:
        store.save_context(a_context("w"))
        monkeypatch.setattr(_write, "_write", write_later)
        with pytest.raises(BackendUnavailableError) as caught:
            store.save_contexts([a_context("w"), a_context("v")])
        assert len(count) == 2  # it was tried again
        assert type(caught.value) is BackendUnavailableError
        monkeypatch.undo()
        assert store.save_contexts([a_context("w"), a_context("v")]) == [2, 1]


def test_transaction_timeout_is_named(postgres_server, schema):
    """PostgreSQL 17 and newer ends the session: what was not sent to be committed surely was not."""
    url = postgres_server.url(schema, options="-c transaction_timeout=200")
    try:
        opened = ContextPersistence(url)
    except StorageError:
        pytest.skip("this release of PostgreSQL has no transaction_timeout")
    with opened as store:
        store.save_context(a_context("w"))
        with psycopg.connect(f"host={postgres_server.folder} user=postgres") as holder:
            holder.execute(f'SELECT FROM "{schema}".workflow_context FOR UPDATE'.encode())
            with pytest.raises(BackendUnavailableError, match="transaction_timeout"):
                store.save_contexts([a_context("w"), a_context("v")])
            with pytest.raises(OutcomeUnknownError, match="transaction_timeout"):
                store.save_context(a_context("w"))
        assert [header.version for header in store.history("w")] == [1]


def test_exhausted_pool_is_busy_in_the_declared_time(postgres_server, schema):
    """All sessions are out: the next call waits so long and no longer, and the one after finds one (CO11)."""
    with ContextPersistence(postgres_server.url(schema, pool_max="2", pool_timeout="0.3")) as store:
        store.save_context(a_context("w"))
        snapshots = [store._backend.snapshot() for _ in range(2)]
        began = time.monotonic()
        with pytest.raises(BackendBusyError) as caught:
            store.load_context("w")
        assert caught.value.waited_s == 0.3
        assert time.monotonic() - began < 30
        snapshots.pop().close()
        assert store.load_context("w").version == 1
        snapshots.pop().close()


def test_pool_is_never_larger_than_said(postgres_server, schema):
    """Sixteen threads, three sessions."""
    with ContextPersistence(postgres_server.url(schema, pool_max="3", application_name=schema)) as store:
        store.save_context(a_context("w"))
        counted = []
        count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"

        def work(number):
            for _ in range(5):
                store.save_context(a_context(f"w{number}"))
                counted.append(postgres_server.sql(count, schema)[0][0])

        in_threads(16, work)
        assert 1 <= max(counted) <= 3


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
def test_other_default_isolation_changes_nothing(postgres_server, schema, isolation):
    """Racing saves all count, and no serialization failure reaches the caller (CO02)."""
    options = {"options": f"-c default_transaction_isolation={isolation.replace(' ', chr(92) + ' ')}"}
    with ContextPersistence(postgres_server.url(schema, **options)) as store:
        in_threads(4, lambda number: [store.save_context(a_context("w")) for _ in range(10)])
        in_threads(4, lambda number: [store.save_contexts([a_context("w"), a_context("x")]) for _ in range(5)])
        assert [header.version for header in store.history("w")] == list(range(1, 61))
        assert len(store.history("x")) == 20


def test_deadlock_with_a_stranger_is_tried_again(postgres_server, schema):
    """Someone else's transaction that locks in another order costs a second, no error."""
    with ContextPersistence(postgres_server.url(schema, options="-c deadlock_timeout=500ms")) as store:
        store.save_contexts([a_context("a"), a_context("b")])
        lock = f'SELECT FROM "{schema}".workflow_context WHERE workflow_id = %s FOR UPDATE'.encode()
        with psycopg.connect(f"host={postgres_server.folder} user=postgres") as stranger:
            # So that ours is the one that gives way: it looks once, when it has waited so long.
            stranger.execute("SET deadlock_timeout = '100s'")
            stranger.execute(lock, ("b",))
            saving = threading.Thread(target=store.save_contexts, args=([a_context("a"), a_context("b")],))
            saving.start()
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s"
            while not postgres_server.sql(waiting, f"%{schema}%")[0][0]:
                pass
            stranger.execute(lock, ("a",))
            stranger.rollback()
            saving.join()
        assert [len(store.history(name)) for name in "ab"] == [2, 2]


def test_every_code_of_the_table_has_a_sentence_that_names_the_place():
    """Each message can be filled in, and each class takes it."""
    for code, (kind, message) in _errors._TABLE.items():
        assert "{location}" in message, code
        assert "somewhere" in str(kind(message.format(location="somewhere")))
