"""Child processes of the SQLite tests: run as ``python opener.py COMMAND DATABASE …``."""

import functools
import itertools
import os
import resource
import shutil
import signal
import sqlite3
import sys
from pathlib import Path

from context_core import ContextCoreError, ContextPersistence, WorkflowContext
from context_core_sqlite import SqliteBackend, _write


def open_at_signal(database: str, workflow_id: str) -> None:
    """Wait for a line on standard input, then open, save a version and tell its number."""
    print("ready", flush=True)
    sys.stdin.readline()
    with ContextPersistence(db_path=database) as store:
        print(store.save_context(WorkflowContext(workflow_id, 1, 1, "race", "opener")), flush=True)


def kill_at_every_statement(database: str, folder: str) -> None:
    """Open and migrate copies of a database in forked children; the n-th kills itself before its n-th statement.

    Stops with the first child that lives to the end; prints how many were killed.
    """
    for number in itertools.count(1):
        copy = Path(folder) / f"killed-{number:03}.db"
        shutil.copyfile(database, copy)
        child = os.fork()
        if child == 0:
            _kill_at(number)
            _write.REPACKED_AT_ONCE = 2  # type: ignore[misc]  # so that a small database takes several transactions
            SqliteBackend(copy).migrate()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
            print(number - 1, os.waitstatus_to_exitcode(status), flush=True)
            return


def save_until_full(database: str, spare_bytes: str) -> None:
    """Save until no file may grow any further; print the acknowledged versions, then the error's class."""
    with ContextPersistence(db_path=database) as store:
        size = max(path.stat().st_size for path in Path(database).parent.iterdir())
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + int(spare_bytes), resource.RLIM_INFINITY))
        for _ in range(1_000):
            context = WorkflowContext("filled", 1, 1, "full", "opener", metadata={"padding": "x" * 20_000})
            try:
                print(store.save_context(context), flush=True)
            except ContextCoreError as error:
                print(type(error).__name__, type(error.__cause__).__name__, flush=True)
                print(len(store.history("filled")), flush=True)
                break
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        print(store.save_context(WorkflowContext("after", 1, 1, "full", "opener")), flush=True)


def _kill_at(number: int) -> None:
    statements = itertools.count(1)

    class Connection(sqlite3.Connection):
        def execute(self, *arguments):
            if next(statements) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().execute(*arguments)

    connect = sqlite3.connect
    sqlite3.connect = functools.partial(connect, factory=Connection)  # type: ignore[assignment]  # stands in for it here


if __name__ == "__main__":
    commands = {"open_at_signal": open_at_signal, "kill": kill_at_every_statement, "fill": save_until_full}
    commands[sys.argv[1]](*sys.argv[2:])
