"""Real histories are the same on every driver, however they got there: saved, or exported from any other.

The file is not part of this repository: it holds one JSON document of the model's fields a line, in time order, the
lines of one workflow being its successive versions.
"""

import hashlib
import itertools
import json
import os
from pathlib import Path

import pytest
from installed_drivers import DRIVERS

from context_core import ContextPersistence, ImportResult, WorkflowContext
from context_core_conformance.samples import TickingClock

VARIABLE = "CONTEXT_CORE_TEST_HISTORIES"
DEFAULT = Path(__file__).parents[2].parent / "shared" / "data" / "real-histories.jsonl"
FILE = Path(os.environ.get(VARIABLE) or DEFAULT)

pytestmark = pytest.mark.skipif(not FILE.is_file(), reason=f"there is no {FILE}; name another file in {VARIABLE}")


def digests(store, workflow_ids):
    """A hash of each workflow's whole history: headers and documents, version by version."""
    found = {}
    for workflow_id in workflow_ids:
        whole = hashlib.sha256()
        for header in store.history(workflow_id):
            document = store.load_context(workflow_id, version=header.version).to_json()
            whole.update(f"{header!r}\n{document}\n".encode())
        found[workflow_id] = whole.hexdigest()
    return found


@pytest.fixture(scope="module")
def contexts():
    """Every version, in time order."""
    return [
        WorkflowContext.from_dict(json.loads(line))
        for line in FILE.read_text(encoding="utf-8").splitlines()
        if line.strip()
    ]


@pytest.fixture(scope="module")
def workflow_ids(contexts):
    """Every workflow of the file, by id."""
    return sorted({context.workflow_id for context in contexts})


@pytest.fixture(scope="module")
def exported(contexts, workflow_ids, tmp_path_factory, fresh_url):
    """For each driver, an export of a store into which every line was saved at its own time, and its histories."""
    found = {}
    for driver in DRIVERS:
        folder = tmp_path_factory.mktemp(driver)
        clock = TickingClock()
        with ContextPersistence(fresh_url(driver, folder, "saved"), clock=clock) as store:
            for context in contexts:
                clock.now = context.updated_at
                store.save_context(context)
            store.delete_context(workflow_ids[0])  # tombstones travel too
            assert store.export(folder / "export.jsonl").count > len(workflow_ids)
            found[driver] = folder / "export.jsonl", digests(store, workflow_ids)
    return found


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(DRIVERS, 2)))
def test_what_was_saved_is_exported_alike(exported, one, other):
    """To the byte, whatever the driver."""
    assert exported[one][1] == exported[other][1]
    assert exported[one][0].read_bytes() == exported[other][0].read_bytes()


@pytest.mark.parametrize(("source", "target"), list(itertools.product(DRIVERS, DRIVERS)))
def test_what_was_imported_is_exported_alike(exported, workflow_ids, fresh_url, tmp_path, source, target):  # noqa: PLR0917  # fixtures
    """Each history has the same hash after the journey, and the export of an import is the same file."""
    file, histories = exported[source]
    with ContextPersistence(fresh_url(target, tmp_path, "imported")) as store:
        count = store.import_(file).written
        assert digests(store, workflow_ids) == histories
        assert store.export(tmp_path / "again.jsonl").count == count
        assert (tmp_path / "again.jsonl").read_bytes() == file.read_bytes()
        assert store.import_(file) == ImportResult(written=0, present=count)
