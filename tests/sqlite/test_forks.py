"""Forks by a thread that is itself inside of a call, as a signal handler's are, and the stores that they leave."""

import os
import signal
from typing import Any

import pytest

from context_core import BackendUnavailableError, ContextPersistence, WorkflowContext
from context_core.model import utc_now
from context_core.records import LoadRequest
from context_core_sqlite import SqliteBackend

PATIENCE_S = 30

pytestmark = [
    pytest.mark.promise("CO08"),
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),
]


def a_context(workflow_id="w"):
    return WorkflowContext(workflow_id, 1, 1, "f", "w")


class ForkingClock:
    """Forks in the middle of a save, in its own thread, when it is told to."""

    def __init__(self):
        self.store: Any = None
        self.codes: list[int] = []
        self.is_child = False

    def __call__(self):
        if self.store is not None and not self.codes:
            child = os.fork()
            if child == 0:
                signal.alarm(PATIENCE_S)
                self.is_child = True
                self.store, store = None, self.store
                assert store.load_context("w").version == 1  # a save would wait for the parent's, which waits for this
            else:
                _, status = os.waitpid(child, 0)
                self.codes.append(os.waitstatus_to_exitcode(status))
        return utc_now()


@pytest.mark.parametrize("url", ["sqlite:///{path}/store.db", "memory://"])
def test_a_save_that_forks_goes_on_in_the_parent_only(tmp_path, url):
    """The child reads the store at once; the save that it was forked in is refused there, and harms the parent's not."""
    clock = ForkingClock()
    with ContextPersistence(url.format(path=tmp_path), clock=clock) as store:
        store.save_context(a_context())
        clock.store = store
        try:
            version = store.save_context(a_context())
        except BackendUnavailableError as error:
            if clock.is_child:
                os._exit(7 if "forked" in str(error) and store.load_context("w").version == 1 else 1)
            raise
        finally:
            if clock.is_child:
                os._exit(2)
        clock.store = None
        assert clock.codes == [7]
        assert version == 2
        assert store.save_context(a_context()) == 3
        assert [header.version for header in store.history("w")] == [1, 2, 3]
        assert store.verify().is_sound


def test_a_signal_handler_may_fork_while_the_main_thread_saves(tmp_path):
    """Again and again, at any moment of a save; each child reads, and each save of the parent is there."""
    codes: list[int] = []

    def fork(number, frame):
        child = os.fork()
        if child == 0:
            signal.alarm(PATIENCE_S)
            code = 1
            try:
                store.load_context("first")
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        codes.append(os.waitstatus_to_exitcode(status))
        signal.setitimer(signal.ITIMER_REAL, 0.01)

    before = signal.signal(signal.SIGALRM, fork)
    with ContextPersistence(tmp_path / "store.db") as store:
        store.save_context(a_context("first"))
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.001)
            saves = 0
            while len(codes) < 20:
                saves += 1
                assert store.save_context(a_context()) == saves
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert set(codes) == {0}
        assert len(store.history("w")) == saves
        assert store.verify().is_sound


def test_a_snapshot_stays_the_parents(tmp_path):
    """In the child it says so, and closing it there takes nothing from the parent."""
    backend = SqliteBackend(tmp_path / "store.db")
    with ContextPersistence(backend) as store:
        store.save_context(a_context())
        view = backend.snapshot()
        request = LoadRequest(("w",))
        child = os.fork()
        if child == 0:
            signal.alarm(PATIENCE_S)
            code = 1
            try:
                with pytest.raises(BackendUnavailableError, match="snapshot"):
                    view.load(request)
                view.close()
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        store.save_context(a_context())
        assert [document.version for document in view.load(request)] == [1]
        view.close()
