
-- Of all tenants, those that ended longest ago first.
-- name: list_ended
SELECT id, tenant, end_time_us
FROM videos
WHERE end_time_us < $1 AND (end_time_us, id) > ($2, $3)
ORDER BY end_time_us, id
LIMIT $4;
