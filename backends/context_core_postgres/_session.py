"""One connection, as the statements of this package use it."""

import re
import select
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow, tuple_row
from psycopg.sql import Identifier

from context_core_postgres import _deadline
from context_core_postgres._deadline import Deadline

Raw: TypeAlias = psycopg.Connection[Any]
Parameters: TypeAlias = Sequence[Any] | Mapping[str, Any]

CANDIDATES_AT_ONCE: Final = 100
"""How many rows a search that must look into documents fetches at a time."""


_NAMES: Final = re.compile(r"--[^\n]*|'[^']*'|\$function\$.*?\$function\$|\bour\.", re.DOTALL)
"""Where a name may stand, and what it may not stand in: it could end a comment, a literal or the body of a function."""

MAX_STATEMENTS: Final = 1_000
"""How many statements are remembered: searches make as many different ones as there are filters."""


class Qualifier(dict[str, bytes]):
    """Statements by what they are called in this package: with `our.` where the name of the schema belongs.

    Names are qualified in each statement, since a search path would be state of the session, and behind a pooler a
    session is anybody's.
    """

    def __init__(self, schema: str) -> None:
        super().__init__()
        self.lead_to(schema)

    def lead_to(self, schema: str) -> None:
        """Mean the tables of *schema* from now on."""
        self.schema = schema
        self.prefix = f"{Identifier(schema).as_string(None)}."
        self.clear()

    def __missing__(self, sql: str) -> bytes:
        if len(self) >= MAX_STATEMENTS:
            self.clear()
        qualified = self[sql] = _named(sql, self.prefix.replace("%", "%%")).encode()
        return qualified

    def script(self, sql: str) -> bytes:
        """A script that takes no parameters, so that a percent sign is no placeholder in it."""
        return _named(sql, self.prefix).encode()


def _named(sql: str, prefix: str) -> str:
    """Put the name of the schema, quoted as an identifier, where an identifier is read and nowhere else."""
    return _NAMES.sub(lambda found: prefix if found[0] == "our." else found[0], sql)


class Session:
    """A connection in autocommit mode: transactions begin where this package says BEGIN.

    Attributes:
        raw: psycopg's connection.
        has_sent_commit: Whether the work that the session does now may have been committed.
        permit: What its pool wants back when it is not in use any more.
        is_careful: Whether an attempt of the same call failed before this one.
        is_stepwise: Whether statements are sent one by one. Where a session ends in the middle of a pipeline, psycopg does
            not tell with which code, so that a second attempt goes step by step.
        deadline: When the call that uses it gives up waiting for the server.
    """

    __slots__ = (
        "__weakref__",
        "_is_spoilt",
        "_poll",
        "_qualified",
        "deadline",
        "has_sent_commit",
        "idle_since",
        "is_careful",
        "is_stepwise",
        "permit",
        "raw",
        "was_autocommit",
    )

    def __init__(self, raw: Raw, qualified: Qualifier, call_timeout_s: float = 60.0) -> None:
        self.raw = raw
        self.deadline = Deadline(call_timeout_s)
        _deadline.bind(raw, self.deadline)
        self.has_sent_commit = False
        self._is_spoilt = self.is_stepwise = self.is_careful = False
        self.idle_since = 0.0
        self.permit: Any = None
        self.was_autocommit = raw.autocommit
        self._qualified = qualified
        self._poll = select.poll()
        self._poll.register(raw.fileno(), select.POLLIN)

    @property
    def schema(self) -> str:
        """The schema of the tables."""
        return self._qualified.schema

    @property
    def is_broken(self) -> bool:
        """Whether nothing can be sent any more."""
        return self.raw.closed

    @property
    def is_stale(self) -> bool:
        """Whether the server has said something since the last reply: nearly always, that it hung up.

        It costs no round trip, and tells before anything is sent that could be lost.
        """
        return bool(self._poll.poll(0))

    def execute(self, sql: str, parameters: Parameters = ()) -> psycopg.Cursor[TupleRow]:
        """Run one statement; rows come back in the binary format, which spares parsing."""
        cursor = psycopg.Cursor(self.raw, row_factory=tuple_row)
        return cursor.execute(self._qualified[sql], parameters, binary=True)

    def execute_many(self, sql: str, rows: Sequence[Parameters]) -> None:
        """Run one statement for each of *rows*."""
        psycopg.Cursor(self.raw).executemany(self._qualified[sql], rows)

    def create_schema(self) -> None:
        """Make the schema of the tables."""
        self.raw.execute(f"CREATE SCHEMA {self._qualified.prefix[:-1]}".encode(), prepare=False)

    def run_script(self, script: str) -> None:
        """Run a script of several statements, inside the transaction that is open."""
        self.raw.execute(self._qualified.script(script), prepare=False)

    @contextmanager
    def pipeline(self) -> Iterator[None]:
        """Send all statements inside the block in one go; their rows can be had behind it."""
        if self.is_stepwise:
            yield
            return
        try:
            with self.raw.pipeline():
                yield
        except BaseException as error:
            # The server skips what follows an error. If a statement was to be prepared there, psycopg takes it for
            # prepared from then on, and it is not.
            self._is_spoilt = True
            if (interrupt := _interrupt_behind(error)) is not None:
                raise interrupt from None
            raise

    @contextmanager
    def one_view(self) -> Iterator[None]:
        """Have all statements inside the block see one moment; a snapshot's do anyway."""
        if self.raw.info.transaction_status != TransactionStatus.IDLE:
            yield
            return
        self.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield
        self.execute("COMMIT")

    def candidates(self, sql: str, parameters: Parameters) -> Generator[TupleRow, None, None]:
        """Yield rows of one statement a bounded number at a time, all of one moment."""
        with self.raw.transaction():
            cursor = psycopg.ServerCursor(self.raw, "candidates", row_factory=tuple_row)
            with cursor:
                cursor.execute(self._qualified[sql], parameters, binary=True)
                while rows := cursor.fetchmany(CANDIDATES_AT_ONCE):
                    yield from rows

    def unbind(self) -> None:
        """Leave the connection to its owner as it was."""
        _deadline.unbind(self.raw, self.deadline)
        if not self.is_broken:
            self.raw.autocommit = self.was_autocommit

    def end(self) -> None:
        """Undo what is open, after an error. A session that cannot even do that is closed, and with it its transaction."""
        if self._is_spoilt:
            self.raw.close()
            return
        status = self.raw.info.transaction_status
        if status == TransactionStatus.IDLE:
            return
        if status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
            try:
                self.raw.execute("ROLLBACK", prepare=False)
            except psycopg.Error:
                self.raw.close()
            return
        self.raw.close()  # in the middle of a reply, or of none


def _interrupt_behind(error: BaseException) -> BaseException | None:
    """The interrupt that broke off a pipeline, where psycopg only tells that it could not end it."""
    behind = error.__context__ if isinstance(error, psycopg.Error) else None
    while isinstance(behind, Exception):
        behind = behind.__context__
    return behind
