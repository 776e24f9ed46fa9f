"""Child processes of the SQLite tests: run as ``python saver.py COMMAND DATABASE …``.

Each acknowledgement is a line on standard output, written only after the store has returned.
"""

import itertools
import sys

from context_core import ContextPersistence, WorkflowContext


def a_context(workflow_id: str, step: int) -> WorkflowContext:
    """A context whose content tells its step, a few pages long."""
    return WorkflowContext(
        workflow_id, 1, 1, "crash", "saver", decisions={"step": step, "padding": f"{step:06d}" * 700}
    )


def save_forever(database: str, workflow_id: str) -> None:
    """Save step after step, singly and in batches by turns, until killed."""
    with ContextPersistence(db_path=database) as store:
        first = len(store.history(workflow_id))
        for step in itertools.count(first + 1):
            if step % 5:
                versions = [store.save_context(a_context(workflow_id, step))]
            else:
                twin = f"{workflow_id}-twin"
                versions = store.save_contexts([a_context(workflow_id, step), a_context(twin, step)])[:1]
            print(f"{step} {versions[0]}", flush=True)


def save_some(database: str, workflow_ids: str, count: str) -> None:
    """Wait for a line on standard input, then save *count* versions, spread over the workflows."""
    names = workflow_ids.split(",")
    with ContextPersistence(db_path=database) as store:
        print("ready", flush=True)
        sys.stdin.readline()
        for step in range(int(count)):
            name = names[step % len(names)]
            print(f"{name} {store.save_context(a_context(name, step))}", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "save_forever":
        save_forever(*sys.argv[2:])
    else:
        save_some(*sys.argv[2:])
