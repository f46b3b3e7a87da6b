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
-- Times are milliseconds since 1970, 0 for none; held is 0 or 1. A field that is
-- neither counts as lost: the ledger says what is true.

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
  '([^\31]*)\31([^\31]*)\31(%d+)\31([%w_-]*)\31([^\31]*)\31((%d+)\31(%u+)\31[^\31]*\31[^\31]*)$'
local DELIVERIES = {COOKIE = true, BODY = true}
local HASH_LENGTH = 43

-- number reads digits; nil for more than a double holds exactly
local function number(digits)
  local n = tonumber(digits)
  return n and n <= 2 ^ 53 and n
end

-- a live session; nil when the field is something else
local function decode(value)
  local generation, turned, attempt, held, idle, used, recovered,
    address, agent, expires, secret, binding, rest, created, delivery = string.match(value, LIVE)
  if not rest or #secret ~= HASH_LENGTH or not DELIVERIES[delivery] then
    return nil
  end
  local s = {
    generation = number(generation), turned = number(turned), attempt = attempt, held = held,
    idle = number(idle), used = number(used), recovered = number(recovered),
    address = address, agent = agent, expires = number(expires), secret = secret, binding = binding, rest = rest,
  }
  return s.generation and s.turned and s.idle and s.used and s.recovered and s.expires and number(created) and s
end

local function encode(s)
  return string.format('L\31%.0f\31%.0f\31%s\31%s\31%.0f\31%.0f\31%.0f\31%s\31%s\31%.0f\31%s\31%s\31%s',
    s.generation, s.turned, s.attempt, s.held, s.idle, s.used, s.recovered,
    s.address, s.agent, s.expires, s.secret, s.binding, s.rest)
end

-- reason, time of the end and absolute expiry of a tombstone; nil when the
-- field is something else
local function epitaph(value)
  local reason, ended, expires = string.match(value, '^T\31([^\31]+)\31(%d+)\31(%d+)$')
  ended, expires = number(ended), number(expires)
  if ended and expires then
    return reason, ended, expires
  end
end

local function is_tombstone(value)
  return epitaph(value) ~= nil
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
