"""dbos on SQLite: every save is a short durable workflow whose result is the state."""

from collections import defaultdict
from pathlib import Path
from typing import Any, Final

from dbos import DBOS, SetWorkflowID

from context_core import WorkflowContext
from context_core_benchmarks.floor import Fields
from context_core_benchmarks.peers.peer import Peer

_pending: Final[list[Fields]] = []
"""The state that the next workflow returns. If it were an argument, dbos would store it twice."""


@DBOS.workflow(name="save")  # type: ignore[untyped-decorator]  # the library is not type-checked
def _save() -> Fields:
    return _pending.pop()


class DbosWorkflows(Peer):
    """dbos stores the state of running functions; it has no call that only stores, so a save runs a function."""

    name = "dbos on SQLite"
    distributions = ("dbos",)
    note = "a workflow a save; the rollback journal, which it sets itself"

    def __init__(self, folder: Path) -> None:
        url = f"sqlite:///{folder / 'dbos.db'}"
        DBOS(config={"name": "bench", "system_database_url": url, "run_admin_server": False, "log_level": "ERROR"})
        DBOS.launch()
        self._versions: defaultdict[str, int] = defaultdict(int)

    def save(self, state: Fields) -> None:
        """Run a workflow under a new id."""
        workflow_id = state["workflow_id"]
        self._versions[workflow_id] += 1
        _pending.append(state)
        with SetWorkflowID(_id(workflow_id, self._versions[workflow_id])):
            _save()

    def load(self, workflow_id: str) -> Any:
        """Return the result of the last workflow."""
        return DBOS.retrieve_workflow(_id(workflow_id, self._versions[workflow_id])).get_result()

    def history(self, of: WorkflowContext) -> list[Any]:
        """Return all results, by the prefix of their ids."""
        found = DBOS.list_workflows(workflow_id_prefix=_id(of.workflow_id, None), load_input=False)
        return [one.output for one in found]

    def close(self) -> None:
        """Stop its threads."""
        DBOS.destroy()


def _id(workflow_id: str, version: int | None) -> str:
    return f"{workflow_id}/{'' if version is None else f'{version:09}'}"
