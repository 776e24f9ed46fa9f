"""Counting the syncs of a process: a few lines of C that stand before those of the system's library."""

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from context_core import ContextPersistence
from context_core_conformance.racing import Start
from context_core_conformance.samples import a_context

_SOURCE: Final = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>

static long count;

long context_core_syncs(void) { return __atomic_load_n(&count, __ATOMIC_SEQ_CST); }

static void *next(const char *name) {
    __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST);
    return dlsym(RTLD_NEXT, name);
}

int fsync(int file) { return ((int (*)(int))next("fsync"))(file); }
int fdatasync(int file) { return ((int (*)(int))next("fdatasync"))(file); }
int msync(void *start, size_t length, int flags) {
    return ((int (*)(void *, size_t, int))next("msync"))(start, length, flags);
}
"""


def counter_of_syncs(folder: Path) -> Path | None:
    """Build the library that counts; None where there is no compiler, or no way to put it before the system's."""
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        return None
    source, library = folder / "syncs.c", folder / "syncs.so"
    source.write_text(_SOURCE)
    command = [compiler, "-shared", "-fPIC", "-o", os.fspath(library), os.fspath(source), "-ldl"]
    done = subprocess.run(command, check=False, capture_output=True)  # noqa: S603  # the system's compiler
    return library if done.returncode == 0 else None


def save_and_count_syncs(start: Start, number: int, url: str, times: int) -> list[int] | None:
    """Save *times* times, and return how many syncs each took; None where this process does not count them."""
    del number
    try:
        count = ctypes.CDLL(None).context_core_syncs
    except (AttributeError, OSError):
        return None
    count.restype = ctypes.c_long
    if _counts_nothing(count):
        return None
    with ContextPersistence(url) as store:
        start.wait()
        store.save_context(a_context("first"))
        counts = []
        for turn in range(times):
            before = count()
            store.save_context(a_context("w", metadata={"turn": turn}))
            counts.append(count() - before)
        return counts


def _counts_nothing(count: "ctypes._NamedFuncPointer") -> bool:
    before = count()
    descriptor = os.open(os.devnull, os.O_RDONLY)
    try:
        os.fdatasync(descriptor)
    except OSError:  # it cannot be synced, and was counted all the same
        pass
    finally:
        os.close(descriptor)
    return bool(count() == before)
