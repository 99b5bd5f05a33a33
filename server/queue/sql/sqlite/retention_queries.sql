
-- Of all tenants, those that ended longest ago first.
-- name: list_ended
SELECT id, tenant, end_time_us
FROM videos
WHERE end_time_us < ? AND (end_time_us, id) > (?, ?)
ORDER BY end_time_us, id
LIMIT ?;
