-- Whose each video and training run is (server/queue/tenant.h). What was there before is the default tenant's.
ALTER TABLE videos ADD COLUMN tenant TEXT COLLATE "C" NOT NULL DEFAULT 'default';
ALTER TABLE training_runs ADD COLUMN tenant TEXT COLLATE "C" NOT NULL DEFAULT 'default';

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
ALTER TABLE request_ids ADD COLUMN tenant TEXT COLLATE "C" NOT NULL DEFAULT 'default';
ALTER TABLE request_ids DROP CONSTRAINT request_ids_pkey, ADD PRIMARY KEY (tenant, request_id);
ALTER TABLE training_request_ids ADD COLUMN tenant TEXT COLLATE "C" NOT NULL DEFAULT 'default';
ALTER TABLE training_request_ids DROP CONSTRAINT training_request_ids_pkey, ADD PRIMARY KEY (tenant, request_id);
