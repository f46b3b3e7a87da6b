-- Writes tombstones, for sessions without hot state too, and takes the sessions
-- out of the hash. What the hash says of an end counts before the argument. A
-- tombstone that the ledger is not known to have holds until an hour after the
-- absolute expiry; otherwise a day is enough.
--
-- KEYS[2…]  tombstones of the sessions, in the order of the arguments
-- ARGV[3…]  session id, reason, absolute expiry in milliseconds, '1' when the
--           ledger has the end; repeated
--
-- Reply: {'revoked', now}. A session that has a tombstone keeps it.

for i = 2, #KEYS do
  local at = 4 * i - 5
  local id, reason, expires, in_ledger = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3] == '1'
  local value = redis.call('HGET', KEYS[1], id)
  reason = value and tombstone(value) or reason
  local ttl = math.max(expires - now, 0) + HOUR
  if in_ledger then
    ttl = math.min(ttl, DAY)
  end
  redis.call('HDEL', KEYS[1], id) -- first: a server that is full lets the tombstone be written then
  if not redis.call('SET', KEYS[i], reason, 'PX', string.format('%.0f', ttl), 'NX')
    and in_ledger and redis.call('PTTL', KEYS[i]) > ttl then
    redis.call('PEXPIRE', KEYS[i], string.format('%.0f', ttl))
  end
end
return {'revoked', clock}
