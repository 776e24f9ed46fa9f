"""What a person finds at a psql prompt, and what the tables themselves refuse."""

import json

import psycopg
import pytest
from postgres_server import Server

from context_core import ContextPersistence
from context_core.plugins import open_backend
from context_core.records import ContextRecord, LoadRequest, SaveRequest
from context_core.url import BackendURL
from context_core_conformance.samples import EPOCH, a_context


def test_head_reads_as_plain_json(postgres_server, schema, store):
    """Key order and all; SQL can look inside by a cast."""
    context = a_context("w", decisions={"z": 1, "a": {"b": "ä"}}, tags=["x"])
    store.save_context(context)
    rows = postgres_server.sql(
        f"""SELECT document, document::jsonb #>> '{{decisions,a,b}}', tags, status, created_at AT TIME ZONE 'UTC'
        FROM "{schema}".workflow_context WHERE workflow_id = 'w'"""
    )
    document, inside, tags, status, created_at = rows[0]
    assert list(json.loads(document)["decisions"]) == ["z", "a"]
    assert (inside, json.loads(tags), status) == ("ä", ["x"], "running")
    assert created_at == EPOCH.replace(tzinfo=None)


@pytest.mark.parametrize(
    ("document", "save_id"), [(b'{"a": 1}', b"i" * 16), (b"\xff\xfe", None), (b"a\0b", None), (b"", b"i" * 16)]
)
def test_what_is_no_text_is_kept_as_bytes(postgres_server, schema, url, document, save_id):
    """What a codec made, what is not UTF-8, what holds NUL: exact in head and versions, one of two columns in use."""
    record = ContextRecord(
        workflow_id="w",
        epic_num=1,
        story_num=None,
        feature="f",
        workflow_name="n",
        current_phase="p",
        status="running",
        created_at=EPOCH,
        updated_at=EPOCH,
        tags=(),
        document=document,
        save_id=save_id,
    )
    backend = open_backend(BackendURL.parse(url))
    for version in (None, 1):
        backend.save(SaveRequest(record=record))
        (stored,) = backend.load(LoadRequest(workflow_ids=["w"], version=version))
        assert (stored.document, stored.save_id) == (document, save_id)
    assert postgres_server.sql(f'SELECT document, document_bytes FROM "{schema}".workflow_context') == [
        (None, document)
    ]
    backend.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {} SET document = ''",
        "UPDATE {} SET version = 7 WHERE version = 1",
        "DELETE FROM {}",
        "TRUNCATE {}",
        "INSERT INTO {0} SELECT * FROM {0} ON CONFLICT (workflow_id, version) DO UPDATE SET document = ''",
    ],
)
def test_versions_are_append_only(postgres_server, schema, store, statement):
    """For the superuser too, as long as no one switches the triggers off (VE02)."""
    store.save_context(a_context("w"))
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="append-only"):
        postgres_server.sql(statement.format(f'"{schema}".workflow_context_versions'))
    assert store.load_context("w", version=1) == a_context("w")


def test_guard_is_open_for_one_transaction_only(postgres_server, schema, store):
    """After a delete and a prune the next transaction of the same session may delete nothing."""
    for _ in range(3):
        store.save_context(a_context("w"))
    store.save_context(a_context("v"))
    store.delete_context("v")
    store.prune(keep_last=1)
    session = store._backend._pool.take()
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation):
        session.execute("DELETE FROM our.workflow_context_versions")
    store._backend._pool.give_up(session)


def test_tables_partitioned_by_workflow_serve_all_the_same(postgres_server, schema, url):
    """By hash of workflow_id, into four each: every verb runs, since every key begins with it."""
    ContextPersistence(url).close()
    for table in ("workflow_context", "workflow_context_versions", "workflow_context_tombstones"):
        parts = "".join(
            f'CREATE TABLE "{schema}".part_{table}_{n} PARTITION OF "{schema}".{table} '
            f"FOR VALUES WITH (MODULUS 4, REMAINDER {n});"
            for n in range(4)
        )
        postgres_server.sql(
            f"""ALTER TABLE "{schema}".{table} RENAME TO old_{table};
            CREATE TABLE "{schema}".{table} (LIKE "{schema}".old_{table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS
                INCLUDING INDEXES) PARTITION BY HASH (workflow_id);
            {parts} DROP TABLE "{schema}".old_{table}"""
        )
    postgres_server.sql(
        f"""CREATE TRIGGER workflow_context_versions_no_change BEFORE UPDATE OR DELETE ON "{schema}".workflow_context_versions
        FOR EACH ROW EXECUTE FUNCTION "{schema}".workflow_context_versions_refuse()"""
    )
    with ContextPersistence(url) as store:
        for turn in range(3):
            store.save_contexts(a_context(f"w{number}", epic_num=number % 3 + 1) for number in range(40))
            assert store.save_context(a_context("w7"), idempotency_key=f"k{turn}") == 2 * turn + 2
        assert store.save_context(a_context("w7"), idempotency_key="k1") == 4
        assert store.delete_context("w8") is True
        assert store.save_context(a_context("w8")) == 4
        assert len(store.search_contexts({"epic_num": 1})) == 16
        assert store.prune(keep_last=1).count == 38 * 2 + 5
        assert store.verify().is_sound


def test_session_time_zone_changes_nothing():
    """On a server of another zone, to the microsecond, at the edges of what a time can be (TI02)."""
    times = [EPOCH.replace(year=1, month=1, day=1), EPOCH.replace(year=9999, month=12, day=31), EPOCH]
    seen = []
    with Server.create(timezone="America/St_Johns", datestyle="SQL, DMY") as server:
        for zone in ("UTC", "Asia/Kathmandu", "Pacific/Kiritimati"):
            with ContextPersistence(server.url(zone.replace("/", "_"), options=f"-c timezone={zone}")) as store:
                for number, moment in enumerate(times):
                    store.save_context(a_context(f"w{number}", created_at=moment, updated_at=moment))
                headers = store.list_headers(order_by=["created_at"])
                seen.append([(header.workflow_id, header.created_at, header.updated_at) for header in headers])
                found = store.search_contexts({"created_at": EPOCH})
                assert [context.workflow_id for context in found] == ["w2"]
    assert (
        seen[0] == seen[1] == seen[2] == [("w0", times[0], times[0]), ("w2", EPOCH, EPOCH), ("w1", times[1], times[1])]
    )
