"""States that this driver does not make: heads and histories that do not belong together."""

from collections.abc import Sequence
from typing import Any, Final

from context_core.errors import DamagedHistoryError
from context_core_postgres._session import Session

NEWEST_OF_HEAD: Final = "(SELECT max(version) FROM our.workflow_context_versions WHERE workflow_id = head.workflow_id)"
"""Beside a row of workflow_context AS head: the number of the newest version, NULL where there is none."""

HEAD_OF_VERSION: Final = (
    "(SELECT head.version FROM our.workflow_context AS head WHERE head.workflow_id = stored.workflow_id)"
)
NEWEST_OF_VERSION: Final = (
    "(SELECT max(other.version) FROM our.workflow_context_versions AS other "
    "WHERE other.workflow_id = stored.workflow_id)"
)
"""Beside a row of workflow_context_versions AS stored: where its head stands, and the newest version."""

ORPHANS: Final = """
    SELECT workflow_id, max(version) FROM our.workflow_context_versions AS stored
    WHERE NOT EXISTS (SELECT FROM our.workflow_context AS head WHERE head.workflow_id = stored.workflow_id)
    GROUP BY workflow_id ORDER BY workflow_id"""
"""Histories without a head."""

STANDINGS: Final = """
    SELECT asked, (SELECT version FROM our.workflow_context WHERE workflow_id = asked),
        (SELECT max(version) FROM our.workflow_context_versions WHERE workflow_id = asked)
    FROM unnest(%s::text[]) AS asked"""


def check_histories(session: Session, workflow_ids: Sequence[str]) -> None:
    """As `DamagedHistoryError.check`, for workflows that are looked up in one statement."""
    for standing in session.execute(STANDINGS, ([each for each in workflow_ids if "\0" not in each],)).fetchall():
        DamagedHistoryError.check(*standing)


def of_head(read: Any, row: Sequence[Any]) -> Any:
    """Read a row of a head, whose last column is NEWEST_OF_HEAD, unless its workflow is one that no verb reads."""
    DamagedHistoryError.check(row[0], row[1], row[-1])
    return read(row[:-1])


def of_version(read: Any, row: Sequence[Any]) -> Any:
    """As `of_head`, for a version, whose last columns are HEAD_OF_VERSION and NEWEST_OF_VERSION."""
    DamagedHistoryError.check(row[0], *row[-2:])
    return read(row[:-2])
