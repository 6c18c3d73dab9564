-- unread.lua: names those of some shards that their owner should look at: commands wait there, or epoch or cursor are not
--   what it knows.
-- KEYS 1 hash of the first shard; derives from ARGV 1, per shard, sh:<n> (epoch, cursor) and its :in
-- ARGV 1 key base, then for each shard: number, "epoch cursor" as its owner knows them
-- Reply the numbers of the shards to look at
local base, call, unread = ARGV[1], redis.call, {}
for i = 2, #ARGV, 2 do
  local shard = base .. 'sh:' .. ARGV[i]
  local s = call('HMGET', shard, 'epoch', 'cursor')
  local cursor = s[2] or '0-0'
  local place = (s[1] or '0') .. ' ' .. cursor
  if place ~= ARGV[i + 1] or #call('XRANGE', shard .. ':in', '(' .. cursor, '+', 'COUNT', 1) > 0 then
    unread[#unread + 1] = ARGV[i]
  end
end
return unread
