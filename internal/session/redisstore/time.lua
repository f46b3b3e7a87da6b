-- Reads the clock of the server that holds KEYS[1], in milliseconds since 1970.

local t = redis.call('TIME')
return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
