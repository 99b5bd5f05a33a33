-- What retention deletes first.
CREATE INDEX videos_ended ON videos (end_time_us, id) WHERE end_time_us IS NOT NULL;
