-- Judges a presented refresh token and applies the consequence, in one step.
--
-- ARGV[3]   session id
-- ARGV[4]   presented generation
-- ARGV[5]   SHA-256 of the presented secret, as the field spells it
-- ARGV[6]   mark of the attempt: c… when the client chose the id, s… otherwise
-- ARGV[7]   network of the caller; '' skips the check
-- ARGV[8]   grace, ARGV[9] retry window, ARGV[10] idle lifetime, in milliseconds
-- ARGV[11]  address, ARGV[12] user agent of the caller
--
-- Replies
--   {outcome, now, field}      the field as it stands after the operation
--   {'missing', now}           there is no hot state
--   {'tombstone', now, reason}

local value = redis.call('HGET', KEYS[1], ARGV[3])
local reason = value and epitaph(value)
if reason then
  return {'tombstone', clock, reason}
end
local s = value and decode(value)
if not s then
  return {'missing', clock}
end
local generation = tonumber(ARGV[4])
local attempt = ARGV[6]
local grace, retry, idle = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])

-- time never runs backwards within a session
now = math.max(now, s.used, s.turned, s.recovered)

local function within(moment, window)
  return window > 0 and moment > 0 and now - moment <= window
end

local function from_client(mark)
  return string.sub(mark, 1, 1) == 'c'
end

local recovering = within(s.recovered, grace)

local function judge_current()
  if s.generation > 1 and (recovering or within(s.turned, grace)) then
    return 'unchanged'
  end
  return 'rotated'
end

local function judge_previous()
  local in_grace = within(s.turned, grace)
  if attempt == s.attempt and (not from_client(attempt) or in_grace or within(s.turned, retry)) then
    return 'retried'
  elseif in_grace and from_client(s.attempt) then
    return 'contended'
  elseif in_grace then
    return 'replayed'
  elseif recovering then
    return 'recovering'
  end
  return 'reuse'
end

local GRANTS = {rotated = true, unchanged = true, replayed = true, retried = true}

local function judge()
  if now >= s.expires then
    return 'expired'
  elseif ARGV[5] ~= s.secret then
    return 'forged'
  elseif generation > s.generation then
    return 'ahead'
  elseif generation + 1 < s.generation then
    return recovering and 'recovering' or 'reuse'
  elseif ARGV[7] ~= '' and s.binding ~= '' and ARGV[7] ~= s.binding then
    return 'binding'
  elseif s.held == '1' and not from_client(attempt) then
    return 'attempt_required'
  end
  local outcome = generation == s.generation and judge_current() or judge_previous()
  if GRANTS[outcome] and now >= s.idle then
    return 'expired'
  end
  return outcome
end

local outcome = judge()
if outcome == 'reuse' or outcome == 'binding' then
  bury(ARGV[3], outcome, s.expires)
elseif GRANTS[outcome] then
  if outcome == 'rotated' then
    s.generation = s.generation + 1
    s.turned = now
    s.attempt = attempt
    s.idle = math.min(now + idle, s.expires)
  end
  s.used = now
  s.address = ARGV[11]
  s.agent = ARGV[12]
  if from_client(attempt) then
    s.held = '1'
  end
  value = encode(s)
  redis.call('HSET', KEYS[1], ARGV[3], value)
end
return {outcome, clock, value}
