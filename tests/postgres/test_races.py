"""What others may do between two looks: each test stands still in the middle, lets them, and goes on."""

import contextlib
import threading

import psycopg
import pytest

from context_core import ContextPersistence, RestoreConflictError, VersionConflictError
from context_core.plugins import open_backend
from context_core.records import BatchRequest, RestoreTombstoneRequest
from context_core.url import BackendURL
from context_core_conformance.racing import in_threads
from context_core_conformance.samples import EPOCH, a_context


def behind_its_back(server, schema, write):
    """What *write* gives while others make workflow `w`, and delete it as their version 5.

    It waits for them with its view of the database already taken: what they leave is not in it.
    """
    tables = f'"{schema}".workflow_context'
    given = []
    writing = threading.Thread(target=lambda: given.append(write()))
    with psycopg.connect(f"host={server.folder} user=postgres") as others:
        others.execute(
            f"""INSERT INTO {tables} VALUES
            ('w', 5, 5, 1, 1, '', '', '', 'failed', now(), now(), now(), '[]', NULL, '{{}}', NULL)""".encode()
        )
        writing.start()
        server.wait_for_lock(schema)
        others.execute(f"DELETE FROM {tables}".encode())
        others.execute(f"INSERT INTO {tables}_tombstones VALUES ('w', 5, '2100-06-01')".encode())
    writing.join()
    return given


@pytest.mark.parametrize("options", [{}, {"expected_version": 0}, {"idempotency_key": "k"}], ids=str)
def test_save_that_saw_no_tombstone_uses_no_number_again(postgres_server, schema, store, options):
    """Made and deleted by others after its look: it goes on behind them, in number and in time (VE05, VE08)."""
    given = behind_its_back(postgres_server, schema, lambda: store.save_context(a_context("w"), **options))
    assert given == [6]
    assert store.history("w")[0].saved_at.year == 2100


def test_batch_that_saw_no_tombstone_uses_no_number_again(postgres_server, schema, store):
    """As a save; the whole batch is done again."""
    contexts = [a_context("v"), a_context("w"), a_context("w")]
    given = behind_its_back(postgres_server, schema, lambda: store.save_contexts(contexts))
    assert given == [[1, 6, 7]]


def test_racing_first_saves_all_count(url):
    """Of workflows that nobody has made yet, by threads of several stores."""
    stores = [ContextPersistence(url) for _ in range(4)]
    try:
        saved = in_threads(
            8, lambda number: [stores[number % 4].save_context(a_context(f"w{turn}")) for turn in range(10)]
        )
        assert [sorted(part[turn] for part in saved) for turn in range(10)] == [list(range(1, 9))] * 10
    finally:
        for store in stores:
            store.close()


def test_racing_creations_have_one_winner(url):
    """`expected_version=0` and a key each; all others are told the version that there is."""
    stores = [ContextPersistence(url) for _ in range(4)]

    def create(number):
        try:
            return stores[number].save_context(a_context("w"), expected_version=0, idempotency_key=f"k{number}")
        except VersionConflictError as conflict:
            return -conflict.actual

    try:
        assert sorted(in_threads(4, create)) == [-1, -1, -1, 1]
    finally:
        for store in stores:
            store.close()


def test_saves_and_deletes_that_race_use_no_number_twice(url):
    """Threads that save, delete and batch the same three workflows: every acknowledged number is given once (VE05)."""
    stores = [ContextPersistence(url) for _ in range(4)]

    def work(number):
        store, given = stores[number], []
        for turn in range(40):
            name = f"w{turn % 3}"
            if number == 0:
                store.delete_context(name)
            elif number == 1:
                given += [("w0", store.save_contexts([a_context("w1"), a_context("w0")])[1])]
            else:
                given += [(name, store.save_context(a_context(name)))]
        return given

    try:
        given = [pair for part in in_threads(4, work) for pair in part]
        assert len(given) == len(set(given)) == 120
        assert stores[0].verify().is_sound
    finally:
        for store in stores:
            store.close()


def test_tombstone_and_first_save_do_not_pass_each_other(postgres_server, schema, url):
    """A restored tombstone claims its id: whoever comes second sees the first."""
    store, other = ContextPersistence(url), open_backend(BackendURL.parse(url))
    names = [f"w{turn}" for turn in range(30)]

    def restore(name):
        request = RestoreTombstoneRequest(workflow_id=name, last_version=7, deleted_at=EPOCH)
        with contextlib.suppress(RestoreConflictError):
            other.batch(BatchRequest(operations=[request]))

    try:
        in_threads(
            2, lambda number: [restore(name) if number else store.save_context(a_context(name)) for name in names]
        )
        buried = {
            name for (name,) in postgres_server.sql(f'SELECT workflow_id FROM "{schema}".workflow_context_tombstones')
        }
        for name in names:
            (header,) = store.history(name)
            assert header.version == (8 if name in buried else 1)
    finally:
        store.close()
        other.close()
