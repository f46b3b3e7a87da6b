-- Writes tombstones, for sessions without hot state too.
--
-- ARGV[3…]  session id, reason, absolute expiry in milliseconds; repeated
--
-- Reply: {'revoked', now}. A session that has a tombstone keeps it.

for i = 3, #ARGV, 3 do
  local id, reason, expires = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
  local value = redis.call('HGET', KEYS[1], id)
  if not (value and is_tombstone(value)) then
    bury(id, reason, expires)
    keep(expires)
  end
end
return {'revoked', clock}
