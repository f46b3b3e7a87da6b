-- Writes tombstones, for sessions without hot state too, and takes the sessions
-- out of the hash. What the hash says of an end counts before the argument.
--
-- KEYS[2…]  tombstones of the sessions, in the order of the arguments
-- ARGV[3…]  session id, reason, absolute expiry in milliseconds; repeated
--
-- Reply: {'revoked', now}. A session that has a tombstone keeps it.

for i = 2, #KEYS do
  local at = 3 * i - 3
  local id, reason, expires = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  local value = redis.call('HGET', KEYS[1], id)
  reason = value and tombstone(value) or reason
  local ttl = math.min(math.max(expires - now, 0) + HOUR, DAY)
  redis.call('SET', KEYS[i], reason, 'PX', string.format('%.0f', ttl), 'NX')
  if value then
    redis.call('HDEL', KEYS[1], id)
  end
end
return {'revoked', clock}
