"""Why a server refused a connection: its SQLSTATE, which libpq keeps to itself.

libpq tells only the server's sentence, in the server's language. The code is in the protocol all the same, and libpq
writes the protocol down where it is asked to: so a refused connection is tried once more, with the trace on.
"""

import os
import re
import select
import time
from typing import Final

import psycopg
from psycopg import pq
from psycopg.pq.abc import PGconn

_CODE: Final = re.compile(rb'ErrorResponse\t S "[^"]*"(?: V "[^"]*")? C "([0-9A-Z]{5})"')
_STEP_S: Final = 1.0


def sqlstate_of_refusal(conninfo: str, timeout_s: float) -> str | None:
    """Connect again and return the code of the refusal; None where nobody answers, or where it succeeds now."""
    read_end, write_end = os.pipe()
    connection = pq.PGconn.connect_start(conninfo.encode())
    try:
        os.set_blocking(write_end, False)  # the trace must never stop what it watches
        if connection.status != pq.ConnStatus.BAD:
            connection.trace(write_end)
            _connect(connection, time.monotonic() + timeout_s)
            connection.untrace()
    except (psycopg.Error, OSError):
        return None
    finally:
        connection.finish()
        os.close(write_end)
        with open(read_end, "rb") as trace:  # noqa: PTH123  # a descriptor has no Path
            written = trace.read()
    codes = _CODE.findall(written)
    return codes[-1].decode() if codes else None


def _connect(connection: PGconn, deadline: float) -> None:
    status: int = pq.PollingStatus.WRITING
    while status in (pq.PollingStatus.READING, pq.PollingStatus.WRITING) and time.monotonic() < deadline:
        poll = select.poll()
        poll.register(connection.socket, select.POLLIN if status == pq.PollingStatus.READING else select.POLLOUT)
        poll.poll(max(0.0, min(_STEP_S, deadline - time.monotonic())) * 1000)
        status = connection.connect_poll()
