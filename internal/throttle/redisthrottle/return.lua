-- Gives one unit back to every bucket, never beyond full.

for i = 1, #KEYS do
  local _, every = rate(i)
  local full = read(i)
  if full and full - every > now then
    put(KEYS[i], full - every)
  else
    redis.call('DEL', KEYS[i])
  end
end
return 0
