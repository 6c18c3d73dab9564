-- restore.lua: puts accepted commands back that a failover has made the store forget: behind what waits in the inboxes of
--   their sessions, in the order given. What the store remembers is passed over, so it may be repeated.
-- KEYS 1 shard hash (epoch); derives <1>:work and, from ARGV 2, per session s:<sid>, its :inbox :control :seen :seen-before
-- ARGV 1 epoch  2 key base  3 ids per generation, then for each command: its head "session type outbox tenant", id, body
-- Reply {"ok", commands put back} | {"fenced"|"rollback", stored epoch}
local call, epoch, base, mostSeen = redis.call, tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local stored = tonumber(call('HGET', KEYS[1], 'epoch') or '0')
if stored ~= epoch then return { stored > epoch and 'fenced' or 'rollback', tostring(stored) } end
local LIST = { stop = 'control', cancel = 'control', pause = 'control', resume = 'control', approval = 'control' }
local DAY = 86400

-- True when the command was put back. Of a session that is gone only the spawn can be.
local function restore(head, id, body)
  local sid, kind, outbox, tenant = string.match(head, '^(%S+) (%S+) (%S+) (%S+)$')
  local session, list = base .. 's:' .. sid, LIST[kind] or 'inbox'
  local s = call('HMGET', session, 'status', 'waiting', list, 'accepted')
  if not s[1] and kind ~= 'spawn' then return false end
  if s[1] and kind == 'spawn' then return false end
  local seen = session .. ':seen'
  if call('HEXISTS', seen, id) == 1 or call('HEXISTS', session .. ':seen-before', id) == 1 then return false end
  local accepted = tonumber(s[4] or '0') + 1
  call('HSET', seen, id, '')
  call('EXPIRE', seen, 2 * DAY)
  if not s[1] then
    call('HSET', session, 'epoch', '0', 'seq', '0', 'status', 'initializing', 'tenant', tenant, 'subs', outbox)
  end
  if accepted % mostSeen == 0 then
    call('RENAME', seen, session .. ':seen-before')
    call('HSET', session, 'older', '1', 'kept', '0')
  end
  call('HSET', session, 'waiting', tonumber(s[2] or '0') + #body, list, tonumber(s[3] or '0') + 1, 'accepted', accepted,
    'work', '1')
  call('SADD', KEYS[1] .. ':work', sid)
  call('RPUSH', session .. ':' .. list, body)
  return true
end

local count = 0
for i = 4, #ARGV, 3 do
  if restore(ARGV[i], ARGV[i + 1], ARGV[i + 2]) then count = count + 1 end
end
return { 'ok', count }
