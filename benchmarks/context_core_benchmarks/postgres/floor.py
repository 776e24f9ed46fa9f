"""The floor on PostgreSQL: the code that a careful engineer would write by hand with psycopg.

One connection, the tables and indexes of the floor on SQLite, documents as text, orjson to plain dicts; a save is one
statement, a batch one pipeline. No typed objects, no exactness check, no pool.
"""

from collections.abc import Sequence
from typing import Any, Final, LiteralString

import orjson
import psycopg

from context_core_benchmarks.floor import Fields

_SCHEMA: Final = """
CREATE TABLE head (
    workflow_id text COLLATE "C" PRIMARY KEY, version bigint NOT NULL, epic_num bigint NOT NULL, story_num bigint,
    feature text NOT NULL, workflow_name text NOT NULL, current_phase text NOT NULL, status text NOT NULL,
    created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL, document text NOT NULL);
CREATE INDEX head_by_created_at ON head (created_at);
CREATE INDEX head_by_status ON head (status, created_at);
CREATE INDEX head_by_feature ON head (feature, created_at);
CREATE INDEX head_by_epic ON head (epic_num, created_at);
CREATE INDEX head_by_story ON head (epic_num, story_num, created_at);
CREATE TABLE versions (
    workflow_id text COLLATE "C" NOT NULL, version bigint NOT NULL, epic_num bigint NOT NULL, story_num bigint,
    status text NOT NULL, current_phase text NOT NULL, saved_at timestamptz NOT NULL, save_key text,
    document text NOT NULL, PRIMARY KEY (workflow_id, version));
CREATE INDEX versions_by_story ON versions (epic_num, story_num, version);
CREATE UNIQUE INDEX versions_by_key ON versions (workflow_id, save_key) WHERE save_key IS NOT NULL;
"""
_SAVE: Final = """
WITH saved AS (
    INSERT INTO head VALUES (%(id)s, 1, %(epic)s, %(story)s, %(feature)s, %(name)s, %(phase)s, %(status)s, %(created)s,
        %(updated)s, %(document)s)
    ON CONFLICT (workflow_id) DO UPDATE SET version = head.version + 1, epic_num = excluded.epic_num,
        story_num = excluded.story_num, feature = excluded.feature, workflow_name = excluded.workflow_name,
        current_phase = excluded.current_phase, status = excluded.status, updated_at = excluded.updated_at,
        document = excluded.document
    RETURNING version)
INSERT INTO versions
SELECT %(id)s, version, %(epic)s, %(story)s, %(status)s, %(phase)s, %(updated)s, NULL, %(document)s FROM saved
RETURNING version"""


class Floor:
    """Saves and loads dicts."""

    def __init__(self, conninfo: str, schema: str) -> None:
        self.connection = psycopg.connect(conninfo, autocommit=True)
        self.connection.execute(f'CREATE SCHEMA "{schema}"; SET search_path = "{schema}"'.encode())
        self.connection.execute(_SCHEMA)

    @property
    def server_version(self) -> str:
        """The version of the server, for example `18.1`."""
        version = self.connection.info.server_version
        return f"{version // 10_000}.{version % 10_000}"

    def save(self, fields: Fields) -> int:
        """Save one context durably."""
        row = self.connection.execute(_SAVE, _values(fields)).fetchone()
        assert row is not None
        return int(row[0])

    def save_many(self, many: Sequence[Fields]) -> list[int]:
        """Save many in one transaction, without waiting for each reply."""
        with self.connection.transaction(), self.connection.cursor() as cursor:
            cursor.executemany(_SAVE, map(_values, many), returning=True)
            versions = [row[0] for row in cursor]
            while cursor.nextset():
                versions += [row[0] for row in cursor]
            return versions

    def load(self, workflow_id: str) -> Any:
        """Load the newest state of one workflow."""
        return self._all("SELECT document FROM head WHERE workflow_id = %s", workflow_id)[0]

    def find(self, condition: LiteralString, *values: Any, limit: int | None = None) -> list[Any]:
        """Load the newest states for which a condition holds, newest first."""
        return self._all(
            f"SELECT document FROM head WHERE {condition} ORDER BY created_at DESC LIMIT %s", *values, limit
        )

    def story_versions(self, epic_num: int, story_num: int | None) -> list[Any]:
        """Load every version of a story's workflows."""
        story = "story_num IS NULL" if story_num is None else f"story_num = {story_num:d}"
        # Ordered by the story first: PostgreSQL does not detect that the index has the versions in order if it is NULL.
        order = "story_num, version"
        return self._all(f"SELECT document FROM versions WHERE epic_num = %s AND {story} ORDER BY {order}", epic_num)

    def _all(self, sql: str, *values: Any) -> list[Any]:
        return [orjson.loads(row[0]) for row in self.connection.execute(sql.encode(), values)]

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


def _values(fields: Fields) -> dict[str, Any]:
    return {
        "id": fields["workflow_id"],
        "epic": fields["epic_num"],
        "story": fields["story_num"],
        "feature": fields["feature"],
        "name": fields["workflow_name"],
        "phase": fields["current_phase"],
        "status": fields["status"],
        "created": fields["created_at"],
        "updated": fields["updated_at"],
        "document": orjson.dumps(fields).decode(),
    }
