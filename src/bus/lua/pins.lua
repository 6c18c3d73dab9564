-- pins.lua: tells the pins of a shard, and the epoch under which they stand.
-- KEYS 1 shard hash (epoch); derives <1>:pins
-- Reply {epoch, pinned session, "node epoch"…}
local reply = { redis.call('HGET', KEYS[1], 'epoch') or '0' }
for _, it in ipairs(redis.call('HGETALL', KEYS[1] .. ':pins')) do reply[#reply + 1] = it end
return reply
