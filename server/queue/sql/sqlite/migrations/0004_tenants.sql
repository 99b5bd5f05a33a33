-- Whose each video and training run is (server/queue/tenant.h). What was there before is the default tenant's.
ALTER TABLE videos ADD COLUMN tenant TEXT NOT NULL DEFAULT 'default';
ALTER TABLE training_runs ADD COLUMN tenant TEXT NOT NULL DEFAULT 'default';

-- ListVideos and ListTrainingRuns, without and with a filter by state.
DROP INDEX videos_newest;
DROP INDEX videos_newest_of_state;
CREATE INDEX videos_newest ON videos (tenant, create_time_us DESC, id DESC);
CREATE INDEX videos_newest_of_state ON videos (tenant, state, create_time_us DESC, id DESC);
DROP INDEX training_runs_newest;
DROP INDEX training_runs_newest_of_state;
CREATE INDEX training_runs_newest ON training_runs (tenant, create_time_us DESC, id DESC);
CREATE INDEX training_runs_newest_of_state ON training_runs (tenant, state, create_time_us DESC, id DESC);

-- The limits on videos that have not ended.
CREATE INDEX videos_active ON videos (tenant) WHERE state IN (1, 2, 3);

-- Each tenant has request ids of its own.
ALTER TABLE request_ids RENAME TO old_request_ids;
CREATE TABLE request_ids (
  tenant       TEXT NOT NULL,
  request_id   TEXT NOT NULL,
  request_hash BLOB NOT NULL,
  video_id     TEXT NOT NULL UNIQUE REFERENCES videos (id) ON DELETE CASCADE,
  PRIMARY KEY (tenant, request_id)
) STRICT;
INSERT INTO request_ids SELECT 'default', request_id, request_hash, video_id FROM old_request_ids;
DROP TABLE old_request_ids;

ALTER TABLE training_request_ids RENAME TO old_training_request_ids;
CREATE TABLE training_request_ids (
  tenant       TEXT NOT NULL,
  request_id   TEXT NOT NULL,
  request_hash BLOB NOT NULL,
  run_id       TEXT NOT NULL UNIQUE REFERENCES training_runs (id) ON DELETE CASCADE,
  PRIMARY KEY (tenant, request_id)
) STRICT;
INSERT INTO training_request_ids SELECT 'default', request_id, request_hash, run_id FROM old_training_request_ids;
DROP TABLE old_training_request_ids;
