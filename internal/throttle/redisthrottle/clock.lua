-- What every script begins with.
--
-- ARGV[1]  microseconds since 1970 to take for now; '' reads this server's clock
--
-- Every time and every duration is in microseconds. Scripts that answer with a
-- wait answer with an integer, 0 for none.

local now
if ARGV[1] ~= '' then
  now = tonumber(ARGV[1])
else
  local t = redis.call('TIME')
  now = tonumber(t[1]) * 1000000 + tonumber(t[2])
end

-- whole spells a number that a double holds exactly
local function whole(n)
  return string.format('%.0f', n)
end

-- number reads digits; nil for anything else, and for more than a double holds exactly
local function number(digits)
  local n = digits and string.match(digits, '^%d+$') and tonumber(digits)
  return n and n <= 2 ^ 53 and n or nil
end

-- millis is a duration as a time to live: rounded up, never 0
local function millis(duration)
  return whole(math.max(math.ceil(duration / 1000), 1))
end
