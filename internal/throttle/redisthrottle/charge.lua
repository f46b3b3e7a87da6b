-- Counts one failure in the lane, unless a pause runs. A device without a lane
-- counts as an unknown one where the account has no room for one more.
--
-- Replies what is left of the pause; 0 where the failure was counted in the lane,
-- -1 where in that of unknown devices instead.

local MAX_DEVICES = 64

-- has_room reports whether the account may have one more device. It forgets those
-- that no longer matter, and no others.
local function has_room()
  if FIELD == UNKNOWN or redis.call('HLEN', KEYS[1]) < MAX_DEVICES then
    return true
  end
  local all = redis.call('HGETALL', KEYS[1])
  local devices = 0
  for i = 1, #all, 2 do
    if all[i] ~= UNKNOWN then
      local other = decode(all[i + 1])
      if other and other.last + life(other.count) > now then
        devices = devices + 1
      else
        redis.call('HDEL', KEYS[1], all[i])
      end
    end
  end
  return devices < MAX_DEVICES
end

local lane, counted = read(), 0
if not lane and not has_room() then
  FIELD, counted = UNKNOWN, -1
  lane = read()
end
if not lane then
  write({count = 1, last = now, was_count = 0, was_last = 0})
  return counted
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
return counted
