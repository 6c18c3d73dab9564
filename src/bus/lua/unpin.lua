-- unpin.lua: ends pins: from now on only the shard's owner writes these sessions. Their holder may do that, and the shard's
-- owner, once the holder is dead. Repeating is allowed.
-- KEYS 1 shard hash (epoch); derives <1>:pins and, from ARGV 1, s:<sid> (pin) of each session
-- ARGV 1 key base  2 epoch of the caller, then the sessions
-- Reply {"ok", session…} those that are not pinned any more
local owns = redis.call('HGET', KEYS[1], 'epoch') == ARGV[2]
local reply = { 'ok' }
for i = 3, #ARGV do
  local session = ARGV[1] .. 's:' .. ARGV[i]
  local pin = redis.call('HGET', session, 'pin')
  if not pin or owns or pin == ARGV[2] then
    redis.call('HDEL', session, 'pin')
    redis.call('HDEL', KEYS[1] .. ':pins', ARGV[i])
    reply[#reply + 1] = ARGV[i]
  end
end
return reply
