-- Starts a session and enforces the cap.
--
-- ARGV[3]  session id
-- ARGV[4]  its field, live
-- ARGV[5]  how many live sessions the user may have, this one included
--
-- Replies
--   {'created', now, id, expires, id, expires …}  the sessions that were evicted
--   {'ended', now}                                the session has a tombstone

local TEN_MINUTES = 600000
local KEEP_TOMBSTONES = 100
local ID_LENGTH = 36

local existing = redis.call('HGET', KEYS[1], ARGV[3])
if existing and is_tombstone(existing) then
  return {'ended', clock}
end
existing = existing and decode(existing)

local reply = {'created', clock}
local function evicted(id, expires)
  reply[#reply + 1] = id
  reply[#reply + 1] = string.format('%.0f', expires)
end

local live, tombstones = {}, {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local id, value = all[i], all[i + 1]
  local reason, ended, expires = epitaph(value)
  local s = not reason and decode(value)
  if existing then
    -- a resent command: answer with what the first one evicted
    if reason == 'evicted' and now - ended <= TEN_MINUTES then
      evicted(id, expires)
    end
  elseif #id ~= ID_LENGTH or not (reason or s) or now >= (expires or s.expires) then
    redis.call('HDEL', KEYS[1], id)
  elseif reason then
    tombstones[#tombstones + 1] = {id = id, ended = ended}
  else
    live[#live + 1] = {id = id, used = s.used, expires = s.expires}
  end
end
if existing then
  return reply
end

if #tombstones > KEEP_TOMBSTONES then
  for _, t in ipairs(tombstones) do
    if now - t.ended > TEN_MINUTES then
      redis.call('HDEL', KEYS[1], t.id)
    end
  end
end

table.sort(live, function(a, b)
  if a.used ~= b.used then
    return a.used < b.used
  end
  return a.id < b.id
end)
for i = 1, #live + 1 - tonumber(ARGV[5]) do
  bury(live[i].id, 'evicted', live[i].expires)
  evicted(live[i].id, live[i].expires)
end

redis.call('HSET', KEYS[1], ARGV[3], ARGV[4])
keep(decode(ARGV[4]).expires)
return reply
