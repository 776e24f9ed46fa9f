"""The floor on PostgreSQL: what a careful engineer would write by hand with psycopg, and nothing more.

One connection, a head table and a versions table with the indexes that the queries need, as the floor on SQLite has, documents as text, orjson to
plain dicts; a save is one statement, a batch one pipeline. No typed objects, no exactness check, no pool.
"""

from typing import Any

import orjson
import psycopg

_SCHEMA = """
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
_SAVE = """
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

    def save(self, fields: dict[str, Any]) -> Any:
        """Save one context durably."""
        return self.connection.execute(_SAVE, _values(fields)).fetchone()

    def save_many(self, many: list[dict[str, Any]]) -> None:
        """Save many in one transaction, without waiting for each reply."""
        with self.connection.transaction():
            self.connection.cursor().executemany(_SAVE, map(_values, many))

    def load(self, workflow_id: str) -> Any:
        """Load the newest state of one workflow."""
        row = self.connection.execute("SELECT document FROM head WHERE workflow_id = %s", (workflow_id,)).fetchone()
        return orjson.loads(row[0]) if row else None

    def newest(self, status: str, limit: int) -> list[Any]:
        """Load the newest states of a status."""
        sql = "SELECT document FROM head WHERE status = %s ORDER BY created_at DESC LIMIT %s"
        return [orjson.loads(row[0]) for row in self.connection.execute(sql, (status, limit))]

    def history(self, workflow_id: str) -> list[Any]:
        """Load every version of a workflow."""
        sql = "SELECT document FROM versions WHERE workflow_id = %s ORDER BY version"
        return [orjson.loads(row[0]) for row in self.connection.execute(sql, (workflow_id,))]

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


def _values(fields: dict[str, Any]) -> dict[str, Any]:
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
