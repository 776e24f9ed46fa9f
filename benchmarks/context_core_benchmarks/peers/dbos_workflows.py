"""dbos on SQLite: every save is a short durable workflow, whose result is the state."""

from collections import defaultdict
from pathlib import Path
from typing import Any, Final

from dbos import DBOS, SetWorkflowID

from context_core import WorkflowContext
from context_core_benchmarks.floor import Fields
from context_core_benchmarks.peers.peer import Peer

_pending: Final[list[Fields]] = []
"""What the next workflow returns. As an argument it would be stored twice, once more with the result."""


@DBOS.workflow(name="save")  # type: ignore[untyped-decorator]  # its library is not looked at
def _save() -> Fields:
    return _pending.pop()


class DbosWorkflows(Peer):
    """dbos keeps the state of running functions; it has no verb that only stores, so a save runs one."""

    name = "dbos on SQLite"
    distributions = ("dbos",)
    note = "a workflow a save; the rollback journal, which it sets itself"

    def __init__(self, folder: Path) -> None:
        url = f"sqlite:///{folder / 'dbos.db'}"
        DBOS(config={"name": "bench", "system_database_url": url, "run_admin_server": False, "log_level": "ERROR"})
        DBOS.launch()
        self._versions: defaultdict[str, int] = defaultdict(int)

    def save(self, state: Fields) -> None:
        """Run a workflow under an id of its own."""
        workflow_id = state["workflow_id"]
        self._versions[workflow_id] += 1
        _pending.append(state)
        with SetWorkflowID(_id(workflow_id, self._versions[workflow_id])):
            _save()

    def load(self, workflow_id: str) -> Any:
        """The last one's result."""
        return DBOS.retrieve_workflow(_id(workflow_id, self._versions[workflow_id])).get_result()

    def history(self, of: WorkflowContext) -> list[Any]:
        """All results, by the prefix of their ids."""
        found = DBOS.list_workflows(workflow_id_prefix=_id(of.workflow_id, None), load_input=False)
        return [one.output for one in found]

    def close(self) -> None:
        """Stop its threads."""
        DBOS.destroy()


def _id(workflow_id: str, version: int | None) -> str:
    return f"{workflow_id}/{'' if version is None else f'{version:09}'}"
