-- What the scripts of buckets share.
--
-- KEYS     one per bucket, all in one slot
-- ARGV[2]… burst and interval of each bucket
--
-- A bucket is a string: the time when it is full again (the theoretical arrival
-- time of the generic cell rate algorithm). It lives until then. One that cannot
-- be read counts as full.

local function rate(i)
  return tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
end

local function put(key, full)
  redis.call('SET', key, whole(full), 'PX', millis(full - now))
end

-- read is when a bucket is full; nil when it is. One that would take longer than
-- from empty comes from a time before the clock ran backwards: it counts as empty
-- now.
local function read(i)
  local full = number(redis.call('GET', KEYS[i]))
  if not full or full <= now then
    return nil
  end
  local burst, every = rate(i)
  local empty = now + burst * every
  if full > empty then
    full = empty
    put(KEYS[i], full)
  end
  return full
end
