"""A short run on PostgreSQL measures every line; the rounds of its warm-up compare both sides."""

from urllib.parse import quote

from context_core_benchmarks.postgres import measuring


def test_both_sides_do_the_same_work(own_server):
    """Every line, and the same versions of every workflow."""
    uri = f"postgresql://postgres@/postgres?host={quote(str(own_server.folder), safe='')}"
    with measuring.open_sides(uri) as (floor, store):
        names = [line.name for line in measuring.lines(floor, store, rounds=10)]
        assert len(names) == len(set(names)) == 10
        heads = floor.connection.execute("SELECT workflow_id, version FROM head ORDER BY workflow_id").fetchall()
        assert heads == sorted((header.workflow_id, header.version) for header in store.list_headers())


def test_the_floor_finds_by_index(own_server):
    """None of its queries sorts or scans."""
    uri = f"postgresql://postgres@/postgres?host={quote(str(own_server.folder), safe='')}"
    with measuring.open_sides(uri) as (floor, _):
        # Empty tables are scanned, whatever there is; what counts is that no plan needs a scan or a sort.
        floor.connection.execute("SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off")
        for query, index in (
            ("head WHERE workflow_id = 'x'", "head_pkey"),
            ("head WHERE status = 'x' ORDER BY created_at DESC", "head_by_status"),
            ("head WHERE feature = 'x' ORDER BY created_at DESC", "head_by_feature"),
            ("versions WHERE epic_num = 1 AND story_num IS NULL ORDER BY story_num, version", "versions_by_story"),
        ):
            sql = f"EXPLAIN SELECT document FROM {query}"
            (scan, *_) = [row[0] for row in floor.connection.execute(sql.encode())]
            assert f" using {index} on " in scan
