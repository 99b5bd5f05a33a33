-- Of training runs and LoRAs; as queries.sql.

-- name: insert_run
INSERT INTO training_runs (id, tenant, state, lora_name, epoch, attempts, worker, ready_since_us, last_sequence,
                           create_time_us, update_time_us, spec)
VALUES ($1, $2, $3, $4, 0, 0, '', $5, 0, $6, $7, $8);

-- name: insert_run_request_id
INSERT INTO training_request_ids (tenant, request_id, request_hash, run_id) VALUES ($1, $2, $3, $4);

-- name: find_run_request_id
SELECT request_hash, run_id FROM training_request_ids WHERE tenant = $1 AND request_id = $2;

-- name: lora_name_taken
SELECT 1 FROM loras WHERE name = $1
UNION ALL
SELECT 1 FROM training_runs WHERE lora_name = $1 AND lora_name <> '' AND state IN (1, 2);

-- As lock_video.
-- name: lock_run
SELECT 1 FROM training_runs WHERE id = $1 FOR UPDATE;

-- name: try_lock_run
SELECT 1 FROM training_runs WHERE id = $1 FOR UPDATE SKIP LOCKED;

-- `lora`: the name of the LoRA that it made, while that is published.
-- name: get_run
SELECT r.id, r.tenant, r.state, r.lora_name, r.epoch, r.attempts, r.worker, r.ready_since_us, r.last_sequence, r.progress,
       r.error, r.create_time_us, r.update_time_us, r.end_time_us, r.spec, l.name,
       (r.server = current_setting('svi.server'))::int AS here
FROM training_runs r LEFT JOIN loras l ON l.run_id = r.id
WHERE r.id = $1;

-- name: list_runs
SELECT r.id, r.tenant, r.state, r.lora_name, r.epoch, r.attempts, r.worker, r.ready_since_us, r.last_sequence, r.progress,
       r.error, r.create_time_us, r.update_time_us, r.end_time_us, r.spec, l.name,
       (r.server = current_setting('svi.server'))::int AS here
FROM training_runs r LEFT JOIN loras l ON l.run_id = r.id
WHERE r.tenant = $1 AND (r.create_time_us, r.id) < ($2, $3)
ORDER BY r.create_time_us DESC, r.id DESC
LIMIT $4;

-- name: list_runs_of_state
SELECT r.id, r.tenant, r.state, r.lora_name, r.epoch, r.attempts, r.worker, r.ready_since_us, r.last_sequence, r.progress,
       r.error, r.create_time_us, r.update_time_us, r.end_time_us, r.spec, l.name,
       (r.server = current_setting('svi.server'))::int AS here
FROM training_runs r LEFT JOIN loras l ON l.run_id = r.id
WHERE r.tenant = $1 AND r.state = $2 AND (r.create_time_us, r.id) < ($3, $4)
ORDER BY r.create_time_us DESC, r.id DESC
LIMIT $5;

-- name: update_run
UPDATE training_runs
SET state = $1, epoch = $2, attempts = $3, worker = $4, server = current_setting('svi.server'), ready_since_us = $5, last_sequence = $6, progress = $7, error = $8,
    update_time_us = $9, end_time_us = $10
WHERE id = $11;

-- As claim_clip.
-- name: claim_run
UPDATE training_runs SET server = current_setting('svi.server')
WHERE id = $1 AND state = 2 AND epoch = $2 AND worker = $3;

-- name: update_run_progress
UPDATE training_runs SET progress = $1 WHERE id = $2;

-- name: list_queued_runs
SELECT id, worker, ready_since_us, tenant FROM training_runs WHERE state = 1 ORDER BY ready_since_us, id LIMIT $1;

-- name: tenant_of_run
SELECT tenant FROM training_runs WHERE id = $1;

-- name: list_held_runs
SELECT id, epoch, worker FROM training_runs
WHERE state = 2 AND server = current_setting('svi.server')
ORDER BY id;

-- name: count_runs
SELECT state, COUNT(*) FROM training_runs GROUP BY state;

-- name: insert_run_event
INSERT INTO training_events (run_id, sequence, event) VALUES ($1, $2, $3);

-- name: list_run_events
SELECT event FROM training_events WHERE run_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3;

-- name: insert_lora
INSERT INTO loras (name, run_id, lora, file_key, file_size, file_sha256) VALUES ($1, $2, $3, $4, $5, $6);

-- name: get_lora
SELECT lora, file_key, file_size, file_sha256 FROM loras WHERE name = $1;

-- name: list_loras
SELECT lora FROM loras WHERE name > $1 ORDER BY name LIMIT $2;

-- name: delete_lora
DELETE FROM loras WHERE name = $1;

-- name: count_loras
SELECT COUNT(*) FROM loras;
