-- What every script begins with: the clock, the deadline, and the spelling of
-- a session's field.
--
-- KEYS[1]  pawl:{<user id>}:sessions, a hash with one field per live session
-- KEYS[2…] pawl:{<user id>}:ended:<session id>, the tombstones that a script
--          looks at: strings, the reason, with a TTL. rotate.lua names none, so
--          that a refresh is served while its slot moves; an end that it or the
--          cap finds is written into the hash and moved by revoke.lua.
-- ARGV[1]  milliseconds since 1970 to take for now; '' reads this server's clock
-- ARGV[2]  deadline, in milliseconds on the same clock: later than this nothing
--          is read or changed and the reply is {'late', now}
--
-- A field is a list of values joined by the unit separator (byte 31):
--   live       L generation turned attempt held idle used recovered address
--              agent expires secret binding created delivery role device
--   tombstone  T reason ended expires
-- What was added since stands behind the device, each after a record separator
-- (byte 30) with a letter that names it:
--   g, r   grace and retry window, in milliseconds or, with s, in seconds
--   b      presenter of the last turn
--   e      how many periods the use before the last use lies before it, and the one
--          before that before this one, as n.n; uses of one period are one
--   m      when address and agent changed, o and u what they were before
--   f      newest generation that somebody else followed, and how many in a row, as n.n
-- A program keeps what it does not know, so that two versions can work on one hash.
-- Times are milliseconds since 1970, 0 for none; held is 0 or 1. A field that is
-- neither counts as lost: the ledger says what is true.

local SEP = '\31'
local HOUR = 3600000
local DAY = 24 * HOUR
local PERIOD = 300000 -- session.Period
local SETTLING = 60000

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
  '([^\31]*)\31([^\31]*)\31(%d+)\31([%w_-]*)\31([^\31]*)\31((%d+)\31(%u+)\31[^\31]*\31[^\30\31]*)([^\31]*)$'
local OWN = '^\30g(%d+)(s?)\30r(%d+)(s?)(.*)$'
local DELIVERIES = {COOKIE = true, BODY = true}
local HASH_LENGTH = 43

-- number reads digits; nil for more than a double holds exactly
local function number(digits)
  local n = digits and tonumber(digits)
  return n and n <= 2 ^ 53 and n
end

-- a span in milliseconds
local function span(digits, unit)
  local n = number(digits)
  return n and (unit == 's' and n * 1000 or n)
end

local function spell(ms)
  if ms % 1000 == 0 then
    return string.format('%.0fs', ms / 1000)
  end
  return string.format('%.0f', ms)
end

-- pair reads n.n behind a letter; 0 and 0 where there is none
local function pair(added, letter)
  local a, b = string.match(added, '\30' .. letter .. '(%d+)%.(%d+)')
  return number(a) or 0, number(b) or 0
end

-- a live session; nil when the field is something else. Its grace and retry
-- window are nil where the program that wrote it knew none.
local function decode(value)
  local generation, turned, attempt, held, idle, used, recovered,
    address, agent, expires, secret, binding, rest, created, delivery, added = string.match(value, LIVE)
  if not rest or #secret ~= HASH_LENGTH or not DELIVERIES[delivery] then
    return nil
  end
  local s = {
    generation = number(generation), turned = number(turned), attempt = attempt, held = held,
    idle = number(idle), used = number(used), recovered = number(recovered),
    address = address, agent = agent, expires = number(expires), secret = secret, binding = binding, rest = rest,
  }
  local grace, grace_unit, retry, retry_unit, more = string.match(added, OWN)
  added = more or added
  s.grace, s.retry = span(grace, grace_unit), span(retry, retry_unit)
  s.by = string.match(added, '\30b([%w_-]+)') or ''
  s.earlier, s.before = pair(added, 'e')
  s.followed, s.follows = pair(added, 'f')
  s.moved = number(string.match(added, '\30m(%d+)')) or 0
  s.former_address = string.match(added, '\30o([^\30]*)') or ''
  s.former_agent = string.match(added, '\30u([^\30]*)') or ''
  s.unknown = string.gsub(added, '\30[grbefmou][^\30]*', '')
  return s.generation and s.turned and s.idle and s.used and s.recovered and s.expires and number(created) and s
end

local function encode(s)
  local value = string.format('L\31%.0f\31%.0f\31%s\31%s\31%.0f\31%.0f\31%.0f\31%s\31%s\31%.0f\31%s\31%s\31%s\30g%s\30r%s',
    s.generation, s.turned, s.attempt, s.held, s.idle, s.used, s.recovered,
    s.address, s.agent, s.expires, s.secret, s.binding, s.rest, spell(s.grace), spell(s.retry))
  if s.by ~= '' then
    value = value .. '\30b' .. s.by
  end
  if s.earlier > 0 then
    value = value .. string.format('\30e%.0f.%.0f', s.earlier, s.before)
  end
  if s.moved > 0 then
    value = value .. string.format('\30m%.0f\30o%s\30u%s', s.moved, s.former_address, s.former_agent)
  end
  if s.followed > 0 then
    value = value .. string.format('\30f%.0f.%.0f', s.followed, s.follows)
  end
  return value .. s.unknown
end

-- turn records who turned a session; what they were before is seen until the
-- change has settled (session.Settled)
local function turn(s, moment, address, agent)
  local settled = s.moved < math.floor((moment - SETTLING) / PERIOD) * PERIOD
  local moved = address ~= s.address or agent ~= s.agent
  if moved and settled then
    s.former_address, s.former_agent, s.moved = s.address, s.agent, moment
  elseif moved then
    s.moved = moment
  elseif settled then
    s.former_address, s.former_agent, s.moved = '', '', 0
  end
  s.address, s.agent = address, agent
end

-- use records a use of a session
local function use(s, moment)
  local periods = math.floor(moment / PERIOD) - math.floor(s.used / PERIOD)
  if periods > 0 then
    s.earlier, s.before = periods, s.earlier
  end
  s.used = moment
end

-- reason, time of the end and absolute expiry of a tombstone in the hash; nil
-- when the field is something else
local function tombstone(value)
  local reason, ended, expires, more = string.match(value, '^T\31([^\31]+)\31(%d+)\31(%d+)(.*)$')
  ended, expires = number(ended), number(expires)
  if ended and expires and (more == '' or string.sub(more, 1, 1) == '\30') then
    return reason, ended, expires
  end
end

-- finish writes a tombstone over a live field of the hash. A server that is full
-- lets a script write that began by taking something away.
local function finish(id, reason, expires)
  redis.call('HDEL', KEYS[1], id)
  redis.call('HSET', KEYS[1], id, string.format('T\31%s\31%.0f\31%.0f', reason, now, expires))
end

-- keep lets the key live until an hour after expires; it never shortens its life
local function keep(expires)
  local want = math.max(expires - now + HOUR, 1)
  if want > redis.call('PTTL', KEYS[1]) then
    redis.call('PEXPIRE', KEYS[1], string.format('%.0f', want))
  end
end
