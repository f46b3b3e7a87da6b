-- What the scripts of lanes share.
--
-- KEYS[1]   pawl:throttle:{<account>}:lanes, a hash with one field per lane
-- ARGV[2]   field of the lane: 'unknown', or 'device:' and a device
-- ARGV[3]…  failures and pause of each step of the schedule
--
-- A field is count:last:count before:last before
--   count         failures, above 0, as they stood right after the last charge
--   last          time of the last charge
--   … before      the same before that charge, 0:0 where there was nothing;
--                 both empty where it is not known
-- One that cannot be read counts as no lane.

local FIELD = ARGV[2]
local UNKNOWN = 'unknown'
local DAY = 86400000000

local function decode(value)
  local count, last, was_count, was_last = string.match(value, '^(%d+):(%d+):(%d*):(%d*)$')
  count, last = number(count), number(last)
  if not count or count < 1 or not last then
    return nil
  end
  return {count = count, last = last, was_count = number(was_count), was_last = number(was_last)}
end

-- pause is how long it takes after the n-th failure until another may be made
local function pause(n)
  local found = 0
  for i = 3, #ARGV, 2 do
    if tonumber(ARGV[i]) <= n then
      found = tonumber(ARGV[i + 1])
    end
  end
  return found
end

-- life is how long after the last charge the lane still matters: its pause, and
-- the days in which its count halves to nothing
local function life(count)
  local days = 0
  local rest = count
  while rest > 0 do
    rest = math.floor(rest / 2)
    days = days + 1
  end
  return math.max(days * DAY, pause(count))
end

-- write keeps the lane, and the key for as long as the lane matters; it never
-- shortens the life of the other lanes
local function write(lane)
  local was = lane.was_count and lane.was_last and whole(lane.was_count) .. ':' .. whole(lane.was_last) or ':'
  redis.call('HSET', KEYS[1], FIELD, whole(lane.count) .. ':' .. whole(lane.last) .. ':' .. was)
  local want = millis(lane.last + life(lane.count) - now)
  if tonumber(want) > redis.call('PTTL', KEYS[1]) then
    redis.call('PEXPIRE', KEYS[1], want)
  end
end

-- read returns the lane; nil where there is none. A last charge in the future
-- comes from a time before the clock ran backwards: it counts as made now.
local function read()
  local value = redis.call('HGET', KEYS[1], FIELD)
  local lane = value and decode(value)
  if lane and lane.last > now then
    lane.last = now
    write(lane)
  end
  return lane
end
