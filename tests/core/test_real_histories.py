"""Replays real histories into every installed driver's store and reads them back.

The file is not part of this repository: it holds one JSON document of the model's fields a line, in time order, the
lines of one workflow being its successive versions.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from context_core import ContextPersistence, WorkflowContext

VARIABLE = "CONTEXT_CORE_TEST_HISTORIES"
DEFAULT = Path(__file__).parents[2].parent / "shared" / "data" / "real-histories.jsonl"
FILE = Path(os.environ.get(VARIABLE) or DEFAULT)

pytestmark = pytest.mark.skipif(not FILE.is_file(), reason=f"there is no {FILE}; name another file in {VARIABLE}")

URLS = {"memory": "memory://", "sqlite": "sqlite:///{folder}/histories.db"}


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    """Every version, in time order."""
    return [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines() if line.strip()]


@pytest.fixture(scope="module")
def contexts(lines: list[dict[str, Any]]) -> list[WorkflowContext]:
    """Every version as a context."""
    return [WorkflowContext.from_dict(line) for line in lines]


@pytest.fixture(scope="module")
def workflows(contexts: list[WorkflowContext]) -> dict[str, list[WorkflowContext]]:
    """The versions of each workflow, oldest first."""
    found: dict[str, list[WorkflowContext]] = {}
    for context in contexts:
        found.setdefault(context.workflow_id, []).append(context)
    return found


@pytest.fixture(scope="module", params=sorted(URLS))
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, contexts: list[WorkflowContext]
) -> Iterator[ContextPersistence[Any]]:
    """A store into which every line was saved, one by one."""
    url = URLS[request.param].format(folder=tmp_path_factory.mktemp("histories"))
    with ContextPersistence(url, context_type=WorkflowContext) as opened:
        for context in contexts:
            opened.save_context(context)
        yield opened


def newest_first(heads: list[WorkflowContext]) -> list[str]:
    """The ids of *heads* in the default order. The file's workflows keep their created_at."""
    return [head.workflow_id for head in sorted(heads, key=lambda c: (c.created_at, c.workflow_id), reverse=True)]


def test_documents_are_understood_exactly(lines: list[dict[str, Any]], contexts: list[WorkflowContext]) -> None:
    """A context gives back the very line that it was read from, its times at full width."""
    assert [context.to_dict() for context in contexts] == [_at_full_width(line) for line in lines]


def _at_full_width(line: dict[str, Any]) -> dict[str, Any]:
    """The file's times have whole seconds; ours always show microseconds."""
    wide = {name: line[name].replace("+00:00", ".000000+00:00") for name in ("created_at", "updated_at")}
    history = [
        {**left, "timestamp": left["timestamp"].replace("+00:00", ".000000+00:00")} for left in line["phase_history"]
    ]
    return {**line, **wide, "phase_history": history}


def test_every_workflow_has_its_versions(
    store: ContextPersistence[Any], workflows: dict[str, list[WorkflowContext]]
) -> None:
    """Each history counts from 1 to the number of its lines, and together they are all lines."""
    histories = {workflow_id: [header.version for header in store.history(workflow_id)] for workflow_id in workflows}
    assert histories == {workflow_id: list(range(1, len(saved) + 1)) for workflow_id, saved in workflows.items()}


def test_every_version_equals_its_line(
    store: ContextPersistence[Any], workflows: dict[str, list[WorkflowContext]]
) -> None:
    """What was saved comes back exactly, at every version."""
    for workflow_id, saved in workflows.items():
        loaded = [store.load_context(workflow_id, version=number) for number in range(1, len(saved) + 1)]
        assert loaded == saved
        assert [context.to_dict() for context in loaded] == [context.to_dict() for context in saved]


