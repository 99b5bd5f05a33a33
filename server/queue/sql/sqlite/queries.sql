-- Each query starts with a line `-- name: …`, by which the code asks for it. Parameters are bound in order.

-- name: begin_read
BEGIN DEFERRED;

-- name: begin_write
BEGIN IMMEDIATE;

-- name: commit
COMMIT;

-- name: rollback
ROLLBACK;

-- name: insert_video
INSERT INTO videos (id, tenant, state, priority, finished, revision, clips_done, clips_total, last_sequence, error,
                    create_time_us, update_time_us, end_time_us, image_key, image_size, image_sha256)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: insert_spec
INSERT INTO video_specs (video_id, spec) VALUES (?, ?);

-- name: insert_request_id
INSERT INTO request_ids (tenant, request_id, request_hash, video_id) VALUES (?, ?, ?, ?);

-- name: find_request_id
SELECT request_hash, video_id FROM request_ids WHERE tenant = ? AND request_id = ?;

-- Before a change: PostgreSQL locks the row here; SQLite has one writer at a time.
-- name: lock_video
SELECT 1 FROM videos WHERE id = ?;

-- As lock_video, but without waiting: no row, too, if another has it.
-- name: try_lock_video
SELECT 1 FROM videos WHERE id = ?;

-- name: get_video
SELECT v.id, v.tenant, v.state, v.finished, v.revision, v.clips_done, v.clips_total, v.last_sequence, v.error,
       v.create_time_us, v.update_time_us, v.end_time_us, v.image_key, v.image_size, v.image_sha256, s.spec
FROM videos v JOIN video_specs s ON s.video_id = v.id
WHERE v.id = ?;

-- name: list_videos
SELECT v.id, v.tenant, v.state, v.finished, v.revision, v.clips_done, v.clips_total, v.last_sequence, v.error,
       v.create_time_us, v.update_time_us, v.end_time_us, v.image_key, v.image_size, v.image_sha256, s.spec
FROM videos v JOIN video_specs s ON s.video_id = v.id
WHERE v.tenant = ? AND (v.create_time_us, v.id) < (?, ?)
ORDER BY v.create_time_us DESC, v.id DESC
LIMIT ?;

-- name: list_videos_of_state
SELECT v.id, v.tenant, v.state, v.finished, v.revision, v.clips_done, v.clips_total, v.last_sequence, v.error,
       v.create_time_us, v.update_time_us, v.end_time_us, v.image_key, v.image_size, v.image_sha256, s.spec
FROM videos v JOIN video_specs s ON s.video_id = v.id
WHERE v.tenant = ? AND v.state = ? AND (v.create_time_us, v.id) < (?, ?)
ORDER BY v.create_time_us DESC, v.id DESC
LIMIT ?;

-- name: update_video
UPDATE videos
SET state = ?, finished = ?, revision = ?, clips_done = ?, clips_total = ?, last_sequence = ?, error = ?,
    update_time_us = ?, end_time_us = ?
WHERE id = ?;

-- name: update_spec
UPDATE video_specs SET spec = ? WHERE video_id = ?;

-- name: delete_video
DELETE FROM videos WHERE id = ?;

-- name: count_videos
SELECT state, COUNT(*) FROM videos GROUP BY state;

-- name: count_leasable
SELECT COUNT(*) FROM clips WHERE state IN (1, 2) AND state = 1;

-- name: insert_ready_clip
INSERT INTO clips (video_id, clip_index, state, priority, ready_since_us, loras) VALUES (?, ?, 1, ?, ?, ?);

-- `here`: a lease of it is this server's; with SQLite there is no other.
-- name: get_clip
SELECT state, epoch, attempts, worker, clip, mp4_key, mp4_size, mp4_sha256, carry_key, carry_size, carry_sha256,
       1 AS here
FROM clips
WHERE video_id = ? AND clip_index = ?;

-- name: list_done_clips
SELECT clip FROM clips WHERE video_id = ? AND state = 3 ORDER BY clip_index;

-- name: list_artifacts
SELECT mp4_key, mp4_size, mp4_sha256, carry_key, carry_size, carry_sha256
FROM clips
WHERE video_id = ?
ORDER BY clip_index;

-- Clips that wait or are being made; a video has one at most.
-- name: list_current_clips
SELECT c.video_id, v.tenant, c.clip_index, v.clips_total, v.finished, c.priority, c.ready_since_us, v.create_time_us,
       c.loras, c.state, c.worker, c.leased_us
FROM clips c JOIN videos v ON v.id = c.video_id
WHERE c.state IN (1, 2) AND c.video_id > ?
ORDER BY c.video_id
LIMIT ?;

-- name: find_current_clip
SELECT c.video_id, v.tenant, c.clip_index, v.clips_total, v.finished, c.priority, c.ready_since_us, v.create_time_us,
       c.loras, c.state, c.worker, c.leased_us
FROM clips c JOIN videos v ON v.id = c.video_id
WHERE c.state IN (1, 2) AND c.video_id = ?;

-- name: list_served_clips
SELECT c.video_id, v.tenant, c.leased_us, c.done_us
FROM clips c JOIN videos v ON v.id = c.video_id
WHERE c.done_us >= ?
ORDER BY c.done_us DESC
LIMIT ?;

-- name: list_held_leases
SELECT video_id, clip_index, epoch, worker FROM clips WHERE state = 2 ORDER BY video_id;

-- The state is part of each condition: the row must be where the table of transitions says it is.

-- name: lease_clip
UPDATE clips SET state = ?, epoch = epoch + 1, attempts = attempts + 1, worker = ?, leased_us = ?
WHERE video_id = ? AND clip_index = ? AND state = ?;

-- A lease becomes this server's.
-- name: claim_clip
UPDATE clips SET worker = worker WHERE video_id = ? AND clip_index = ? AND state = 2 AND epoch = ? AND worker = ?;

-- name: put_back_clip
UPDATE clips SET state = ?, attempts = ?, worker = '', ready_since_us = ?
WHERE video_id = ? AND clip_index = ? AND state = ?;

-- name: void_clip
UPDATE clips SET state = ?, worker = ''
WHERE video_id = ? AND clip_index = ? AND state = ?;

-- name: finish_clip
UPDATE clips
SET state = ?, clip = ?, mp4_key = ?, mp4_size = ?, mp4_sha256 = ?, carry_key = ?, carry_size = ?, carry_sha256 = ?,
    done_us = ?
WHERE video_id = ? AND clip_index = ? AND state = ?;

-- name: drop_carry
UPDATE clips SET carry_key = NULL, carry_size = NULL, carry_sha256 = NULL
WHERE video_id = ? AND clip_index = ?;

-- name: insert_event
INSERT INTO events (video_id, sequence, event) VALUES (?, ?, ?);

-- name: video_exists
SELECT 1 FROM videos WHERE id = ?;

-- name: tenant_of_video
SELECT tenant FROM videos WHERE id = ?;

-- Videos that have not ended, up to the limit.
-- name: count_active_of_tenant
SELECT COUNT(*) FROM (SELECT 1 FROM videos INDEXED BY videos_active WHERE tenant = ? AND state IN (1, 2, 3) LIMIT ?) AS active;

-- name: count_active
SELECT COUNT(*) FROM (SELECT 1 FROM videos INDEXED BY videos_active WHERE state IN (1, 2, 3) LIMIT ?) AS active;

-- name: list_events
SELECT event FROM events WHERE video_id = ? AND sequence > ? ORDER BY sequence LIMIT ?;
