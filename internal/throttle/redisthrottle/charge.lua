-- Counts one failure in the lane, unless a pause runs.
--
-- Replies what is left of the pause; 0 where the failure was counted.

local MAX_DEVICES = 64

-- make_room forgets the device that was charged longest ago when one more is too
-- many. The lane of unknown devices stays.
local function make_room()
  if FIELD == 'unknown' or redis.call('HLEN', KEYS[1]) < MAX_DEVICES then
    return
  end
  local all = redis.call('HGETALL', KEYS[1])
  local devices, oldest, first = 0, nil, nil
  for i = 1, #all, 2 do
    if all[i] ~= 'unknown' then
      devices = devices + 1
      local other = decode(all[i + 1])
      local last = other and other.last or 0
      if not oldest or last < first or last == first and all[i] < oldest then
        oldest, first = all[i], last
      end
    end
  end
  if devices >= MAX_DEVICES then
    redis.call('HDEL', KEYS[1], oldest)
  end
end

local lane = read()
if not lane then
  make_room()
  write({count = 1, last = now, was_count = 0, was_last = 0})
  return 0
end
local left = lane.last + pause(lane.count) - now
if left > 0 then
  return left
end
local days = math.min(math.floor((now - lane.last) / DAY), 63)
write({
  count = math.floor(lane.count / 2 ^ days) + 1, last = now,
  was_count = lane.count, was_last = lane.last,
})
return 0
