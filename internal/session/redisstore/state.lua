-- What every script begins with: the clock, the deadline, and the spelling of
-- a session's field.
--
-- KEYS[1]  pawl:{<user id>}:sessions, a hash with one field per session id
-- ARGV[1]  milliseconds since 1970 to take for now; '' reads this server's clock
-- ARGV[2]  deadline, in milliseconds on the same clock: later than this nothing
--          is read or changed and the reply is {'late', now}
--
-- A field is a list of values joined by the unit separator (byte 31):
--   live       L generation turned attempt held idle used recovered address
--              agent expires secret binding created delivery role device
--   tombstone  T reason ended expires
-- Times are milliseconds since 1970, 0 for none; held is 0 or 1.

local SEP = '\31'
local HOUR = 3600000

local now
if ARGV[1] ~= '' then
  now = tonumber(ARGV[1])
else
  local t = redis.call('TIME')
  now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end
local clock = string.format('%.0f', now)
if now > tonumber(ARGV[2]) then
  return {'late', clock}
end

local LIVE = '^L\31(%d+)\31(%d+)\31([^\31]*)\31([01])\31(%d+)\31(%d+)\31(%d+)\31' ..
  '([^\31]*)\31([^\31]*)\31(%d+)\31([^\31]*)\31([^\31]*)\31(.*)$'

local function decode(value)
  local s = {}
  s.generation, s.turned, s.attempt, s.held, s.idle, s.used, s.recovered,
    s.address, s.agent, s.expires, s.secret, s.binding, s.rest = string.match(value, LIVE)
  s.generation = tonumber(s.generation)
  s.turned = tonumber(s.turned)
  s.idle = tonumber(s.idle)
  s.used = tonumber(s.used)
  s.recovered = tonumber(s.recovered)
  s.expires = tonumber(s.expires)
  return s
end

local function encode(s)
  return string.format('L\31%.0f\31%.0f\31%s\31%s\31%.0f\31%.0f\31%.0f\31%s\31%s\31%.0f\31%s\31%s\31%s',
    s.generation, s.turned, s.attempt, s.held, s.idle, s.used, s.recovered,
    s.address, s.agent, s.expires, s.secret, s.binding, s.rest)
end

local function is_tombstone(value)
  return string.sub(value, 1, 1) == 'T'
end

-- reason, time of the end and absolute expiry of a tombstone
local function epitaph(value)
  local reason, ended, expires = string.match(value, '^T\31([^\31]*)\31(%d+)\31(%d+)$')
  return reason, tonumber(ended), tonumber(expires)
end

local function bury(id, reason, expires)
  redis.call('HSET', KEYS[1], id, string.format('T\31%s\31%.0f\31%.0f', reason, now, expires))
end

-- keep lets the key live until an hour after expires; it never shortens its life
local function keep(expires)
  local want = math.max(expires - now + HOUR, 1)
  if want > redis.call('PTTL', KEYS[1]) then
    redis.call('PEXPIRE', KEYS[1], string.format('%.0f', want))
  end
end
