-- Takes one unit from every bucket, or from none where one has none left.
--
-- Replies how long it takes until all have one; 0 where they were taken.

local full = {}
local wait = 0
for i = 1, #KEYS do
  local burst, every = rate(i)
  full[i] = (read(i) or now) + every
  wait = math.max(wait, full[i] - now - burst * every)
end
if wait == 0 then
  for i = 1, #KEYS do
    put(KEYS[i], full[i])
  end
end
return wait
