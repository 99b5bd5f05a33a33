-- What the SQLite schema holds (server/queue/sql/sqlite/migrations), for several servers at once. Times are
-- microseconds since 1970 (UTC). Text is compared by bytes, as the program does it, whatever the database's locale.
-- States: server/queue/states.h, training_states.h, and VideoState and TrainingState of svi.v1. `spec`, `error`,
-- `clip`, `event`, `progress` and `lora` are protobuf messages of svi.v1.

CREATE TABLE videos (
  id             TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  state          BIGINT NOT NULL,
  priority       BIGINT NOT NULL,
  finished       BIGINT NOT NULL,
  revision       BIGINT NOT NULL,
  clips_done     BIGINT NOT NULL,
  clips_total    BIGINT NOT NULL,
  last_sequence  BIGINT NOT NULL,
  error          BYTEA,
  create_time_us BIGINT NOT NULL,
  update_time_us BIGINT NOT NULL,
  end_time_us    BIGINT,
  image_key      TEXT COLLATE "C" NOT NULL,
  image_size     BIGINT NOT NULL,
  image_sha256   BYTEA NOT NULL
) WITH (fillfactor = 80);

-- ListVideos, without and with a filter by state.
CREATE INDEX videos_newest ON videos (create_time_us DESC, id DESC);
CREATE INDEX videos_newest_of_state ON videos (state, create_time_us DESC, id DESC);

-- How many there are in each state.
CREATE INDEX videos_of_state ON videos (state);

-- Apart from `videos`, so that a change of state does not rewrite up to 16 MiB of prompts.
CREATE TABLE video_specs (
  video_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES videos (id) ON DELETE CASCADE,
  spec     BYTEA NOT NULL
);

CREATE TABLE request_ids (
  request_id   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  request_hash BYTEA NOT NULL,
  video_id     TEXT COLLATE "C" NOT NULL UNIQUE REFERENCES videos (id) ON DELETE CASCADE
);

-- One row for each clip that is done, and for the one whose turn it is.
CREATE TABLE clips (
  video_id       TEXT COLLATE "C" NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
  clip_index     BIGINT NOT NULL,
  state          BIGINT NOT NULL,
  epoch          BIGINT NOT NULL DEFAULT 0,
  attempts       BIGINT NOT NULL DEFAULT 0,
  worker         TEXT COLLATE "C" NOT NULL DEFAULT '',
  -- Of the lease: the server that the worker is connected to.
  server         TEXT COLLATE "C" NOT NULL DEFAULT '',
  priority       BIGINT NOT NULL,
  ready_since_us BIGINT NOT NULL,
  -- The names of the LoRAs that the clip needs: each once, sorted, with commas between them.
  loras          TEXT COLLATE "C" NOT NULL DEFAULT '',
  clip           BYTEA,
  mp4_key        TEXT COLLATE "C",
  mp4_size       BIGINT,
  mp4_sha256     BYTEA,
  carry_key      TEXT COLLATE "C",
  carry_size     BIGINT,
  carry_sha256   BYTEA,
  PRIMARY KEY (video_id, clip_index)
);

CREATE INDEX clips_ready ON clips (loras, priority DESC, ready_since_us, video_id) WHERE state = 1;
CREATE INDEX clips_leased ON clips (server) WHERE state = 2;

CREATE TABLE events (
  video_id TEXT COLLATE "C" NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
  sequence BIGINT NOT NULL,
  event    BYTEA NOT NULL,
  PRIMARY KEY (video_id, sequence)
);

CREATE TABLE training_runs (
  id             TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  state          BIGINT NOT NULL,
  -- What its LoRA is or will be called; empty if it makes none.
  lora_name      TEXT COLLATE "C" NOT NULL,
  epoch          BIGINT NOT NULL,
  attempts       BIGINT NOT NULL,
  worker         TEXT COLLATE "C" NOT NULL,
  server         TEXT COLLATE "C" NOT NULL DEFAULT '',
  ready_since_us BIGINT NOT NULL,
  last_sequence  BIGINT NOT NULL,
  progress       BYTEA,
  error          BYTEA,
  create_time_us BIGINT NOT NULL,
  update_time_us BIGINT NOT NULL,
  end_time_us    BIGINT,
  spec           BYTEA NOT NULL
);

CREATE INDEX training_runs_newest ON training_runs (create_time_us DESC, id DESC);
CREATE INDEX training_runs_newest_of_state ON training_runs (state, create_time_us DESC, id DESC);
CREATE INDEX training_runs_queued ON training_runs (ready_since_us, id) WHERE state = 1;
CREATE INDEX training_runs_leased ON training_runs (server) WHERE state = 2;
-- An active run keeps others from its name.
CREATE UNIQUE INDEX training_runs_naming ON training_runs (lora_name) WHERE lora_name <> '' AND state IN (1, 2);

CREATE TABLE training_request_ids (
  request_id   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  request_hash BYTEA NOT NULL,
  run_id       TEXT COLLATE "C" NOT NULL UNIQUE REFERENCES training_runs (id) ON DELETE CASCADE
);

CREATE TABLE training_events (
  run_id   TEXT COLLATE "C" NOT NULL REFERENCES training_runs (id) ON DELETE CASCADE,
  sequence BIGINT NOT NULL,
  event    BYTEA NOT NULL,
  PRIMARY KEY (run_id, sequence)
);

-- Published LoRAs.
CREATE TABLE loras (
  name        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  run_id      TEXT COLLATE "C" NOT NULL UNIQUE REFERENCES training_runs (id),
  lora        BYTEA NOT NULL,
  file_key    TEXT COLLATE "C" NOT NULL,
  file_size   BIGINT NOT NULL,
  file_sha256 BYTEA NOT NULL
);

-- The servers that work with this database, by the database's own clock. One that has not been seen for long is
-- gone, and the others take over its leases (server/queue/postgres_peers.h).
CREATE TABLE servers (
  id       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  seen_us  BIGINT NOT NULL,
  -- Since when it has been seen without a break.
  since_us BIGINT NOT NULL
);
