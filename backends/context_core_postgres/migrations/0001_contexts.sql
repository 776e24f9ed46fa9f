-- "our." stands for the schema of the installation. Every key begins with workflow_id, and saving asks no sequence and
-- no trigger, so that nothing here keeps the tables from being partitioned by it.

-- The current state of each workflow. Its document is plain JSON as text, so that the table reads at any psql prompt.
-- created_at is that of the first version and never changes; every other column follows the newest version.
-- Text compares by code point, whatever the database's own collation is.
CREATE TABLE our.workflow_context (
    workflow_id text COLLATE "C" NOT NULL PRIMARY KEY,
    version bigint NOT NULL,
    -- Below it nothing is left to lean on: a save that waits for a prune learns it from the row that both lock.
    oldest_version bigint NOT NULL,
    epic_num bigint NOT NULL,
    story_num bigint,
    feature text COLLATE "C" NOT NULL,
    workflow_name text COLLATE "C" NOT NULL,
    current_phase text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    saved_at timestamptz NOT NULL,
    tags text COLLATE "C" NOT NULL,
    save_id bytea,
    document text,
    -- A document that is no text: a store's codec made it, or it is damaged.
    document_bytes bytea,
    CHECK (num_nonnulls(document, document_bytes) = 1)
) WITH (fillfactor = 50);  -- room for the next state beside this one, so that a save leaves the indexes alone

-- The default order of every query: newest first.
CREATE INDEX workflow_context_by_created_at ON our.workflow_context (created_at, workflow_id);
-- "The newest of a status": the order inside the index spares a sort.
CREATE INDEX workflow_context_by_status ON our.workflow_context (status, created_at, workflow_id);
CREATE INDEX workflow_context_by_feature ON our.workflow_context (feature, created_at, workflow_id);
CREATE INDEX workflow_context_by_workflow_name ON our.workflow_context (workflow_name, created_at, workflow_id);
CREATE INDEX workflow_context_by_current_phase ON our.workflow_context (current_phase, created_at, workflow_id);
-- "All of an epic", newest first.
CREATE INDEX workflow_context_by_epic ON our.workflow_context (epic_num, created_at, workflow_id);
-- "The latest of a story", the epic level (story_num IS NULL) included.
CREATE INDEX workflow_context_by_story ON our.workflow_context (epic_num, story_num, created_at, workflow_id);
-- A story number on its own, across epics; None comes first in every order, so NULL does in the index.
CREATE INDEX workflow_context_by_story_num ON our.workflow_context (story_num NULLS FIRST, created_at, workflow_id);
-- No index on updated_at, saved_at and version: they change at each save, which then could not leave all indexes alone.

-- Every version ever saved; append-only, see the triggers.
CREATE TABLE our.workflow_context_versions (
    workflow_id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    epic_num bigint NOT NULL,
    story_num bigint,
    feature text COLLATE "C" NOT NULL,
    workflow_name text COLLATE "C" NOT NULL,
    current_phase text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    saved_at timestamptz NOT NULL,
    tags text COLLATE "C" NOT NULL,
    save_id bytea,
    idempotency_key text COLLATE "C",
    content_hash bytea,
    origin_workflow_id text COLLATE "C",
    origin_version bigint,
    -- What a packed document leans on: an earlier version, or itself, alone. NULL: it is stored as it is.
    base_version bigint,
    document bytea NOT NULL,
    PRIMARY KEY (workflow_id, version)
);

-- The history of a story, in its order.
CREATE INDEX workflow_context_versions_by_story
    ON our.workflow_context_versions (epic_num, story_num, version, created_at, workflow_id);
-- An idempotency key is looked up at each save that has one, and stands once in its workflow.
CREATE UNIQUE INDEX workflow_context_versions_by_key
    ON our.workflow_context_versions (workflow_id, idempotency_key) WHERE idempotency_key IS NOT NULL;

-- What stays of a deleted workflow: its numbers go on from here.
CREATE TABLE our.workflow_context_tombstones (
    workflow_id text COLLATE "C" NOT NULL PRIMARY KEY,
    last_version bigint NOT NULL,
    deleted_at timestamptz NOT NULL
);

CREATE FUNCTION our.workflow_context_versions_refuse() RETURNS trigger LANGUAGE plpgsql AS $function$
BEGIN
    -- The guard: set for one transaction by the driver's delete, prune and migrate, and by nothing else.
    IF current_setting('context_core.changing', true) = 'on' THEN
        IF TG_OP = 'DELETE' THEN
            RETURN OLD;
        END IF;
        -- What a version says stays; how its document is packed may change.
        IF TG_OP = 'UPDATE' THEN
            OLD.base_version := NEW.base_version;
            OLD.document := NEW.document;
            IF OLD IS NOT DISTINCT FROM NEW THEN
                RETURN NEW;
            END IF;
        END IF;
    END IF;
    RAISE EXCEPTION 'versions are append-only: save a new one, or delete the workflow through its driver'
        USING ERRCODE = 'integrity_constraint_violation';
END
$function$;

CREATE TRIGGER workflow_context_versions_no_change BEFORE UPDATE OR DELETE ON our.workflow_context_versions
    FOR EACH ROW EXECUTE FUNCTION our.workflow_context_versions_refuse();
CREATE TRIGGER workflow_context_versions_no_truncate BEFORE TRUNCATE ON our.workflow_context_versions
    FOR EACH STATEMENT EXECUTE FUNCTION our.workflow_context_versions_refuse();
