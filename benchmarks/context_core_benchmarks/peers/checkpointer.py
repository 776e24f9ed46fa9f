"""The common code for langgraph's checkpointers, which are called as langgraph's runtime calls them."""

from typing import Any, TypeAlias

import attrs
from langgraph.checkpoint.base import BaseCheckpointSaver, empty_checkpoint

from context_core import WorkflowContext
from context_core_benchmarks.floor import Fields
from context_core_benchmarks.peers.peer import Peer

_Config: TypeAlias = Any


@attrs.define
class _Thread:
    """The state that the runtime passes from step to step."""

    config: _Config
    values: Fields = attrs.field(factory=dict)
    versions: dict[str, str] = attrs.field(factory=dict)
    step: int = -1


class Checkpointer(Peer):
    """One thread per workflow, one channel per field; only changed channels get a new version, as in a graph run."""

    _saver: BaseCheckpointSaver[Any]

    def __init__(self) -> None:
        self._threads: dict[str, _Thread] = {}

    def save(self, state: Fields) -> None:
        """Put a checkpoint whose parent is the previous one."""
        workflow_id = state["workflow_id"]
        thread = self._threads.get(workflow_id) or _Thread(_config(workflow_id))
        thread.step += 1
        changed = [name for name, value in state.items() if name not in thread.values or thread.values[name] != value]
        new_versions = dict.fromkeys(changed, f"{thread.step + 1:032}")
        thread.values, thread.versions = state, {**thread.versions, **new_versions}
        checkpoint = empty_checkpoint()
        checkpoint["channel_values"] = state
        checkpoint["channel_versions"] = dict(thread.versions)
        # `list` filters by the metadata of the application.
        metadata: Any = {"source": "loop", "step": thread.step, "status": state["status"]}
        thread.config = self._saver.put(thread.config, checkpoint, metadata, new_versions)
        self._threads[workflow_id] = thread

    def load(self, workflow_id: str) -> Any:
        """Return the newest checkpoint of the thread."""
        found = self._saver.get_tuple(_config(workflow_id))
        assert found is not None
        return found.checkpoint["channel_values"]

    def newest(self, status: str, limit: int) -> list[Any]:
        """Return the newest checkpoints with the status in their metadata, even if their threads have newer ones."""
        found = self._saver.list(None, filter={"status": status}, limit=limit)
        return [one.checkpoint["channel_values"] for one in found]

    def history(self, of: WorkflowContext) -> list[Any]:
        """Return the checkpoints of the thread, which langgraph lists newest first."""
        found = self._saver.list(_config(of.workflow_id))
        return [one.checkpoint["channel_values"] for one in found][::-1]


def _config(workflow_id: str) -> _Config:
    return {"configurable": {"thread_id": workflow_id, "checkpoint_ns": ""}}
