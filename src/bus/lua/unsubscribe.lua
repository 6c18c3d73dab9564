-- unsubscribe.lua: an edge wants to see nothing more of a session.
-- KEYS 1 session hash (subs = names of outboxes, separated by spaces)   ARGV 1 outbox
-- Reply {"ok"}
local rest, subs = {}, redis.call('HGET', KEYS[1], 'subs') or ''
for outbox in string.gmatch(subs, '%S+') do
  if outbox ~= ARGV[1] then rest[#rest + 1] = outbox end
end
local left = table.concat(rest, ' ')
if left ~= subs then redis.call('HSET', KEYS[1], 'subs', left) end
return { 'ok' }
