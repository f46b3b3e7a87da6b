-- Takes one failure back: the lane is as before its last charge where that is
-- known, and one failure shorter where not.

local lane = read()
if not lane then
  return 0
end
if lane.was_count and lane.was_last then
  lane = {count = lane.was_count, last = lane.was_last}
else
  lane = {count = lane.count - 1, last = lane.last}
end
if lane.count < 1 then
  redis.call('HDEL', KEYS[1], FIELD)
else
  write(lane)
end
return 0
