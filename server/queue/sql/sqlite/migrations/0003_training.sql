-- States: server/queue/training_states.h and TrainingState of training_service.proto.
-- `spec`, `progress`, `error`, `event` and `lora` are protobuf messages of svi.v1.

CREATE TABLE training_runs (
  id             TEXT    NOT NULL PRIMARY KEY,
  state          INTEGER NOT NULL,
  -- What its LoRA is or will be called; empty if it makes none.
  lora_name      TEXT    NOT NULL,
  epoch          INTEGER NOT NULL,
  attempts       INTEGER NOT NULL,
  worker         TEXT    NOT NULL,
  ready_since_us INTEGER NOT NULL,
  last_sequence  INTEGER NOT NULL,
  progress       BLOB,
  error          BLOB,
  create_time_us INTEGER NOT NULL,
  update_time_us INTEGER NOT NULL,
  end_time_us    INTEGER,
  spec           BLOB    NOT NULL
) STRICT;

-- ListTrainingRuns, without and with a filter by state.
CREATE INDEX training_runs_newest ON training_runs (create_time_us DESC, id DESC);
CREATE INDEX training_runs_newest_of_state ON training_runs (state, create_time_us DESC, id DESC);
CREATE INDEX training_runs_queued ON training_runs (ready_since_us, id) WHERE state = 1;
-- An active run keeps others from its name.
CREATE UNIQUE INDEX training_runs_naming ON training_runs (lora_name) WHERE lora_name <> '' AND state IN (1, 2);

CREATE TABLE training_request_ids (
  request_id   TEXT NOT NULL PRIMARY KEY,
  request_hash BLOB NOT NULL,
  run_id       TEXT NOT NULL UNIQUE REFERENCES training_runs (id) ON DELETE CASCADE
) STRICT;

CREATE TABLE training_events (
  run_id   TEXT    NOT NULL REFERENCES training_runs (id) ON DELETE CASCADE,
  sequence INTEGER NOT NULL,
  event    BLOB    NOT NULL,
  PRIMARY KEY (run_id, sequence)
) STRICT;

-- Published LoRAs.
CREATE TABLE loras (
  name        TEXT    NOT NULL PRIMARY KEY,
  run_id      TEXT    NOT NULL UNIQUE REFERENCES training_runs (id),
  lora        BLOB    NOT NULL,
  file_key    TEXT    NOT NULL,
  file_size   INTEGER NOT NULL,
  file_sha256 BLOB    NOT NULL
) STRICT;
