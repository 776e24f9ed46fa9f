"""The pages of docs/ are true: their examples run, their links lead somewhere, and nothing that exists is missing."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from context_core import ContextPersistence, WorkflowContext, errors
from context_core.conditions import FIELDS, Operator

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.glob("*.md"))

pytestmark = pytest.mark.skipif(not PAGES, reason=f"there is no {DOCS}: the tests run outside the repository")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def text_of(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The fenced code blocks of one language, in order, on the lines where they stand in the file."""
    pattern = re.compile(rf"^```{language}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return ["\n" * text.count("\n", 0, found.start(1)) + found[1] for found in pattern.finditer(text)]


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """What `page.md#anchor` may name: each heading in lower case, without punctuation, dashes for spaces."""
    headings = re.findall(r"^#+ (.+)$", without_code(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    assert not statement.strip()


@each_page
def test_python_examples_run_in_order(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one namespace and one empty folder; a comment behind a print is what is printed, as far as it is shown."""
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    namespace: dict[str, Any] = {"__name__": page.stem}
    for block in blocks(text, "python"):
        exec(compile(block, str(page), "exec"), namespace)
    printed = capsys.readouterr().out.splitlines()
    for said in re.findall(r"print\(.*?\)  # (.+)", text):
        shape = ".*".join(map(re.escape, said.split("...")))
        assert any(re.fullmatch(shape, line) for line in printed), said


@each_page
def test_links_lead_to_pages_and_headings(page: Path) -> None:
    """Every relative link names a page of this folder and, after a #, one of its headings."""
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", without_code(page.read_text(encoding="utf-8"))):
        name, _, anchor = target.partition("#")
        linked = DOCS / name if name else page
        assert linked.is_file(), target
        assert not anchor or anchor in anchors(linked.read_text(encoding="utf-8")), target


def test_the_index_links_every_page() -> None:
    """A page that nothing leads to is not read."""
    linked = set(re.findall(r"\]\(([^)#]+)\)", text_of("index.md")))
    assert linked == {page.name for page in PAGES} - {"index.md"}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A store that holds what the examples of schema.md look for, opened as at a prompt."""
    path = tmp_path / "engine.db"
    store: ContextPersistence[WorkflowContext]
    with ContextPersistence(path) as store:
        context = WorkflowContext(
            "order-7", 1, 2, "shop", "order", decisions={"db": {"choice": "sqlite"}}, tags=["nightly"]
        )
        store.save_contexts(
            [context, context.transition_phase("build"), WorkflowContext("gone", 1, None, "shop", "order")]
        )
        store.delete_context("gone")
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            yield connection


def test_sql_examples_run(database: sqlite3.Connection) -> None:
    """Each select finds something, and the guarded delete removes the workflow that it says."""
    for block in blocks(text_of("schema.md"), "sql"):
        for statement in statements(block):
            rows = database.execute(statement).fetchall()
            assert rows or "SELECT" not in statement, statement
    for table in ("workflow_context", "workflow_context_versions"):
        assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    assert database.execute("SELECT count(*) FROM workflow_context_delete_guard").fetchone() == (0,)


def test_query_plans_are_as_shown(database: sqlite3.Connection) -> None:
    """Releases of SQLite word plans differently: what counts is search or scan, by which index, and that nothing sorts."""
    shown = blocks(text_of("schema.md"), "text")[0].split("\n")
    shown = [line for line in shown if line]
    explained = next(block for block in blocks(text_of("schema.md"), "sql") if "EXPLAIN" in block)
    plans = [[row[3] for row in database.execute(statement)] for statement in statements(explained)]
    assert len(plans) == len(shown)
    for plan, line in zip(plans, shown, strict=True):
        (step,) = plan
        index = re.compile(r"INDEX (\w+)")
        assert index.findall(step) == index.findall(line)
        assert step.split()[0] == line.split()[0]


def test_the_schema_page_names_every_table_column_index_and_trigger(database: sqlite3.Connection) -> None:
    """And no index or trigger that does not exist."""
    text = text_of("schema.md")
    names = {name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'")}
    tables = [name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    columns = {row[1] for table in tables for row in database.execute(f"PRAGMA table_info({table})")}
    assert {name for name in names | columns if f"`{name}`" not in text} == set()
    assert set(re.findall(r"`((?:workflow_context|context_core)_\w+)`", text)) - {"context_core_sqlite"} <= names


def test_the_troubleshooting_page_names_every_error() -> None:
    """Whoever searches it for the class that was raised finds it."""
    text = text_of("troubleshooting.md")
    every = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.ContextCoreError)
    }
    assert {name for name in every if f"`{name}`" not in text and f"`{name}`s" not in text} == set()


def test_the_query_page_names_every_field_and_operator() -> None:
    """A reader chooses from the whole list."""
    text = text_of("queries.md")
    assert {name for name in (*FIELDS, *Operator) if f"`{name}`" not in text} == set()
