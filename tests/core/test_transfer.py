"""Exports: lines of JSON that come back as what they were written from."""

import errno
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import attrs
import pytest

from context_core import ConfigurationError, ContextPersistence, StorageError, VersionHeader, WorkflowContext
from context_core.records import Origin, Tombstone
from context_core.transfer import ExportedVersion, normal_form, read_lines, write_lines

MOMENT = datetime(2025, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
HEADER = VersionHeader(
    workflow_id="w\u2028é😀",
    version=3,
    epic_num=2**63 - 1,
    story_num=None,
    feature="line\nbreak",
    workflow_name="n",
    current_phase="",
    status="running",
    created_at=MOMENT,
    updated_at=MOMENT.replace(microsecond=0),
    saved_at=datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    tags=("a", "b"),
    idempotency_key="k",
    origin=Origin(workflow_id="source", version=7),
)
VERSION = ExportedVersion(header=HEADER, workflow_created_at=MOMENT, document=b'{"a":1.0}')
TOMBSTONE = Tombstone(workflow_id="gone", last_version=4, deleted_at=MOMENT)
FIRST = b'{"context_core_export":1}\n'
NEWEST = b'{"context_core_export":2}\n'


def line_of(**changes):
    """The line of VERSION with other fields; None leaves one out."""
    fields = json.loads(list(write_lines([VERSION]))[1]) | changes
    return json.dumps({name: value for name, value in fields.items() if value != "left out"}).encode()


@pytest.mark.parametrize(
    "item",
    [
        VERSION,
        TOMBSTONE,
        attrs.evolve(VERSION, header=attrs.evolve(HEADER, tags=(), idempotency_key=None, origin=None, story_num=1)),
        *(
            attrs.evolve(VERSION, document=document)
            for document in (
                b"",
                b"not json",
                b"\x00\xff{",
                b"[]",
                b"null",
                b'{"deleted_at":1}',
                b'{"k":[-0.0,1,true]}',
            )
        ),
    ],
    ids=lambda item: repr(item)[-30:],
)
def test_what_is_written_is_read_again(item):
    """Times, numbers, lineage and the document's bytes."""
    lines = list(write_lines([item]))
    assert [line.count(b"\n") for line in lines] == [1, 1, 1]
    assert list(read_lines(lines)) == [item]


def test_the_first_line_tells_the_format():
    """An export of nothing has it too."""
    first, end = write_lines([])
    assert first == NEWEST
    assert list(read_lines([first, end])) == []
    assert list(read_lines([FIRST])) == []


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "empty"),
        ([b"\n"], "line 1 "),
        ([b"{}"], "line 1 "),
        ([b"[]"], "line 1 "),
        ([b"7"], "line 1 "),
        ([b'{"context_core_export": 3}'], "format 3, this code reads 2"),
        ([b'{"context_core_export": "1"}'], "format '1'"),
        ([FIRST, b""], "line 2 "),
        ([FIRST, b"{}"], "line 2 "),
        ([FIRST, b"[]"], "line 2 "),
        ([FIRST, b"null"], "line 2 "),
        ([FIRST, b"7"], "line 2 "),
        ([FIRST, b'"text"'], "line 2 "),
        ([FIRST, b'{"deleted_at": 1}'], "line 2 "),
        ([FIRST, b'{"deleted_at": "2025-01-01T00:00:00+00:00"}'], "line 2 "),
        ([FIRST, line_of(), line_of(unknown=1)], "line 3 "),
        ([FIRST, line_of(document="left out")], "line 2 "),
        ([FIRST, line_of(document="left out", document_base64="ä")], "line 2 "),
        ([FIRST, line_of(document="left out", document_base64="A")], "line 2 "),
        ([FIRST, line_of(document="left out", document_base64=7)], "line 2 "),
        ([FIRST, line_of(created_at=7)], "line 2 "),
        ([FIRST, line_of(saved_at="yesterday")], "line 2 "),
        ([FIRST, line_of(workflow_created_at=None)], "line 2 "),
        ([FIRST, line_of(tags=7)], "line 2 "),
        ([FIRST, line_of(origin=[])], "line 2 "),
        ([FIRST, line_of(origin={"workflow_id": "x"})], "line 2 "),
        ([FIRST, line_of(origin="left out")], "line 2 "),
    ],
    ids=lambda value: repr(value)[-40:],
)
def test_what_is_no_export_is_refused_by_line(lines, message):
    """The message says where to look."""
    with pytest.raises(ConfigurationError, match=message):
        list(read_lines(lines))


def test_lines_before_a_bad_one_are_read():
    """Lines are read as they come, none of them ahead."""
    items = read_lines([FIRST, line_of(), b"bad"])
    assert next(items) == VERSION
    with pytest.raises(ConfigurationError, match="line 3 "):
        next(items)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (b'{ "a" : 1.50, "b":"\\u00e9" }', '{"a":1.5,"b":"é"}'.encode()),
        (b"not json", b"not json"),
        (b"\xff", b"\xff"),
    ],
)
def test_a_normal_form_is_that_of_an_export(document, expected):
    """Documents are compared as they travel, whoever wrote them."""
    assert normal_form(document) == expected
    (item,) = read_lines(write_lines([attrs.evolve(VERSION, document=document)]))
    assert item == attrs.evolve(VERSION, document=expected)


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 100_000,
        b'{"document":' * 50_000 + b"1" + b"}" * 50_000,
        line_of(version=10**30),
        line_of(saved_at="0001-01-01T00:00:00+14:00"),
        b"\xff\xfe",
    ],
    ids=["deep lists", "deep objects", "a huge number", "a time before all", "no text"],
)
def test_a_strange_line_is_refused_with_its_cause(line):
    """Whatever the parser raised is kept as the cause."""
    with pytest.raises(ConfigurationError, match="line 2 ") as caught:
        list(read_lines([FIRST, line]))
    assert isinstance(caught.value.__cause__, ValueError | OverflowError | RecursionError)


@pytest.mark.parametrize("place", [0, 1, 4])
def test_a_source_that_cannot_be_read_is_an_error_of_ours(tmp_path, monkeypatch, place):
    """Wherever the medium fails, the system's error is the cause."""
    with ContextPersistence("memory://") as store:
        store.save_contexts(WorkflowContext(f"w{number}", 1, 1, "f", "n") for number in range(5))
        store.export(tmp_path / "export")
    exported = (tmp_path / "export").read_bytes()

    class Failing(io.BytesIO):
        lines = 0

        def __next__(self):
            self.lines += 1
            if self.lines > place:
                raise OSError(errno.EIO, "Input/output error")
            return super().__next__()

    monkeypatch.setattr(Path, "open", lambda *_: Failing(exported))
    with ContextPersistence("memory://") as store, pytest.raises(StorageError, match="Input/output") as caught:
        store.import_(tmp_path / "export")
    assert isinstance(caught.value.__cause__, OSError)
