"""The entry point: runs the commands, or says what to install if they cannot be imported."""

import io
import sys
from typing import Final

NEEDS: Final = ("click", "rich")
INSTALL_HINT: Final = 'python -m pip install "context-core[cli]"'


def main() -> int:
    """Run the command line and return the exit code: 0 for success, 1 for a failure, 2 for wrong usage."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A character that the terminal's encoding lacks (in a path, for example) is printed as an escape.
            stream.reconfigure(errors="backslashreplace")
    try:
        from context_core.cli._commands import commands  # noqa: PLC0415  # a missing extra must not be a traceback
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in NEEDS:
            raise
        sys.stderr.write(f"context-core needs the package {missing!r} for its commands; install it with:\n")
        sys.stderr.write(f"    {INSTALL_HINT}\n")
        return 2
    commands(prog_name="context-core")  # exits by itself
    return 0
