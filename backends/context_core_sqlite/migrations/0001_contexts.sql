-- The current state of each workflow. Its document is plain JSON, so that the table reads at any sqlite3 prompt.
-- created_at is that of the first version and never changes; every other column follows the newest version.
-- Times are ISO 8601 in UTC, always of the same width, so that they sort as text.
CREATE TABLE workflow_context (
    workflow_id TEXT NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL,
    epic_num INTEGER NOT NULL,
    story_num INTEGER,
    feature TEXT NOT NULL,
    workflow_name TEXT NOT NULL,
    current_phase TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    saved_at TEXT NOT NULL,
    tags TEXT NOT NULL,
    save_id BLOB,
    document ANY NOT NULL
) STRICT;

-- The default order of every query: newest first.
CREATE INDEX workflow_context_by_created_at ON workflow_context (created_at, workflow_id);
-- "The newest of a status": the order inside the index spares a sort, nine tenths of such a query's time.
CREATE INDEX workflow_context_by_status ON workflow_context (status, created_at, workflow_id);
CREATE INDEX workflow_context_by_feature ON workflow_context (feature, created_at, workflow_id);
CREATE INDEX workflow_context_by_workflow_name ON workflow_context (workflow_name, created_at, workflow_id);
CREATE INDEX workflow_context_by_current_phase ON workflow_context (current_phase, created_at, workflow_id);
-- "All of an epic", newest first.
CREATE INDEX workflow_context_by_epic ON workflow_context (epic_num, created_at, workflow_id);
-- "The latest of a story", the epic level (story_num IS NULL) included.
CREATE INDEX workflow_context_by_story ON workflow_context (epic_num, story_num, created_at, workflow_id);
-- A story number on its own, across epics.
CREATE INDEX workflow_context_by_story_num ON workflow_context (story_num, created_at, workflow_id);
-- No index on updated_at and version: they change at each save, and keeping them in order would cost a tenth of it.

-- Every version ever saved; append-only, see the triggers.
CREATE TABLE workflow_context_versions (
    id INTEGER PRIMARY KEY,
    workflow_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    epic_num INTEGER NOT NULL,
    story_num INTEGER,
    feature TEXT NOT NULL,
    workflow_name TEXT NOT NULL,
    current_phase TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    saved_at TEXT NOT NULL,
    tags TEXT NOT NULL,
    save_id BLOB,
    idempotency_key TEXT,
    content_hash BLOB,
    origin_workflow_id TEXT,
    origin_version INTEGER,
    document ANY NOT NULL,
    UNIQUE (workflow_id, version)
) STRICT;

-- The history of a story, in its order.
CREATE INDEX workflow_context_versions_by_story
    ON workflow_context_versions (epic_num, story_num, version, created_at, workflow_id);
-- An idempotency key is looked up at each save that has one, and stands once in its workflow.
CREATE UNIQUE INDEX workflow_context_versions_by_key
    ON workflow_context_versions (workflow_id, idempotency_key) WHERE idempotency_key IS NOT NULL;

-- What stays of a deleted workflow: its numbers go on from here.
CREATE TABLE workflow_context_tombstones (
    workflow_id TEXT NOT NULL PRIMARY KEY,
    last_version INTEGER NOT NULL,
    deleted_at TEXT NOT NULL
) STRICT;

-- A row here, in the same transaction, allows versions of that workflow to be deleted. It is empty between transactions.
CREATE TABLE workflow_context_delete_guard (
    workflow_id TEXT NOT NULL PRIMARY KEY
) STRICT;

CREATE TRIGGER workflow_context_versions_no_update BEFORE UPDATE ON workflow_context_versions
BEGIN
    SELECT RAISE(ABORT, 'versions are append-only: save a new one instead');
END;

-- INSERT OR REPLACE deletes the old row without firing a delete trigger, so the collision itself is refused.
CREATE TRIGGER workflow_context_versions_no_replace BEFORE INSERT ON workflow_context_versions
WHEN EXISTS (SELECT 1 FROM workflow_context_versions WHERE workflow_id = NEW.workflow_id AND version = NEW.version)
    OR EXISTS (SELECT 1 FROM workflow_context_versions WHERE id = NEW.id)
    OR EXISTS (SELECT 1 FROM workflow_context_versions
               WHERE workflow_id = NEW.workflow_id AND idempotency_key = NEW.idempotency_key)
BEGIN
    SELECT RAISE(ABORT, 'versions are append-only: this one exists');
END;

CREATE TRIGGER workflow_context_versions_no_delete BEFORE DELETE ON workflow_context_versions
WHEN NOT EXISTS (SELECT 1 FROM workflow_context_delete_guard WHERE workflow_id = OLD.workflow_id)
BEGIN
    SELECT RAISE(ABORT, 'versions are append-only: delete the workflow through its driver');
END;
