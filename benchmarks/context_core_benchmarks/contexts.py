"""The measured data: contexts of a given size, and histories that change like real ones.

Everything is generated from a seed, so two runs store the same bytes.
"""

import functools
import json
import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import attrs
import orjson

from context_core import Status, WorkflowContext

START: Final = datetime(2025, 1, 1, tzinfo=UTC)
HISTORIES_VARIABLE: Final = "CONTEXT_CORE_TEST_HISTORIES"
PHASES: Final = ("analysis", "planning", "implementation", "review", "release")

FEATURES: Final = 100
"""The number of features of the workflows of one store."""

_SYLLABLES: Final = [
    "al",
    "an",
    "ar",
    "be",
    "ca",
    "con",
    "de",
    "di",
    "en",
    "er",
    "fi",
    "ge",
    "in",
    "is",
    "ka",
    "le",
    "li",
    "lo",
    "ma",
    "mi",
    "na",
    "no",
    "or",
    "pa",
    "per",
    "po",
    "qua",
    "ra",
    "re",
    "ri",
    "ro",
    "sa",
    "se",
    "si",
    "sta",
    "te",
    "ti",
    "to",
    "tra",
    "un",
    "ver",
    "vi",
]
_CHANGED_SHARE: Final = 0.01


def a_context(workflow_id: str, size_bytes: int, number: int = 0) -> WorkflowContext:
    """Return a context with a document of about *size_bytes*: two thirds decisions, one third paths of artifacts.

    *number* determines the fields that queries use. A few hundred contexts have about the distribution of a real store.
    """
    source = random.Random(f"{workflow_id} {number}")
    created_at = START + timedelta(seconds=number)
    context = WorkflowContext(
        workflow_id=workflow_id,
        epic_num=1 + number % 20,
        story_num=1 + number // 20 % 9,
        feature=f"feature-{number % FEATURES}",
        workflow_name="implement_story",
        current_phase=PHASES[number % len(PHASES)],
        status=tuple(Status)[number // 7 % len(Status)],
        created_at=created_at,
        metadata={"run": source.getrandbits(48), "priority": number % 5},
        tags=["nightly"] if number % 10 == 0 else [],
    )
    size = len(context.to_json())
    decisions: dict[str, Any] = {}
    artifacts: list[str] = []
    while size < size_bytes:
        decision = {
            "choice": _words(source, 2),
            "because": _words(source, 12),
            "files": source.randrange(40),
            "is_final": source.random() < 0.5,
        }
        made = [_path(source, context) for _ in range(2)]
        decisions[f"{source.getrandbits(28):07x}"] = decision
        artifacts += made
        size += len(orjson.dumps(decision)) + len(orjson.dumps(made)) + 10
    return attrs.evolve(context, decisions=decisions, artifacts=artifacts)


def alike(number: int, size_bytes: int, turn: int = 0) -> WorkflowContext:
    """Return one of a few documents under a new id; generating a million documents would take longer than storing them.

    Ids are random, as in engines: workflows that are created one after the other are far apart in an index. *turn*
    makes the versions of one workflow different.
    """
    documents = _documents(size_bytes)
    context = documents[number % len(documents)]
    created_at = START + timedelta(seconds=number)
    return attrs.evolve(
        context,
        workflow_id=f"{random.Random(number).getrandbits(128):032x}",
        metadata={**context.metadata, "turn": turn},
        created_at=created_at,
        updated_at=created_at + timedelta(minutes=turn),
    )


@functools.cache
def _documents(size_bytes: int) -> list[WorkflowContext]:
    return [a_context(f"alike-{number}", size_bytes, number) for number in range(500)]


def changing(workflow_id: str, size_bytes: int, versions: int, number: int = 0) -> Iterator[WorkflowContext]:
    """Yield successive versions: each changes about one percent of the document's bytes, at random places.

    The change is in the texts of decisions: a few words at random places are replaced with new words that no earlier
    version contains. Also, two saves of five leave a phase, as in real histories, and every save changes `updated_at`.
    """
    source = random.Random(f"{workflow_id} history")
    context = a_context(workflow_id, size_bytes, number)
    yield context
    for version in range(2, versions + 1):
        at = context.created_at + timedelta(minutes=version)
        decisions = dict(context.decisions)
        budget = round(size_bytes * _CHANGED_SHARE)
        while budget > 0:
            name = source.choice(tuple(decisions))
            text = decisions[name]["because"]
            place, length = source.randrange(len(text)), min(budget, source.randint(8, 40))
            replaced = _words(source, 20)[: len(text[place : place + length])]
            decisions[name] = {**decisions[name], "because": text[:place] + replaced + text[place + length :]}
            budget -= length
        context = context.copy_with(decisions=decisions, updated_at=at)
        if version % 5 in (0, 2):
            context = context.transition_phase(PHASES[version % len(PHASES)], at=at)
        yield context


def real_histories() -> tuple[str, list[WorkflowContext]]:
    """Return the versions of the real histories in time order, and their source; if there are none, similar ones.

    The file that the environment variable names holds one JSON document with the model's fields per line.
    """
    named = os.environ.get(HISTORIES_VARIABLE)
    if named:
        lines = Path(named).read_text(encoding="utf-8").splitlines()
        return "real", [WorkflowContext.from_dict(json.loads(line)) for line in lines]
    return "generated", list(lifelike())


def lifelike(workflows: int = 300) -> Iterator[WorkflowContext]:
    """Yield versions of many workflows in time order, similar to real ones: short histories that only grow.

    The sizes, the numbers of versions and the additions of each version follow a sample of 337 real histories. They
    have one to twelve versions, two at the median, of 0.5 to 30 KB. Each version adds a decision and a few artifacts.
    """
    source = random.Random("lifelike")
    living: list[WorkflowContext] = []
    for number in range(workflows):
        size = min(round(source.lognormvariate(7.2, 0.8)), 30_000)
        started = attrs.evolve(a_context(f"lifelike-{number}", size, number), status=Status.RUNNING)
        living.append(started)
        yield started
        for place, context in enumerate(living):
            if source.random() < 0.6:
                at = context.updated_at + timedelta(hours=1)
                grown = context.add_decision(
                    f"{source.getrandbits(28):07x}", {"type": "feat", "scope": _words(source, 1), "files": 3}
                )
                for _ in range(min(round(source.expovariate(0.05)), 200)):
                    grown = grown.add_artifact(_path(source, context))
                if source.random() < 0.4:
                    grown = grown.transition_phase(source.choice(PHASES), at=at)
                living[place] = grown = grown.copy_with(updated_at=at)
                yield grown
        living = [context for context in living if source.random() < 0.6]


def _path(source: random.Random, context: WorkflowContext) -> str:
    """Generate the path of an artifact; the files of one feature are in similar folders."""
    epic, story = context.epic_num, source.randrange(1, 30)
    return source.choice(
        (
            f"docs/features/{context.feature}/stories/epic-{epic}/story-{epic}.{story}.md",
            f"src/{context.feature}/{_words(source, 1)}.py",
            f"tests/{context.feature}/test_{_words(source, 1)}.py",
        )
    )


def _words(source: random.Random, count: int) -> str:
    """Generate words that compress about as well as prose."""
    return " ".join("".join(source.choices(_SYLLABLES, k=source.randint(1, 4))) for _ in range(count))
