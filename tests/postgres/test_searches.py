"""How the server runs a search."""

import psycopg
import pytest

from context_core.query import parse_filters
from context_core.records import QueryRequest, Want
from context_core_postgres import _read
from context_core_postgres._session import Qualifier, Session


@pytest.mark.parametrize("want", [Want.DOCUMENTS, Want.RECORDS])
def test_only_the_documents_of_a_page_are_unpacked(postgres_database, schema, store, want):
    """Below the sort a document is what the row holds."""
    store.describe()  # which leaves the tables in the schema
    request = QueryRequest(conditions=parse_filters({"status": "failed"}), want=want, limit=50)
    sql, parameters, residual = _read.statement(request)
    assert not residual
    with psycopg.connect(postgres_database.conninfo, autocommit=True) as raw:
        raw.execute("SET enable_indexscan = off")  # what the planner does by itself where it expects few rows
        rows = Session(raw, Qualifier(schema)).execute(f"EXPLAIN (VERBOSE) {sql}", parameters).fetchall()
    plan = [row[0].strip() for row in rows]
    assert any(line.startswith("->  Sort") for line in plan)
    (above, *below) = [line for line in plan if line.startswith("Output:")]
    assert "convert_to" in above
    assert not any("convert_to" in line for line in below)
