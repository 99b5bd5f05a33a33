-- As server/queue/sql/sqlite/queries.sql. Each query starts with a line `-- name: …`, by which the code asks for it. Parameters are bound in order.

-- name: insert_video
INSERT INTO videos (id, tenant, state, priority, finished, revision, clips_done, clips_total, last_sequence, error,
                    create_time_us, update_time_us, end_time_us, image_key, image_size, image_sha256)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16);

-- name: insert_spec
INSERT INTO video_specs (video_id, spec) VALUES ($1, $2);

-- name: insert_request_id
INSERT INTO request_ids (tenant, request_id, request_hash, video_id) VALUES ($1, $2, $3, $4);

-- name: find_request_id
SELECT request_hash, video_id FROM request_ids WHERE tenant = $1 AND request_id = $2;

-- Before a change: whoever changes a video holds this lock until its transaction ends, and reads it after that.
-- name: lock_video
SELECT 1 FROM videos WHERE id = $1 FOR UPDATE;

-- As lock_video, but without waiting: no row, too, if another has it.
-- name: try_lock_video
SELECT 1 FROM videos WHERE id = $1 FOR UPDATE SKIP LOCKED;

-- name: get_video
SELECT v.id, v.tenant, v.state, v.finished, v.revision, v.clips_done, v.clips_total, v.last_sequence, v.error,
       v.create_time_us, v.update_time_us, v.end_time_us, v.image_key, v.image_size, v.image_sha256, s.spec
FROM videos v JOIN video_specs s ON s.video_id = v.id
WHERE v.id = $1;

-- name: list_videos
SELECT v.id, v.tenant, v.state, v.finished, v.revision, v.clips_done, v.clips_total, v.last_sequence, v.error,
       v.create_time_us, v.update_time_us, v.end_time_us, v.image_key, v.image_size, v.image_sha256, s.spec
FROM videos v JOIN video_specs s ON s.video_id = v.id
WHERE v.tenant = $1 AND (v.create_time_us, v.id) < ($2, $3)
ORDER BY v.create_time_us DESC, v.id DESC
LIMIT $4;

-- name: list_videos_of_state
SELECT v.id, v.tenant, v.state, v.finished, v.revision, v.clips_done, v.clips_total, v.last_sequence, v.error,
       v.create_time_us, v.update_time_us, v.end_time_us, v.image_key, v.image_size, v.image_sha256, s.spec
FROM videos v JOIN video_specs s ON s.video_id = v.id
WHERE v.tenant = $1 AND v.state = $2 AND (v.create_time_us, v.id) < ($3, $4)
ORDER BY v.create_time_us DESC, v.id DESC
LIMIT $5;

-- name: update_video
UPDATE videos
SET state = $1, finished = $2, revision = $3, clips_done = $4, clips_total = $5, last_sequence = $6, error = $7,
    update_time_us = $8, end_time_us = $9
WHERE id = $10;

-- name: update_spec
UPDATE video_specs SET spec = $1 WHERE video_id = $2;

-- name: delete_video
DELETE FROM videos WHERE id = $1;

-- name: count_videos
SELECT state, COUNT(*) FROM videos GROUP BY state;

-- name: count_leasable
SELECT COUNT(*) FROM clips WHERE state IN (1, 2) AND state = 1;

-- name: insert_ready_clip
INSERT INTO clips (video_id, clip_index, state, priority, ready_since_us, loras) VALUES ($1, $2, 1, $3, $4, $5);

-- `here`: a lease of it is this server's; svi.server is set for each connection.
-- name: get_clip
SELECT state, epoch, attempts, worker, clip, mp4_key, mp4_size, mp4_sha256, carry_key, carry_size, carry_sha256,
       (server = current_setting('svi.server'))::int AS here
FROM clips
WHERE video_id = $1 AND clip_index = $2;

-- name: list_done_clips
SELECT clip FROM clips WHERE video_id = $1 AND state = 3 ORDER BY clip_index;

-- name: list_artifacts
SELECT mp4_key, mp4_size, mp4_sha256, carry_key, carry_size, carry_sha256
FROM clips
WHERE video_id = $1
ORDER BY clip_index;

-- Clips that wait or are being made; a video has one at most.
-- name: list_current_clips
SELECT c.video_id, v.tenant, c.clip_index, v.clips_total, v.finished, c.priority, c.ready_since_us, v.create_time_us,
       c.loras, c.state, c.worker, c.leased_us
FROM clips c JOIN videos v ON v.id = c.video_id
WHERE c.state IN (1, 2) AND c.video_id > $1
ORDER BY c.video_id
LIMIT $2;

-- name: find_current_clip
SELECT c.video_id, v.tenant, c.clip_index, v.clips_total, v.finished, c.priority, c.ready_since_us, v.create_time_us,
       c.loras, c.state, c.worker, c.leased_us
FROM clips c JOIN videos v ON v.id = c.video_id
WHERE c.state IN (1, 2) AND c.video_id = $1;

-- name: list_served_clips
SELECT c.video_id, v.tenant, c.leased_us, c.done_us
FROM clips c JOIN videos v ON v.id = c.video_id
WHERE c.done_us >= $1
ORDER BY c.done_us DESC
LIMIT $2;

-- name: list_held_leases
SELECT video_id, clip_index, epoch, worker FROM clips
WHERE state = 2 AND server = current_setting('svi.server')
ORDER BY video_id;

-- The state is part of each condition: the row must be where the table of transitions says it is.

-- name: lease_clip
UPDATE clips SET state = $1, epoch = epoch + 1, attempts = attempts + 1, worker = $2, leased_us = $3,
                 server = current_setting('svi.server')
WHERE video_id = $4 AND clip_index = $5 AND state = $6;

-- A lease becomes this server's.
-- name: claim_clip
UPDATE clips SET server = current_setting('svi.server')
WHERE video_id = $1 AND clip_index = $2 AND state = 2 AND epoch = $3 AND worker = $4;

-- name: put_back_clip
UPDATE clips SET state = $1, attempts = $2, worker = '', ready_since_us = $3
WHERE video_id = $4 AND clip_index = $5 AND state = $6;

-- name: void_clip
UPDATE clips SET state = $1, worker = ''
WHERE video_id = $2 AND clip_index = $3 AND state = $4;

-- name: finish_clip
UPDATE clips
SET state = $1, clip = $2, mp4_key = $3, mp4_size = $4, mp4_sha256 = $5, carry_key = $6, carry_size = $7, carry_sha256 = $8,
    done_us = $9
WHERE video_id = $10 AND clip_index = $11 AND state = $12;

-- name: drop_carry
UPDATE clips SET carry_key = NULL, carry_size = NULL, carry_sha256 = NULL
WHERE video_id = $1 AND clip_index = $2;

-- name: insert_event
INSERT INTO events (video_id, sequence, event) VALUES ($1, $2, $3);

-- name: video_exists
SELECT 1 FROM videos WHERE id = $1;

-- name: tenant_of_video
SELECT tenant FROM videos WHERE id = $1;

-- Videos that have not ended, up to the limit.
-- name: count_active_of_tenant
SELECT COUNT(*) FROM (SELECT 1 FROM videos WHERE tenant = $1 AND state IN (1, 2, 3) LIMIT $2) AS active;

-- name: count_active
SELECT COUNT(*) FROM (SELECT 1 FROM videos WHERE state IN (1, 2, 3) LIMIT $1) AS active;

-- name: list_events
SELECT event FROM events WHERE video_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3;
