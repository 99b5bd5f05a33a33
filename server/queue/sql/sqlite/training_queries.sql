-- Of training runs and LoRAs; as queries.sql.

-- name: insert_run
INSERT INTO training_runs (id, tenant, state, lora_name, epoch, attempts, worker, ready_since_us, last_sequence,
                           create_time_us, update_time_us, spec)
VALUES (?, ?, ?, ?, 0, 0, '', ?, 0, ?, ?, ?);

-- name: insert_run_request_id
INSERT INTO training_request_ids (tenant, request_id, request_hash, run_id) VALUES (?, ?, ?, ?);

-- name: find_run_request_id
SELECT request_hash, run_id FROM training_request_ids WHERE tenant = ? AND request_id = ?;

-- name: lora_name_taken
SELECT 1 FROM loras WHERE name = ?1
UNION ALL
SELECT 1 FROM training_runs WHERE lora_name = ?1 AND lora_name <> '' AND state IN (1, 2);

-- As lock_video.
-- name: lock_run
SELECT 1 FROM training_runs WHERE id = ?;

-- name: try_lock_run
SELECT 1 FROM training_runs WHERE id = ?;

-- `lora`: the name of the LoRA that it made, while that is published.
-- name: get_run
SELECT r.id, r.tenant, r.state, r.lora_name, r.epoch, r.attempts, r.worker, r.ready_since_us, r.last_sequence, r.progress,
       r.error, r.create_time_us, r.update_time_us, r.end_time_us, r.spec, l.name, 1 AS here
FROM training_runs r LEFT JOIN loras l ON l.run_id = r.id
WHERE r.id = ?;

-- name: list_runs
SELECT r.id, r.tenant, r.state, r.lora_name, r.epoch, r.attempts, r.worker, r.ready_since_us, r.last_sequence, r.progress,
       r.error, r.create_time_us, r.update_time_us, r.end_time_us, r.spec, l.name, 1 AS here
FROM training_runs r LEFT JOIN loras l ON l.run_id = r.id
WHERE r.tenant = ? AND (r.create_time_us, r.id) < (?, ?)
ORDER BY r.create_time_us DESC, r.id DESC
LIMIT ?;

-- name: list_runs_of_state
SELECT r.id, r.tenant, r.state, r.lora_name, r.epoch, r.attempts, r.worker, r.ready_since_us, r.last_sequence, r.progress,
       r.error, r.create_time_us, r.update_time_us, r.end_time_us, r.spec, l.name, 1 AS here
FROM training_runs r LEFT JOIN loras l ON l.run_id = r.id
WHERE r.tenant = ? AND r.state = ? AND (r.create_time_us, r.id) < (?, ?)
ORDER BY r.create_time_us DESC, r.id DESC
LIMIT ?;

-- name: update_run
UPDATE training_runs
SET state = ?, epoch = ?, attempts = ?, worker = ?, ready_since_us = ?, last_sequence = ?, progress = ?, error = ?,
    update_time_us = ?, end_time_us = ?
WHERE id = ?;

-- As claim_clip.
-- name: claim_run
UPDATE training_runs SET worker = worker WHERE id = ? AND state = 2 AND epoch = ? AND worker = ?;

-- name: update_run_progress
UPDATE training_runs SET progress = ? WHERE id = ?;

-- name: list_queued_runs
SELECT id, worker, ready_since_us, tenant FROM training_runs WHERE state = 1 ORDER BY ready_since_us, id LIMIT ?;

-- name: tenant_of_run
SELECT tenant FROM training_runs WHERE id = ?;

-- name: list_held_runs
SELECT id, epoch, worker FROM training_runs WHERE state = 2 ORDER BY id;

-- name: count_runs
SELECT state, COUNT(*) FROM training_runs GROUP BY state;

-- name: insert_run_event
INSERT INTO training_events (run_id, sequence, event) VALUES (?, ?, ?);

-- name: list_run_events
SELECT event FROM training_events WHERE run_id = ? AND sequence > ? ORDER BY sequence LIMIT ?;

-- name: insert_lora
INSERT INTO loras (name, run_id, lora, file_key, file_size, file_sha256) VALUES (?, ?, ?, ?, ?, ?);

-- name: get_lora
SELECT lora, file_key, file_size, file_sha256 FROM loras WHERE name = ?;

-- name: list_loras
SELECT lora FROM loras WHERE name > ? ORDER BY name LIMIT ?;

-- name: delete_lora
DELETE FROM loras WHERE name = ?;

-- name: count_loras
SELECT COUNT(*) FROM loras;
