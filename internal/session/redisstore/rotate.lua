-- Judges a presented refresh token and applies the consequence, in one step.
--
-- ARGV[3]   session id
-- ARGV[4]   presented generation
-- ARGV[5]   SHA-256 of the presented secret, as the field spells it
-- ARGV[6]   mark of the attempt: c… when the client chose the id, s… otherwise
-- ARGV[7]   network of the caller
-- ARGV[8]   grace and ARGV[9] retry window of a session that has none of its own,
--           ARGV[10] idle lifetime, in milliseconds
-- ARGV[11]  address, ARGV[12] user agent of the caller, ARGV[13] its mark as a presenter
-- ARGV[14]  '1' for an access token only: nothing changes
-- ARGV[15]  '1' when every session requires an attempt id
-- ARGV[16]  '1' when a shared session ends
--
-- Replies
--   {outcome, now, field, shared}  the field as it stands after the operation;
--                                  shared is '1' when two presenters follow each other
--   {'missing', now}               there is no hot state
--   {'tombstone', now, reason}

local FOLLOWED_TOO_OFTEN = 3

local value = redis.call('HGET', KEYS[1], ARGV[3])
local reason = value and tombstone(value)
if reason then
  return {'tombstone', clock, reason}
end
local s = value and decode(value)
if not s then
  return {'missing', clock}
end
local generation = tonumber(ARGV[4])
local attempt = ARGV[6]
local idle = tonumber(ARGV[10])
local access_only = ARGV[14] == '1'
s.grace, s.retry = s.grace or tonumber(ARGV[8]), s.retry or tonumber(ARGV[9])

-- time never runs backwards within a session
now = math.max(now, s.used, s.turned, s.recovered)

local function within(moment, window)
  return window > 0 and moment > 0 and now - moment <= window
end

local function from_client(mark)
  return string.sub(mark, 1, 1) == 'c'
end

local recovering = within(s.recovered, s.grace)
local in_grace = within(s.turned, s.grace)

local function judge_current()
  if access_only then
    return 'access_only'
  elseif s.generation > 1 and (recovering or in_grace) then
    return 'unchanged'
  elseif from_client(attempt) and attempt == s.attempt then
    return 'attempt_used'
  end
  return 'rotated'
end

local function judge_previous()
  local retryable = in_grace or within(s.turned, s.retry)
  if attempt == s.attempt and (not from_client(attempt) or retryable) then
    return access_only and 'access_only' or 'retried'
  elseif access_only and in_grace then
    return 'access_only'
  elseif from_client(s.attempt) and (in_grace or access_only and retryable) then
    return 'contended'
  elseif in_grace then
    return 'replayed'
  elseif recovering then
    return 'recovering'
  end
  return 'reuse'
end

local GRANTS = {rotated = true, unchanged = true, replayed = true, retried = true, access_only = true}

local function judge()
  if now >= s.expires then
    return 'expired'
  elseif ARGV[5] ~= s.secret then
    return 'forged'
  elseif generation > s.generation then
    return 'ahead'
  elseif generation + 1 < s.generation then
    return recovering and 'recovering' or 'reuse'
  elseif s.binding ~= '' and ARGV[7] ~= s.binding then
    return 'binding'
  end
  local outcome = generation == s.generation and judge_current() or judge_previous()
  local required = (s.held == '1' or ARGV[15] == '1') and not from_client(attempt) and not access_only
  if required and outcome ~= 'reuse' then
    return 'attempt_required'
  elseif GRANTS[outcome] and now >= s.idle then
    return 'expired'
  end
  return outcome
end

-- counts rotations in a row whose previous token somebody else replayed
local function follow()
  if s.by == '' or s.by == ARGV[13] or s.followed == s.generation then
    return false
  end
  s.follows = s.followed == s.generation - 1 and s.follows + 1 or 1
  s.followed = s.generation
  return s.follows >= FOLLOWED_TOO_OFTEN
end

local outcome = judge()
local shared = outcome == 'replayed' and follow()
if shared and ARGV[16] == '1' then
  outcome = 'shared'
end
if outcome == 'reuse' or outcome == 'binding' or outcome == 'shared' then
  finish(ARGV[3], outcome, s.expires)
elseif GRANTS[outcome] and not access_only then
  if outcome == 'rotated' then
    s.generation = s.generation + 1
    s.turned = now
    s.attempt = attempt
    s.idle = math.min(now + idle, s.expires)
    turn(s, now, ARGV[11], ARGV[12])
    s.by = from_client(attempt) and '' or ARGV[13]
    s.held = from_client(attempt) and '1' or s.held
  end
  use(s, now)
  value = encode(s)
  redis.call('HSET', KEYS[1], ARGV[3], value)
end
return {outcome, clock, value, shared and '1' or ''}