def test_headers_carry_each_versions_own_state(
    store: ContextPersistence[Any], workflows: dict[str, list[WorkflowContext]]
) -> None:
    """Status, phase and times in a history are those of its lines."""
    for workflow_id, saved in workflows.items():
        found = [(h.status, h.current_phase, h.updated_at, h.tags) for h in store.history(workflow_id)]
        assert found == [(c.status, c.current_phase, c.updated_at, tuple(c.tags)) for c in saved]


def test_latest_states_are_the_last_lines(
    store: ContextPersistence[Any], workflows: dict[str, list[WorkflowContext]]
) -> None:
    """Loaded many at once, in the asked order."""
    heads = store.load_contexts(workflows)
    assert heads == [saved[-1] for saved in workflows.values()]
    assert [head.version for head in heads] == [len(saved) for saved in workflows.values()]


def test_story_histories_are_those_of_the_file(
    store: ContextPersistence[Any], contexts: list[WorkflowContext], workflows: dict[str, list[WorkflowContext]]
) -> None:
    """Each story has the versions of all its workflows, by version, time and id, and as many as are counted."""
    numbered = [(number, context) for saved in workflows.values() for number, context in enumerate(saved, start=1)]
    counts = Counter((context.epic_num, context.story_num) for context in contexts)
    for (epic_num, story_num), count in counts.items():
        of_story = [item for item in numbered if (item[1].epic_num, item[1].story_num) == (epic_num, story_num)]
        of_story.sort(key=lambda item: (item[0], item[1].created_at, item[1].workflow_id))
        found = store.get_context_versions(epic_num, story_num)
        assert [(context.version, context) for context in found] == of_story
        assert store.get_version_count(epic_num, story_num) == len(found) == count


def test_latest_of_each_story_is_the_newest_workflow(
    store: ContextPersistence[Any], workflows: dict[str, list[WorkflowContext]]
) -> None:
    """By creation, and by status too."""
    heads = [saved[-1] for saved in workflows.values()]
    for epic_num, story_num in {(head.epic_num, head.story_num) for head in heads}:
        of_story = [head for head in heads if (head.epic_num, head.story_num) == (epic_num, story_num)]
        latest = store.get_latest_context(epic_num, story_num)
        assert latest is not None
        assert latest.workflow_id == newest_first(of_story)[0]
        for status in ("running", "completed", "failed"):
            ids = newest_first([head for head in of_story if head.status == status])
            found = store.get_latest_context_by_status(epic_num, story_num, status)
            assert (found.workflow_id if found else None) == (ids[0] if ids else None)


@pytest.mark.parametrize("field", ["feature", "epic_num", "status", "workflow_name", "current_phase"])
def test_searches_find_what_the_file_holds(
    store: ContextPersistence[Any], workflows: dict[str, list[WorkflowContext]], field: str
) -> None:
    """Every value of an indexed field finds exactly its workflows, newest first."""
    heads = [saved[-1] for saved in workflows.values()]
    for value in {getattr(head, field) for head in heads}:
        expected = newest_first([head for head in heads if getattr(head, field) == value])
        assert [context.workflow_id for context in store.search_contexts({field: value})] == expected


def test_named_searches_agree_with_the_file(
    store: ContextPersistence[Any], workflows: dict[str, list[WorkflowContext]]
) -> None:
    """The story's verbs: by feature, by epic, active and failed."""
    heads = [saved[-1] for saved in workflows.values()]

    def ids(found: list[WorkflowContext]) -> list[str]:
        return [context.workflow_id for context in found]

    for feature in {head.feature for head in heads}:
        assert ids(store.get_contexts_by_feature(feature)) == newest_first([h for h in heads if h.feature == feature])
    for epic_num in {head.epic_num for head in heads}:
        assert ids(store.get_contexts_by_epic(epic_num)) == newest_first([h for h in heads if h.epic_num == epic_num])
    assert ids(store.get_active_contexts()) == newest_first([h for h in heads if h.status == "running"])
    assert ids(store.get_failed_contexts()) == newest_first([h for h in heads if h.status == "failed"])
