"""Many processes on one database: counts are exact, and the only error is a conflict where one was asked for."""

from collections import Counter

import pytest
from postgres_workers import SHARED, count_up, open_and_save, save_in_turn

from context_core import ContextPersistence
from context_core_conformance.racing import in_processes
from context_core_conformance.samples import a_context

PROCESSES = 8


def test_eight_processes_save_to_three_workflows(url):
    """8 times 200 saves give 1,600 versions, none twice, in three histories without a gap (CA05, CO02)."""
    with ContextPersistence(url) as store:
        saved = [pair for part in in_processes(PROCESSES, save_in_turn, url, 200) for pair in part]
        assert max(Counter(saved).values()) == 1
        for name in SHARED:
            versions = sorted(version for saved_name, version in saved if saved_name == name)
            assert versions == [header.version for header in store.history(name)] == list(range(1, len(versions) + 1))
        assert len(saved) == 1_600
        assert store.verify().is_sound


def test_eight_processes_count_to_the_exact_sum(url):
    """Each saves only onto what it has seen, and looks again after a conflict (CA04)."""
    with ContextPersistence(url) as store:
        for name in SHARED:
            store.save_context(a_context(name, metadata={"counter": 0}))
        in_processes(PROCESSES, count_up, url, 40)
        counters = [store.load_context(name).metadata["counter"] for name in SHARED]
        assert sum(counters) == PROCESSES * 40
        assert counters == [len(store.history(name)) - 1 for name in SHARED]


@pytest.mark.parametrize("exists", [True, False])
def test_ten_processes_open_at_once(postgres_server, schema, exists):
    """All succeed, and the tables are made once (MI02); also where the schema was made before."""
    if exists:
        postgres_server.sql(f'CREATE SCHEMA "{schema}"')
    assert in_processes(10, open_and_save, postgres_server.url(schema)) == [1] * 10
    steps = postgres_server.sql(f'SELECT version, name FROM "{schema}".context_core_schema')
    assert steps == [(1, "0001_contexts")]
    with ContextPersistence(postgres_server.url(schema)) as store:
        assert len(store.search_contexts()) == 10
