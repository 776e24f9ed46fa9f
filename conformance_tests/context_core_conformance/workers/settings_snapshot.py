"""What a process is set to: the state that belongs to the program, and that no library may change (ER09)."""

import decimal
import faulthandler
import gc
import locale
import logging
import os
import signal
import socket
import sys
import threading
import time
import warnings
from typing import Any

from context_core import ContextPersistence
from context_core_conformance.racing import Start
from context_core_conformance.samples import a_context


def process_settings() -> dict[str, Any]:
    """The settings of this process, by name, in a form that compares and travels."""
    root = logging.getLogger()
    return {
        "handlers of the root logger": [repr(handler) for handler in root.handlers],
        "level of the root logger": root.level,
        "level below which logging is off": logging.root.manager.disable,
        "logger class": repr(logging.getLoggerClass()),
        "warning filters": repr(warnings.filters),
        "warnings.showwarning": repr(warnings.showwarning),
        "exception hooks": repr((sys.excepthook, sys.unraisablehook, threading.excepthook)),
        "signal handlers": {int(number): repr(signal.getsignal(number)) for number in signal.valid_signals()},
        "faulthandler": faulthandler.is_enabled(),
        "decimal context": repr(decimal.getcontext()),
        "locale": locale.setlocale(locale.LC_ALL),
        "time zone": time.tzname,
        "socket time-out": socket.getdefaulttimeout(),
        "recursion limit": sys.getrecursionlimit(),
        "thread switch interval": sys.getswitchinterval(),
        "integer digits": sys.get_int_max_str_digits(),
        "garbage collection": (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()),
        "trace and profile": repr((sys.gettrace(), sys.getprofile())),
        "working folder": os.getcwd(),  # noqa: PTH109  # the text is compared
        "environment": dict(os.environ),
        "import path": list(sys.path),
        "standard streams": repr((sys.stdin, sys.stdout, sys.stderr)),
    }


def changed_by_a_store(start: Start, number: int, url: str) -> dict[str, tuple[Any, Any]]:
    """Open, use and close a store in this process; return the settings that changed, before and after."""
    del number
    logging.getLogger()
    start.wait()
    before = process_settings()
    with ContextPersistence(url) as store:
        store.save_context(a_context("w"))
        store.load_context("w")
        store.search_contexts({"status": "running"})
        during = process_settings()
    after = process_settings()
    return {
        name: (before[name], changed[name])
        for changed in (during, after)
        for name in before
        if changed[name] != before[name]
    }
