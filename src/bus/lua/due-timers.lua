-- due-timers.lua: names the timers of some shards that have gone off. They stay until they are set anew or cleared.
-- KEYS 1 hash of the first shard; derives from ARGV 1, per shard, sh:<n> (epoch), its :timers and :timers:notes
-- ARGV 1 key base  2 most timers of a shard, then for each shard: number, epoch
-- Reply only for shards of which there is something to say: "ok <place among the shards> <timers>", then for each of these
--   "session name" and its note, the longest overdue first | "fenced"|"rollback", place, and the stored epoch
local base, most, call, time = ARGV[1], tonumber(ARGV[2]), redis.call, redis.call('TIME')
local now = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
local replies = {}
for i = 3, #ARGV, 2 do
  local shard, epoch, place = base .. 'sh:' .. ARGV[i], tonumber(ARGV[i + 1]), (i - 3) / 2
  local stored = tonumber(call('HGET', shard, 'epoch') or '0')
  if stored ~= epoch then
    replies[#replies + 1] = (stored > epoch and 'fenced ' or 'rollback ') .. place .. ' ' .. stored
  else
    local names = call('ZRANGEBYSCORE', shard .. ':timers', '-inf', now, 'LIMIT', 0, most)
    if #names > 0 then replies[#replies + 1] = 'ok ' .. place .. ' ' .. #names end
    for _, name in ipairs(names) do
      replies[#replies + 1] = name
      replies[#replies + 1] = call('HGET', shard .. ':timers:notes', name) or ''
    end
  end
end
return replies
