-- Starts a session and enforces the cap.
--
-- KEYS[2]  tombstone of the session
-- ARGV[3]  session id
-- ARGV[4]  its field, live
-- ARGV[5]  how many live sessions the user may have, this one included
--
-- Replies
--   {'created', now, evicted, id, expires, id, expires …}
--       the first so many ids are the sessions that were evicted; what follows
--       are tombstones that were left in the hash. All of them are to be moved.
--   {'ended', now}  the session has a tombstone

local MINUTE = 60000
local MOVED_AT_ONCE = 100
local ID_LENGTH = 36

local existing = redis.call('HGET', KEYS[1], ARGV[3])
if existing and tombstone(existing) or redis.call('EXISTS', KEYS[2]) == 1 then
  return {'ended', clock}
end
existing = existing and decode(existing)

local evicted, left, live = {}, {}, {}
local function add(list, id, expires)
  list[#list + 1] = id
  list[#list + 1] = string.format('%.0f', expires)
end

local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local id, value = all[i], all[i + 1]
  local reason, ended, expires = tombstone(value)
  local s = not reason and decode(value)
  if existing then
    -- a resent command: answer with what the first one evicted
    if reason == 'evicted' and now - ended <= MINUTE then
      add(evicted, id, expires)
    end
  elseif #id ~= ID_LENGTH or not (reason or s) or now >= (expires or s.expires) then
    redis.call('HDEL', KEYS[1], id)
  elseif s then
    live[#live + 1] = {id = id, used = s.used, expires = s.expires}
  elseif now - ended > MINUTE and #left < 2 * MOVED_AT_ONCE then
    -- whoever wrote it could not move it; a younger one is being moved
    add(left, id, expires)
  end
end

if not existing then
  table.sort(live, function(a, b)
    if a.used ~= b.used then
      return a.used < b.used
    end
    return a.id < b.id
  end)
  for i = 1, #live + 1 - tonumber(ARGV[5]) do
    finish(live[i].id, 'evicted', live[i].expires)
    add(evicted, live[i].id, live[i].expires)
  end
  redis.call('HSET', KEYS[1], ARGV[3], ARGV[4])
  keep(decode(ARGV[4]).expires)
end

local reply = {'created', clock, tostring(#evicted / 2)}
for _, list in ipairs({evicted, left}) do
  for _, value in ipairs(list) do
    reply[#reply + 1] = value
  end
end
return reply
