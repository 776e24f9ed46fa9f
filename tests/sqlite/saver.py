"""Child processes of the SQLite tests: run as ``python saver.py DATABASE WORKFLOWS COUNT``.

Each acknowledgement is a line on standard output, written only after the store has returned.
"""

import sys

from context_core import ContextPersistence, WorkflowContext


def save_some(database: str, workflow_ids: str, count: str) -> None:
    """Wait for a line on standard input, then save *count* versions, spread over the workflows."""
    names = workflow_ids.split(",")
    with ContextPersistence(db_path=database) as store:
        print("ready", flush=True)
        sys.stdin.readline()
        for step in range(int(count)):
            context = WorkflowContext(names[step % len(names)], 1, 1, "crash", "saver", decisions={"step": step})
            print(f"{context.workflow_id} {store.save_context(context)}", flush=True)


if __name__ == "__main__":
    save_some(*sys.argv[1:])
