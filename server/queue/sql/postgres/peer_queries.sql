-- Of the servers that work with the database (server/queue/postgres_peers.h); as queries.sql. Times are the
-- database's own.

-- Seen now, with these workers ($2); and after a break of more than $1 microseconds, since now.
-- name: server_seen
INSERT INTO servers AS s (id, seen_us, since_us, workers)
SELECT current_setting('svi.server'), t.now_us, t.now_us, $2
FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now_us) t
ON CONFLICT (id) DO UPDATE
SET since_us = CASE WHEN excluded.seen_us - s.seen_us > $1 THEN excluded.seen_us ELSE s.since_us END,
    seen_us = excluded.seen_us,
    workers = excluded.workers;

-- name: workers_elsewhere
SELECT workers FROM servers WHERE id <> current_setting('svi.server') ORDER BY seen_us;

-- name: server_gone
DELETE FROM servers WHERE id = current_setting('svi.server');

-- Servers that were not seen for $1 microseconds are gone: but only if this one was seen all the time, since it may
-- have been the database that was away.
-- name: forget_servers
DELETE FROM servers s
USING servers me
WHERE me.id = current_setting('svi.server') AND me.seen_us - me.since_us > $1 AND me.seen_us - s.seen_us > $1;

-- Leases of servers that are gone become this one's.
-- name: adopt_clips
UPDATE clips SET server = current_setting('svi.server')
WHERE (video_id, clip_index) IN (
  SELECT c.video_id, c.clip_index FROM clips c
  WHERE c.state = 2 AND NOT EXISTS (SELECT 1 FROM servers s WHERE s.id = c.server)
  FOR UPDATE SKIP LOCKED);

-- name: adopt_runs
UPDATE training_runs SET server = current_setting('svi.server')
WHERE id IN (
  SELECT r.id FROM training_runs r
  WHERE r.state = 2 AND NOT EXISTS (SELECT 1 FROM servers s WHERE s.id = r.server)
  FOR UPDATE SKIP LOCKED);

-- Where the logs of these videos and runs end.
-- name: last_sequences
SELECT id, last_sequence FROM videos WHERE id = ANY (string_to_array($1, ','));

-- name: last_run_sequences
SELECT id, last_sequence FROM training_runs WHERE id = ANY (string_to_array($1, ','));

-- Where the servers of this database and schema talk.
-- name: notice_channel
SELECT 'svi_' || current_schema();

-- name: notify
SELECT pg_notify('svi_' || current_schema(), $1);
