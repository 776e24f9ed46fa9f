"""The workflow of the demo, which runs in its own process: `python -m context_core.cli._workflow URL`.

The workflow is a release in five phases. Its progress is stored only in the saved context. A new process therefore
continues after the last acknowledged save.

The process reports to its parent on stdout, one JSON object per line. Before each step it waits for a line on stdin.
The parent can therefore kill it in the middle of a step, without a race.
"""

import json
import sys
from collections.abc import Sequence
from typing import Any, Final

import attrs

from context_core.model import Status, WorkflowContext
from context_core.persistence import ContextPersistence

WORKFLOW_ID: Final = "release-1.4"


@attrs.frozen(kw_only=True)
class Step:
    """A piece of work. It is done when its decision is in the saved context. It may also add an artifact."""

    name: str
    decision: Any
    artifact: str | None = None


PHASES: Final[dict[str, Sequence[Step]]] = {
    "plan": [Step(name="scope", decision={"add": ["coupons"], "fix": ["rounding"]})],
    "build": [Step(name="build", decision={"commit": "4be19c2"}, artifact="dist/shop-1.4.0.tar.gz")],
    "test": [Step(name="tests", decision={"suite": "full", "passed": True}, artifact="reports/tests.xml")],
    "review": [
        Step(name="security", decision={"by": "mina", "verdict": "approved"}),
        Step(name="notes", decision={"by": "jo", "verdict": "approved"}, artifact="NOTES-1.4.md"),
    ],
    "publish": [Step(name="publish", decision={"channel": "stable"})],
}
"""The phases in order, and the steps of each phase."""


def run(store: ContextPersistence[WorkflowContext]) -> None:
    """Do the steps that are not done according to the saved context, and save after every step."""
    context = _found_or_new(store)
    for phase, steps in PHASES.items():
        if phase in {left.phase for left in context.phase_history}:
            continue
        if phase != context.current_phase:
            context = _saved(store, context.transition_phase(phase))
        for step in steps:
            if step.name not in context.decisions:
                context = _saved(store, _done(step, context))
    if context.status != Status.COMPLETED:
        _saved(store, context.copy_with(status=Status.COMPLETED))


def _found_or_new(store: ContextPersistence[WorkflowContext]) -> WorkflowContext:
    if not store.context_exists(WORKFLOW_ID):
        return _saved(store, _new_release())
    context = store.load_context(WORKFLOW_ID)
    _report("resumed", version=context.version, context=context.to_dict())
    return context


def _done(step: Step, context: WorkflowContext) -> WorkflowContext:
    _report("begun", step=step.name)
    if not sys.stdin.readline():
        sys.exit("the parent process has ended")
    after = context.add_decision(step.name, step.decision)
    return after if step.artifact is None else after.add_artifact(step.artifact)


def _saved(store: ContextPersistence[WorkflowContext], context: WorkflowContext) -> WorkflowContext:
    version = store.save_context(context, expected_version=context.version)
    _report("saved", version=version, context=context.to_dict())
    return attrs.evolve(context, version=version)


def _new_release() -> WorkflowContext:
    return WorkflowContext(
        workflow_id=WORKFLOW_ID,
        epic_num=1,
        story_num=4,
        feature="shop",
        workflow_name="release",
        current_phase=next(iter(PHASES)),
        tags=["demo"],
    )


def _report(event: str, **facts: Any) -> None:
    sys.stdout.write(json.dumps({"event": event, **facts}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with ContextPersistence(sys.argv[1], context_type=WorkflowContext) as opened:
        run(opened)
