-- take-points.lua: takes points of a limit over a time that slides. The time is cut into slices; old ones are forgotten, and
-- so are those of a clock that was ahead.
-- KEYS 1 hash: number of a slice -> points taken in it
-- ARGV 1 points wanted   2 limit   3 length of a slice, in ms   4 slices that count, the present one included
-- Reply {"ok", points granted, ms until the oldest that count are forgotten}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local length, count = tonumber(ARGV[3]), tonumber(ARGV[4])
local slice = math.floor(now / length)
local oldest, used, forgotten = slice, 0, {}
local taken = redis.call('HGETALL', KEYS[1])
for i = 1, #taken, 2 do
  local number = tonumber(taken[i])
  if number > slice - count and number <= slice then
    used = used + tonumber(taken[i + 1])
    oldest = math.min(oldest, number)
  else
    forgotten[#forgotten + 1] = taken[i]
  end
end
local granted = math.max(0, math.min(tonumber(ARGV[1]), tonumber(ARGV[2]) - used))
if granted > 0 then
  if #forgotten > 0 then redis.call('HDEL', KEYS[1], unpack(forgotten)) end
  redis.call('HINCRBY', KEYS[1], string.format('%d', slice), granted)
  redis.call('PEXPIRE', KEYS[1], length * count)
end
return { 'ok', granted, (oldest + count) * length - now }
