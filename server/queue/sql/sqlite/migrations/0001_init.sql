-- Times are microseconds since 1970 (UTC). States: server/queue/states.h and VideoState of resources.proto.
-- `spec`, `error`, `clip` and `event` are protobuf messages of svi.v1.

CREATE TABLE videos (
  id             TEXT    NOT NULL PRIMARY KEY,
  state          INTEGER NOT NULL,
  priority       INTEGER NOT NULL,
  finished       INTEGER NOT NULL,
  revision       INTEGER NOT NULL,
  clips_done     INTEGER NOT NULL,
  clips_total    INTEGER NOT NULL,
  last_sequence  INTEGER NOT NULL,
  error          BLOB,
  create_time_us INTEGER NOT NULL,
  update_time_us INTEGER NOT NULL,
  end_time_us    INTEGER,
  image_key      TEXT    NOT NULL,
  image_size     INTEGER NOT NULL,
  image_sha256   BLOB    NOT NULL
) STRICT;

-- ListVideos, without and with a filter by state.
CREATE INDEX videos_newest ON videos (create_time_us DESC, id DESC);
CREATE INDEX videos_newest_of_state ON videos (state, create_time_us DESC, id DESC);

-- Apart from `videos`, so that a change of state does not rewrite up to 16 MiB of prompts.
CREATE TABLE video_specs (
  video_id TEXT NOT NULL PRIMARY KEY REFERENCES videos (id) ON DELETE CASCADE,
  spec     BLOB NOT NULL
) STRICT;

CREATE TABLE request_ids (
  request_id   TEXT NOT NULL PRIMARY KEY,
  request_hash BLOB NOT NULL,
  video_id     TEXT NOT NULL UNIQUE REFERENCES videos (id) ON DELETE CASCADE
) STRICT;

-- One row for each clip that is done, and for the one whose turn it is.
CREATE TABLE clips (
  video_id       TEXT    NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
  clip_index     INTEGER NOT NULL,
  state          INTEGER NOT NULL,
  epoch          INTEGER NOT NULL DEFAULT 0,
  attempts       INTEGER NOT NULL DEFAULT 0,
  worker         TEXT    NOT NULL DEFAULT '',
  priority       INTEGER NOT NULL,
  ready_since_us INTEGER NOT NULL,
  clip           BLOB,
  mp4_key        TEXT,
  mp4_size       INTEGER,
  mp4_sha256     BLOB,
  carry_key      TEXT,
  carry_size     INTEGER,
  carry_sha256   BLOB,
  PRIMARY KEY (video_id, clip_index)
) STRICT;

CREATE INDEX clips_ready ON clips (priority DESC, ready_since_us, video_id) WHERE state = 1;
CREATE INDEX clips_leased ON clips (video_id) WHERE state = 2;

CREATE TABLE events (
  video_id TEXT    NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
  sequence INTEGER NOT NULL,
  event    BLOB    NOT NULL,
  PRIMARY KEY (video_id, sequence)
) STRICT;
