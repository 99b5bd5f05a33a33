-- When the clip was leased last, and when it was done: what the scheduling policy counts.
ALTER TABLE clips ADD COLUMN leased_us BIGINT;
ALTER TABLE clips ADD COLUMN done_us BIGINT;

-- The policy has the queue in its own order (server/queue/schedule_index.h); it reads it by video.
DROP INDEX clips_ready;
CREATE UNIQUE INDEX clips_current ON clips (video_id) WHERE state IN (1, 2);
CREATE INDEX clips_served ON clips (done_us) WHERE done_us IS NOT NULL;
