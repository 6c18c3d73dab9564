-- pin.lua: keeps sessions writable under the epoch of an owner that is about to give their shard away, until their turn ends.
-- KEYS 1 shard hash (epoch); derives <1>:pins (session → "node epoch") and, from ARGV 1, s:<sid> (pin = epoch) of each session
-- ARGV 1 key base  2 node  3 its epoch, then the sessions
-- Reply {"ok", session…} those that are pinned under this epoch now | {"fenced"|"rollback", stored epoch}
local epoch = tonumber(ARGV[3])
local stored = tonumber(redis.call('HGET', KEYS[1], 'epoch') or '0')
if stored ~= epoch then return { stored > epoch and 'fenced' or 'rollback', tostring(stored) } end
local reply = { 'ok' }
for i = 4, #ARGV do
  local session = ARGV[1] .. 's:' .. ARGV[i]
  local s = redis.call('HMGET', session, 'seq', 'pin')
  -- A session that a former owner holds stays with that one.
  if s[1] and (not s[2] or s[2] == ARGV[3]) then
    redis.call('HSET', session, 'pin', ARGV[3])
    redis.call('HSET', KEYS[1] .. ':pins', ARGV[i], ARGV[2] .. ' ' .. ARGV[3])
    reply[#reply + 1] = ARGV[i]
  end
end
return reply
