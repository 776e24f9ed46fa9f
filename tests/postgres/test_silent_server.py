"""A server that keeps its connections open and stops answering ends each call in its time (CO12)."""

import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from postgres_server import store_url
from psycopg_pool import ConnectionPool
from silent_proxy import SOCKET_NAME, SilentProxy

from context_core import (
    BackendBusyError,
    BackendUnavailableError,
    ConfigurationError,
    ContextPersistence,
    OutcomeUnknownError,
)
from context_core.records import QueryRequest
from context_core_conformance.racing import PATIENCE_S, in_threads
from context_core_conformance.samples import a_context
from context_core_postgres import PostgresBackend, _schema, _write

pytestmark = pytest.mark.promise("CO12")

LIMIT_S = 0.4
LONGEST_S = 30.0
"""Far above the limit, for a busy machine; far below what anything waited before."""


@pytest.fixture
def folder():
    """A folder whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="silent-") as name:
        yield Path(name)


@pytest.fixture
def proxy(postgres_server, folder):
    """A way to the server that can fall silent."""
    with SilentProxy(folder, f"{postgres_server.folder}/{SOCKET_NAME}") as opened:
        yield opened


@pytest.fixture
def silent_url(proxy, folder, schema):
    """The URL of a store behind the proxy whose calls have little time."""
    del proxy
    return url_through(folder, schema)


def url_through(folder, schema, **options):
    """A URL that leads to the socket in *folder*."""
    address = f"postgresql://postgres@/postgres?host={quote(str(folder), safe='')}"
    return store_url(address, schema, **{"call_timeout": str(LIMIT_S)} | options)


def ends_with(kind, call):
    """Assert that *call* ends with *kind*, and not after hours."""
    began = time.monotonic()
    with pytest.raises(kind) as caught:
        call()
    assert time.monotonic() - began < LONGEST_S
    assert type(caught.value) is kind
    return caught.value


def verbs(store):
    """Every verb, and what it raises where the server is silent."""
    unknown, unavailable = OutcomeUnknownError, BackendUnavailableError
    return [
        (unknown, lambda: store.save_context(a_context("w"))),
        (unknown, lambda: store.save_context(a_context("w"), idempotency_key="k")),
        (unknown, lambda: store.save_context(a_context("new"))),
        (unavailable, lambda: store.save_contexts([a_context("w"), a_context("v")])),
        (unavailable, lambda: store.load_context("w")),
        (unavailable, lambda: store.load_contexts(["w", "v"])),
        (unavailable, lambda: store.history("w")),
        (unavailable, lambda: store.search_contexts({"status": "running"})),
        (unavailable, lambda: store.search_contexts({"decisions.x": 1})),
        (unavailable, lambda: store.delete_context("w")),
        (unavailable, store.prune),
        (unavailable, store.verify),
        (unavailable, store.migrate),
        (unavailable, store._backend.snapshot),
    ]


def test_every_verb_ends_in_its_time_on_a_frozen_server(own_server):
    """The processes of the server are stopped, again and again in the middle of a session; then the store goes on."""
    with ContextPersistence(own_server.url(call_timeout=str(LIMIT_S))) as store:
        store.save_context(a_context("w"))
        for kind, call in verbs(store)[::4]:
            assert store.load_context("w") is not None  # with a session that is open before
            with own_server.frozen():
                error = ends_with(kind, call)
            assert f"{LIMIT_S:g} s" in str(error)
            assert isinstance(error.__cause__, psycopg.Error)
        assert store.verify().is_sound


def test_every_verb_ends_in_its_time_behind_a_silent_proxy(proxy, silent_url):
    """A half-open connection: whatever is sent comes to nobody, and new connections are not answered either."""
    with ContextPersistence(silent_url) as store:
        store.save_context(a_context("w"))
        for kind, call in verbs(store):
            store.load_context("w")
            proxy.fall_silent()
            ends_with(kind, call)
            proxy.answer_again()
        store.load_context("w")
        proxy.fall_silent()
        for words in ("did not answer", "cannot be reached"):  # on the session that is open, and on a new one
            assert words in str(ends_with(BackendUnavailableError, lambda: store.load_context("w")))
        proxy.answer_again()
        assert store.save_context(a_context("w")) == 2
        assert store.verify().is_sound


def test_save_whose_answer_is_swallowed_is_unknown_and_its_retry_finds_it(proxy, silent_url):
    """The server did it: the same key gives the version that it made (ID03)."""
    with ContextPersistence(silent_url) as store:
        store.save_context(a_context("w"))
        context = a_context("w", feature="other")
        proxy.fall_silent(is_deaf=False)
        ends_with(OutcomeUnknownError, lambda: store.save_context(context, idempotency_key="k"))
        proxy.answer_again()
        assert store.save_context(context, idempotency_key="k") == 2
        assert len(store.history("w")) == 2


def test_batch_whose_commit_is_not_answered_is_unknown(proxy, silent_url, monkeypatch):
    """What was sent before the commit is surely undone; the commit itself may have happened."""
    with ContextPersistence(silent_url) as store:
        store.save_context(a_context("w"))
        write = _write._write

        def write_into_the_void(*arguments):
            proxy.fall_silent(is_deaf=False)
            write(*arguments)

        monkeypatch.setattr(_write, "_write", write_into_the_void)
        ends_with(OutcomeUnknownError, lambda: store.save_contexts([a_context("w"), a_context("v")]))
        monkeypatch.undo()
        proxy.answer_again()
        assert store.load_context("v").version == 1


def test_open_ends_in_its_time(proxy, silent_url):
    """A store cannot be opened where nobody answers; the first byte of the server never comes."""
    proxy.fall_silent()
    ends_with(BackendUnavailableError, lambda: ContextPersistence(silent_url))
    proxy.answer_again()
    ContextPersistence(silent_url).close()


def test_open_that_was_connected_ends_in_its_time(proxy, silent_url, monkeypatch):
    """Connected, and then silent: each round trip of opening has the time of a call."""
    monkeypatch.setattr(_schema, "migrate", lambda session, *_: (proxy.fall_silent(), session.execute("SELECT 1")))
    ends_with(BackendUnavailableError, lambda: ContextPersistence(silent_url))


def test_long_verb_may_take_longer_than_a_call_as_long_as_the_server_answers(postgres_server, schema):
    """The time-out bounds each of its round trips; a verify of many of them is not cut off."""
    with ContextPersistence(postgres_server.url(schema)) as writer:
        writer.save_contexts([a_context(f"w{number}") for number in range(2_000)])
    with ContextPersistence(postgres_server.url(schema, call_timeout="0.1")) as store:
        assert store.verify().is_sound


def test_close_does_not_wait_for_a_frozen_server(own_server):
    """Neither with idle sessions, nor with one that a snapshot holds."""
    store = ContextPersistence(own_server.url(call_timeout=str(LIMIT_S)))
    snapshot = store._backend.snapshot()
    store.list_headers()
    began = time.monotonic()
    with own_server.frozen():
        store.close()
        snapshot.close()
    assert time.monotonic() - began < LONGEST_S


def test_snapshot_ends_in_its_time(proxy, silent_url, tmp_path):
    """An export in the middle of which the server falls silent says so, and leaves the session to nobody."""
    with ContextPersistence(silent_url) as store:
        store.save_context(a_context("w"))
        snapshot = store._backend.snapshot()
        proxy.fall_silent()
        ends_with(BackendUnavailableError, lambda: snapshot.query(QueryRequest()))
        snapshot.close()
        ends_with(BackendUnavailableError, lambda: store.export(tmp_path / "export"))
        proxy.answer_again()
        store.export(tmp_path / "export")


def test_waiting_for_a_session_is_part_of_the_call(proxy, silent_url):
    """One session, four threads: the last does not wait four times as long."""
    with ContextPersistence(f"{silent_url}&pool_max=1") as store:
        store.save_context(a_context("w"))
        proxy.fall_silent()
        began = time.monotonic()

        def load(_):
            with pytest.raises(BackendUnavailableError):
                store.load_context("w")

        in_threads(16, load)
        assert time.monotonic() - began < 16 * LIMIT_S
        proxy.answer_again()
        assert store.load_context("w") is not None


def test_lock_that_others_hold_is_busy_within_the_time_of_the_call(postgres_server, schema):
    """The server answers, and says that others hold the row: nothing was written, and nothing is unknown."""
    with ContextPersistence(postgres_server.url(schema, call_timeout="1")) as store:
        store.save_context(a_context("w"))
        with psycopg.connect(f"host={postgres_server.folder} user=postgres") as holder:
            holder.execute(f'SELECT FROM "{schema}".workflow_context FOR UPDATE'.encode())
            ends_with(BackendBusyError, lambda: store.save_context(a_context("w")))
        assert store.save_context(a_context("w")) == 2


def test_applications_own_pool_is_bounded_and_gets_its_connections_back(proxy, folder, schema):
    """Its connections wait as before once they are returned, and it replaces the silent ones."""
    with (
        ConnectionPool(
            f"host={folder} user=postgres dbname=postgres connect_timeout=2",
            min_size=1,
            max_size=2,
            timeout=20,
            open=True,
        ) as pool,
        ContextPersistence(PostgresBackend(pool, schema=schema, call_timeout_s=LIMIT_S)) as store,
    ):
        store.save_context(a_context("w"))
        with pool.connection() as connection:
            assert "wait" not in vars(connection)
        proxy.fall_silent()
        ends_with(OutcomeUnknownError, lambda: store.save_context(a_context("w")))
        proxy.answer_again()
        wait_until(lambda: can_load(store))
        assert store.save_context(a_context("w")) == 2


def can_load(store):
    """Whether the pool has a good connection again."""
    try:
        return store.load_context("w") is not None
    except BackendUnavailableError:
        return False


def wait_until(is_so):
    """Look until it is so."""
    until = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < until


def test_second_host_is_tried_when_the_first_is_silent(proxy, folder, postgres_server, schema):
    """The time of a call is shared among the hosts of the URL."""
    proxy.fall_silent()
    hosts = quote(f"{folder},{postgres_server.folder}", safe="")
    url = f"postgresql://postgres@/postgres?host={hosts}&schema={schema}&call_timeout=8"
    with ContextPersistence(url) as store:
        assert store.save_context(a_context("w")) == 1


@pytest.mark.parametrize("value", ["0", "-1", "none", "nan", "inf", "x", ""])
def test_call_timeout_that_is_no_time_is_refused(value):
    """Before anything is connected to."""
    with pytest.raises(ConfigurationError, match="call_timeout"):
        ContextPersistence(f"postgresql://127.0.0.1:1/db?call_timeout={value}")
