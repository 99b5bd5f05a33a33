-- The names of the LoRAs that the clip needs, from its video's spec: each once, sorted, with commas between them.
ALTER TABLE clips ADD COLUMN loras TEXT NOT NULL DEFAULT '';

DROP INDEX clips_ready;
CREATE INDEX clips_ready ON clips (loras, priority DESC, ready_since_us, video_id) WHERE state = 1;
