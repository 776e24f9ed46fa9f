"""The queries that docs/postgres.md shows work, whatever documents hold."""

import re
from pathlib import Path

from context_core import ContextPersistence
from context_core_conformance.samples import a_context

PAGE = Path(__file__).parents[2] / "docs" / "postgres.md"


def test_shown_query_reads_every_document(postgres_server, schema):
    """NUL in a value, in a key, elsewhere, twice in a row, or written out as text: each row has its answer."""
    choices = {
        "plain": ({"db": {"choice": "sqlite"}}, {}),
        "elsewhere": ({"db": {"choice": "one"}}, {"note": "a\0b"}),
        "value": ({"db": {"choice": "a\0\0b"}}, {}),
        "key": ({"db": {"choice": "two"}, "a\0b": 1}, {}),
        "text": ({"db": {"choice": "\\u0000"}}, {}),
        "both": ({"db": {"choice": "\\\0\\\\u0000"}}, {}),
        "none": ({}, {}),
    }
    with ContextPersistence(postgres_server.url(schema)) as store:
        for name, (decisions, metadata) in choices.items():
            store.save_context(a_context(name, decisions=decisions, metadata=metadata))
    (query,) = re.findall(r"```sql\n(.*?);\n```", PAGE.read_text("utf-8"), re.DOTALL)
    rows = postgres_server.sql(query.replace("contexts.", f'"{schema}".'))
    assert {workflow_id: choice for workflow_id, _, choice in rows} == {
        "plain": "sqlite",
        "elsewhere": "one",
        "value": "a\ufffd\ufffdb",
        "key": "two",
        "text": "\\u0000",
        "both": "\\\ufffd\\\\u0000",
        "none": None,
    }
