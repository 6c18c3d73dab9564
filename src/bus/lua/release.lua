-- release.lua: forgets the owner of a shard, so that nobody waits for its words; the epoch stays.
-- KEYS 1 shard hash   ARGV 1 owner  2 its epoch
-- Reply {"ok"} | {"fenced", stored epoch}
local stored = redis.call('HMGET', KEYS[1], 'epoch', 'owner')
if (tonumber(stored[1] or '0')) > tonumber(ARGV[2]) then return { 'fenced', stored[1] } end
if stored[2] == ARGV[1] then redis.call('HDEL', KEYS[1], 'owner') end
return { 'ok' }
