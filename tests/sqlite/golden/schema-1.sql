BEGIN TRANSACTION;
CREATE TABLE context_core_schema (
        version INTEGER NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        applied_at TEXT NOT NULL
    ) STRICT;
INSERT INTO "context_core_schema" VALUES(1,'0001_contexts','2026-01-02T03:04:06.678901+00:00');
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
INSERT INTO "workflow_context" VALUES('order-7',6,1,2,'checkout','deliver','done','running','2026-01-01T00:00:00.000000+00:00','2026-11-25T04:35:22.390080+00:00','2026-01-02T03:04:12.678901+00:00','["a","b"]',NULL,'{"schema":1,"workflow_id":"order-7","epic_num":1,"story_num":2,"feature":"checkout","workflow_name":"deliver","current_phase":"done","phase_history":[{"phase":"initialization","timestamp":"2026-01-01T01:00:00.000000+00:00","duration":3600.0},{"phase":"build","timestamp":"2026-01-01T02:00:00.000001+00:00","duration":3600.000001},{"phase":"test","timestamp":"2026-01-01T03:00:00.000002+00:00","duration":3600.000001},{"phase":"review","timestamp":"2026-01-01T04:00:00.000003+00:00","duration":3600.000001},{"phase":"release","timestamp":"2026-01-01T05:00:00.000004+00:00","duration":3600.000001}],"decisions":{"db":{"choice":"sqlite","naïve":"ünïcode \u0000"}},"artifacts":["dist/part-0.tar.gz","dist/part-1.tar.gz","dist/part-2.tar.gz","dist/part-3.tar.gz","dist/part-4.tar.gz"],"errors":[],"status":"running","created_at":"2026-01-01T00:00:00.000000+00:00","updated_at":"2026-11-25T04:35:22.390080+00:00","metadata":{},"tags":["a","b"]}');
INSERT INTO "workflow_context" VALUES('order-8',1,1,2,'checkout','deliver','test','running','2026-01-01T00:00:00.000000+00:00','2026-11-25T04:35:22.382805+00:00','2026-01-02T03:04:13.678901+00:00','["a","b"]',NULL,'{"schema":1,"workflow_id":"order-8","epic_num":1,"story_num":2,"feature":"checkout","workflow_name":"deliver","current_phase":"test","phase_history":[{"phase":"initialization","timestamp":"2026-01-01T01:00:00.000000+00:00","duration":3600.0},{"phase":"build","timestamp":"2026-01-01T02:00:00.000001+00:00","duration":3600.000001}],"decisions":{"db":{"choice":"sqlite","naïve":"ünïcode \u0000"}},"artifacts":["dist/part-0.tar.gz","dist/part-1.tar.gz"],"errors":[],"status":"running","created_at":"2026-01-01T00:00:00.000000+00:00","updated_at":"2026-11-25T04:35:22.382805+00:00","metadata":{},"tags":["a","b"]}');
INSERT INTO "workflow_context" VALUES('epic',1,9,NULL,'checkout','plan','initialization','running','2026-01-01T00:00:00.000000+00:00','2026-01-01T00:00:00.000000+00:00','2026-01-02T03:04:14.678901+00:00','[]',NULL,'{"schema":1,"workflow_id":"epic","epic_num":9,"story_num":null,"feature":"checkout","workflow_name":"plan","current_phase":"initialization","phase_history":[],"decisions":{},"artifacts":[],"errors":[],"status":"running","created_at":"2026-01-01T00:00:00.000000+00:00","updated_at":"2026-01-01T00:00:00.000000+00:00","metadata":{"n":1.5},"tags":[]}');
CREATE TABLE workflow_context_delete_guard (
    workflow_id TEXT NOT NULL PRIMARY KEY
) STRICT;
CREATE TABLE workflow_context_tombstones (
    workflow_id TEXT NOT NULL PRIMARY KEY,
    last_version INTEGER NOT NULL,
    deleted_at TEXT NOT NULL
) STRICT;
INSERT INTO "workflow_context_tombstones" VALUES('gone',1,'2026-01-02T03:04:16.678901+00:00');
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
INSERT INTO "workflow_context_versions" VALUES(1,'order-7',1,1,2,'checkout','deliver','initialization','running','2026-01-01T00:00:00.000000+00:00','2026-01-01T00:00:00.000000+00:00','2026-01-02T03:04:07.678901+00:00','["a","b"]',NULL,'first',X'FB5611A7C1C7C5FD03432A95F276B86A1451C77410EB4AF836D93C710720E3AB',NULL,NULL,'{"schema":1,"workflow_id":"order-7","epic_num":1,"story_num":2,"feature":"checkout","workflow_name":"deliver","current_phase":"initialization","phase_history":[],"decisions":{"db":{"choice":"sqlite","naïve":"ünïcode \u0000"}},"artifacts":[],"errors":[],"status":"running","created_at":"2026-01-01T00:00:00.000000+00:00","updated_at":"2026-01-01T00:00:00.000000+00:00","metadata":{},"tags":["a","b"]}');
INSERT INTO "workflow_context_versions" VALUES(2,'order-7',2,1,2,'checkout','deliver','build','running','2026-01-01T00:00:00.000000+00:00','2026-11-25T04:35:22.382258+00:00','2026-01-02T03:04:08.678901+00:00','["a","b"]',NULL,NULL,NULL,NULL,NULL,'{"schema":1,"workflow_id":"order-7","epic_num":1,"story_num":2,"feature":"checkout","workflow_name":"deliver","current_phase":"build","phase_history":[{"phase":"initialization","timestamp":"2026-01-01T01:00:00.000000+00:00","duration":3600.0}],"decisions":{"db":{"choice":"sqlite","naïve":"ünïcode \u0000"}},"artifacts":["dist/part-0.tar.gz"],"errors":[],"status":"running","created_at":"2026-01-01T00:00:00.000000+00:00","updated_at":"2026-11-25T04:35:22.382258+00:00","metadata":{},"tags":["a","b"]}');
INSERT INTO "workflow_context_versions" VALUES(3,'order-7',3,1,2,'checkout','deliver','test','running','2026-01-01T00:00:00.000000+00:00','2026-11-25T04:35:22.382805+00:00','2026-01-02T03:04:09.678901+00:00','["a","b"]',NULL,NULL,NULL,NULL,NULL,'{"schema":1,"workflow_id":"order-7","epic_num":1,"story_num":2,"feature":"checkout","workflow_name":"deliver","current_phase":"test","phase_history":[{"phase":"initialization","timestamp":"2026-01-01T01:00:00.000000+00:00","duration":3600.0},{"phase":"build","timestamp":"2026-01-01T02:00:00.000001+00:00","duration":3600.000001}],"decisions":{"db":{"choice":"sqlite","naïve":"ünïcode \u0000"}},"artifacts":["dist/part-0.tar.gz","dist/part-1.tar.gz"],"errors":[],"status":"running","created_at":"2026-01-01T00:00:00.000000+00:00","updated_at":"2026-11-25T04:35:22.382805+00:00","metadata":{},"tags":["a","b"]}');
INSERT INTO "workflow_context_versions" VALUES(4,'order-7',4,1,2,'checkout','deliver','review','running','2026-01-01T00:00:00.000000+00:00','2026-11-25T04:35:22.386073+00:00','2026-01-02T03:04:10.678901+00:00','["a","b"]',NULL,NULL,NULL,NULL,NULL,'{"schema":1,"workflow_id":"order-7","epic_num":1,"story_num":2,"feature":"checkout","workflow_name":"deliver","current_phase":"review","phase_history":[{"phase":"initialization","timestamp":"2026-01-01T01:00:00.000000+00:00","duration":3600.0},{"phase":"build","timestamp":"2026-01-01T02:00:00.000001+00:00","duration":3600.000001},{"phase":"test","timestamp":"2026-01-01T03:00:00.000002+00:00","duration":3600.000001}],"decisions":{"db":{"choice":"sqlite","naïve":"ünïcode \u0000"}},"artifacts":["dist/part-0.tar.gz","dist/part-1.tar.gz","dist/part-2.tar.gz"],"errors":[],"status":"running","created_at":"2026-01-01T00:00:00.000000+00:00","updated_at":"2026-11-25T04:35:22.386073+00:00","metadata":{},"tags":["a","b"]}');
INSERT INTO "workflow_context_versions" VALUES(5,'order-7',5,1,2,'checkout','deliver','release','running','2026-01-01T00:00:00.000000+00:00','2026-11-25T04:35:22.386585+00:00','2026-01-02T03:04:11.678901+00:00','["a","b"]',NULL,NULL,NULL,NULL,NULL,'{"schema":1,"workflow_id":"order-7","epic_num":1,"story_num":2,"feature":"checkout","workflow_name":"deliver","current_phase":"release","phase_history":[{"phase":"initialization","timestamp":"2026-01-01T01:00:00.000000+00:00","duration":3600.0},{"phase":"build","timestamp":"2026-01-01T02:00:00.000001+00:00","duration":3600.000001},{"phase":"test","timestamp":"2026-01-01T03:00:00.000002+00:00","duration":3600.000001},{"phase":"review","timestamp":"2026-01-01T04:00:00.000003+00:00","duration":3600.000001}],"decisions":{"db":{"choice":"sqlite","naïve":"ünïcode \u0000"}},"artifacts":["dist/part-0.tar.gz","dist/part-1.tar.gz","dist/part-2.tar.gz","dist/part-3.tar.gz"],"errors":[],"status":"running","created_at":"2026-01-01T00:00:00.000000+00:00","updated_at":"2026-11-25T04:35:22.386585+00:00","metadata":{},"tags":["a","b"]}');
INSERT INTO "workflow_context_versions" VALUES(6,'order-7',6,1,2,'checkout','deliver','done','running','2026-01-01T00:00:00.000000+00:00','2026-11-25T04:35:22.390080+00:00','2026-01-02T03:04:12.678901+00:00','["a","b"]',NULL,NULL,NULL,NULL,NULL,'{"schema":1,"workflow_id":"order-7","epic_num":1,"story_num":2,"feature":"checkout","workflow_name":"deliver","current_phase":"done","phase_history":[{"phase":"initialization","timestamp":"2026-01-01T01:00:00.000000+00:00","duration":3600.0},{"phase":"build","timestamp":"2026-01-01T02:00:00.000001+00:00","duration":3600.000001},{"phase":"test","timestamp":"2026-01-01T03:00:00.000002+00:00","duration":3600.000001},{"phase":"review","timestamp":"2026-01-01T04:00:00.000003+00:00","duration":3600.000001},{"phase":"release","timestamp":"2026-01-01T05:00:00.000004+00:00","duration":3600.000001}],"decisions":{"db":{"choice":"sqlite","naïve":"ünïcode \u0000"}},"artifacts":["dist/part-0.tar.gz","dist/part-1.tar.gz","dist/part-2.tar.gz","dist/part-3.tar.gz","dist/part-4.tar.gz"],"errors":[],"status":"running","created_at":"2026-01-01T00:00:00.000000+00:00","updated_at":"2026-11-25T04:35:22.390080+00:00","metadata":{},"tags":["a","b"]}');
INSERT INTO "workflow_context_versions" VALUES(7,'order-8',1,1,2,'checkout','deliver','test','running','2026-01-01T00:00:00.000000+00:00','2026-11-25T04:35:22.382805+00:00','2026-01-02T03:04:13.678901+00:00','["a","b"]',NULL,NULL,NULL,'order-7',3,'{"schema":1,"workflow_id":"order-8","epic_num":1,"story_num":2,"feature":"checkout","workflow_name":"deliver","current_phase":"test","phase_history":[{"phase":"initialization","timestamp":"2026-01-01T01:00:00.000000+00:00","duration":3600.0},{"phase":"build","timestamp":"2026-01-01T02:00:00.000001+00:00","duration":3600.000001}],"decisions":{"db":{"choice":"sqlite","naïve":"ünïcode \u0000"}},"artifacts":["dist/part-0.tar.gz","dist/part-1.tar.gz"],"errors":[],"status":"running","created_at":"2026-01-01T00:00:00.000000+00:00","updated_at":"2026-11-25T04:35:22.382805+00:00","metadata":{},"tags":["a","b"]}');
INSERT INTO "workflow_context_versions" VALUES(8,'epic',1,9,NULL,'checkout','plan','initialization','running','2026-01-01T00:00:00.000000+00:00','2026-01-01T00:00:00.000000+00:00','2026-01-02T03:04:14.678901+00:00','[]',NULL,NULL,NULL,NULL,NULL,'{"schema":1,"workflow_id":"epic","epic_num":9,"story_num":null,"feature":"checkout","workflow_name":"plan","current_phase":"initialization","phase_history":[],"decisions":{},"artifacts":[],"errors":[],"status":"running","created_at":"2026-01-01T00:00:00.000000+00:00","updated_at":"2026-01-01T00:00:00.000000+00:00","metadata":{"n":1.5},"tags":[]}');
CREATE INDEX workflow_context_by_created_at ON workflow_context (created_at, workflow_id);
CREATE INDEX workflow_context_by_status ON workflow_context (status, created_at, workflow_id);
CREATE INDEX workflow_context_by_feature ON workflow_context (feature, created_at, workflow_id);
CREATE INDEX workflow_context_by_workflow_name ON workflow_context (workflow_name, created_at, workflow_id);
CREATE INDEX workflow_context_by_current_phase ON workflow_context (current_phase, created_at, workflow_id);
CREATE INDEX workflow_context_by_epic ON workflow_context (epic_num, created_at, workflow_id);
CREATE INDEX workflow_context_by_story ON workflow_context (epic_num, story_num, created_at, workflow_id);
CREATE INDEX workflow_context_by_story_num ON workflow_context (story_num, created_at, workflow_id);
CREATE INDEX workflow_context_versions_by_story
    ON workflow_context_versions (epic_num, story_num, version, created_at, workflow_id);
CREATE UNIQUE INDEX workflow_context_versions_by_key
    ON workflow_context_versions (workflow_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE TRIGGER workflow_context_versions_no_update BEFORE UPDATE ON workflow_context_versions
BEGIN
    SELECT RAISE(ABORT, 'versions are append-only: save a new one instead');
END;
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
COMMIT;
