-- Rebuilds or lifts hot state from what the ledger knows.
--
-- KEYS[2]  tombstone of the session
-- ARGV[3]  session id
-- ARGV[4]  its field, live, with the ledger's checkpoint
-- ARGV[5]  a generation to adopt where it is above both; 0 for none
-- ARGV[6]  idle lifetime in milliseconds
--
-- Replies
--   {'restored', now, field}  the field as it stands after the operation
--   {'ended', now}            the session has a tombstone

local value = redis.call('HGET', KEYS[1], ARGV[3])
if value and tombstone(value) or redis.call('EXISTS', KEYS[2]) == 1 then
  return {'ended', clock}
end

local known = decode(ARGV[4])
local adopt, idle = tonumber(ARGV[5]), tonumber(ARGV[6])
local s, changed = known, false
local hot = value and decode(value)
if hot then
  -- grace and retry window are the session's own from its login on
  hot.grace, hot.retry = hot.grace or known.grace, hot.retry or known.retry
  known.grace, known.retry = hot.grace, hot.retry
  now = math.max(now, hot.used, hot.turned, hot.recovered)
  -- turns from before a later recovery were lost, and it mended their loss
  if known.recovered < hot.recovered or known.generation <= hot.generation then
    if known.held == '1' and hot.held ~= '1' then
      hot.held = '1'
      changed = true
    end
    s = hot
  elseif hot.held == '1' then
    known.held = '1'
  end
end
if s == known then
  s.idle = math.min(s.used + idle, s.expires)
  changed = true
end
now = math.max(now, s.used, s.turned, s.recovered)
if adopt > s.generation then
  s.generation = adopt
  s.turned = 0
  s.attempt = ''
  s.by = ''
  use(s, now)
  s.idle = math.min(now + idle, s.expires)
  changed = true
end
if changed then
  s.recovered = math.max(now, known.recovered + 1, s.recovered + 1)
  redis.call('HSET', KEYS[1], ARGV[3], encode(s))
  keep(s.expires)
end
return {'restored', clock, encode(s)}
