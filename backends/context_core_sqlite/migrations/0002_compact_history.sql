-- Versions may be packed: see context_core.history_codec. The number of the version that a row's document leans on, its
-- own for one that is packed by itself, NULL for a document that is stored as it is.
ALTER TABLE workflow_context_versions ADD COLUMN base_version INTEGER;

-- A version's content never changes, but its bytes may be packed anew: when what they lean on is pruned, or when they
-- are from before there was packing. That takes a row in the delete guard, in the same transaction; all other columns
-- stay as they are whatever is in it.
DROP TRIGGER IF EXISTS workflow_context_versions_no_update;

CREATE TRIGGER workflow_context_versions_no_update
BEFORE UPDATE OF id, workflow_id, version, epic_num, story_num, feature, workflow_name, current_phase, status, created_at,
    updated_at, saved_at, tags, save_id, idempotency_key, content_hash, origin_workflow_id, origin_version
ON workflow_context_versions
BEGIN
    SELECT RAISE(ABORT, 'versions are append-only: save a new one instead');
END;

CREATE TRIGGER workflow_context_versions_no_repacking BEFORE UPDATE OF document, base_version ON workflow_context_versions
WHEN NOT EXISTS (SELECT 1 FROM workflow_context_delete_guard WHERE workflow_id = OLD.workflow_id)
BEGIN
    SELECT RAISE(ABORT, 'versions are append-only: only the driver packs them anew');
END;
