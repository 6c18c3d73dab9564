-- settle.lua: counts what a call used, once, and gives back what it held.
-- KEYS 1 open reservations (see reserve.lua); derives <1>:due, <1>:w:<name> of each window, and <1>:done:<slice of time>,
--   sets of the calls that were settled in it
-- ARGV 1 place  2 attempt  3 tokens  4 length of a slice, in ms  5 thresholds in percent, as "50 75"  6 how long a count stays
--   after its window, in ms  7 how long one without an end stays  8… for each window: name, end in ms (0 = never), limit
-- Reply {"ok", {used, held, threshold that it has come to…}…} | {"dup"}
local slice, tokens = tonumber(ARGV[4]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local step, current = ARGV[1] .. ' ' .. ARGV[2], math.floor(now / slice)
for _, which in ipairs({ current, current - 1 }) do
  if redis.call('SISMEMBER', KEYS[1] .. ':done:' .. string.format('%d', which), step) == 1 then return { 'dup' } end
end

local done = KEYS[1] .. ':done:' .. string.format('%d', current)
redis.call('SADD', done, step)
redis.call('PEXPIRE', done, slice * 3)
local open = redis.call('HGET', KEYS[1], ARGV[1])
local mine = open and cjson.decode(open)
if mine and mine.a == ARGV[2] then
  redis.call('HDEL', KEYS[1], ARGV[1])
  redis.call('ZREM', KEYS[1] .. ':due', ARGV[1])
  for _, key in ipairs(mine.w) do
    local rest = redis.call('EXISTS', key) == 1 and redis.call('HINCRBY', key, 'held', -mine.n) or 0
    -- A count that began anew does not hold what was held before it.
    if rest < 0 then redis.call('HSET', key, 'held', 0) end
  end
end
local reply = { 'ok' }
for i = 8, #ARGV, 3 do
  local key, last, limit = KEYS[1] .. ':w:' .. ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local stored = redis.call('HMGET', key, 'held', 'told', 'of')
  local used = redis.call('HINCRBY', key, 'used', tokens)
  local told = stored[3] == ARGV[i + 2] and tonumber(stored[2] or '0') or (used - tokens) * 100 / limit
  local state, top = { string.format('%d', used), stored[1] or '0' }, told
  for percent in string.gmatch(ARGV[5], '%S+') do
    local threshold = tonumber(percent)
    if threshold > told and used * 100 >= threshold * limit then
      state[#state + 1] = percent
      top = math.max(top, threshold)
    end
  end
  redis.call('HSET', key, 'told', tostring(top), 'of', ARGV[i + 2])
  redis.call('PEXPIRE', key, string.format('%d', last == 0 and ARGV[7] or math.max(1, last - now + ARGV[6])))
  reply[#reply + 1] = state
end
return reply
