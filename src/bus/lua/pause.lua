-- pause.lua: makes submit refuse the commands of a shard for a while, whose owner must wait before it goes on; a claim ends it.
-- KEYS 1 shard hash (epoch, paused = server time in ms until which commands are refused)
-- ARGV 1 epoch of the owner  2 for how long, in ms
-- Reply {"ok"} | {"fenced", stored epoch}
local stored = tonumber(redis.call('HGET', KEYS[1], 'epoch') or '0')
if stored > tonumber(ARGV[1]) then return { 'fenced', tostring(stored) } end
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'paused', string.format('%d', time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2]))
return { 'ok' }
