-- set-timers.lua: sets and clears durable timers, if each one's epoch owns its shard. One that is refused has changed nothing,
--   and the others go on.
-- KEYS 1 hash of the first shard; derives from ARGV 1, per timer, sh:<n> (epoch), its :timers (when each is due, ms of this
--   server) and :timers:notes (what its owner wrote on it)
-- ARGV 1 key base, then for each timer: its head "shard epoch ms" separated by spaces, ms from now or - to clear it; its name
--   "session name"; its note
-- Reply for each timer "ok" | "fenced"|"rollback" and the stored epoch | "error" and the server's words
local base, call, time = ARGV[1], redis.call, redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function set(head, name, note)
  local number, epochText, ms = string.match(head, '^(%S+) (%S+) (%S+)$')
  local shard, epoch = base .. 'sh:' .. number, tonumber(epochText)
  local stored = tonumber(call('HGET', shard, 'epoch') or '0')
  if stored ~= epoch then return (stored > epoch and 'fenced ' or 'rollback ') .. stored end
  if ms == '-' then
    call('ZREM', shard .. ':timers', name)
    call('HDEL', shard .. ':timers:notes', name)
  else
    call('ZADD', shard .. ':timers', string.format('%.0f', now + tonumber(ms)), name)
    call('HSET', shard .. ':timers:notes', name, note)
  end
  return 'ok'
end

-- What the server refuses fails alone: its error stands where the reply would.
local function tried(done, reply)
  if done then return reply end
  return 'error ' .. (type(reply) == 'table' and reply.err or reply)
end

local replies = {}
for i = 2, #ARGV, 3 do replies[#replies + 1] = tried(pcall(set, ARGV[i], ARGV[i + 1], ARGV[i + 2])) end
return replies
