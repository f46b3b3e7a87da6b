-- Tells all nodes that sessions ended, and forgets what no node needs any more.
--
-- KEYS[1]   pawl:revocations, a stream whose entries have one field, "ids"
-- ARGV[1]   how long entries are kept, in milliseconds
-- ARGV[2…]  session ids, separated by commas; an entry each
--
-- Reply: the id of the last entry

local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local keep = tonumber(ARGV[1])
-- first: a server that is full lets the entries be written then
redis.call('XTRIM', KEYS[1], 'MINID', '~', string.format('%.0f', now - keep))
local id
for i = 2, #ARGV do
  id = redis.call('XADD', KEYS[1], '*', 'ids', ARGV[i])
end
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', 2 * keep))
return id
