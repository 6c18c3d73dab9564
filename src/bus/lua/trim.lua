-- trim.lua: notes what Postgres holds and drops the part of each log that is not needed here any more.
-- KEYS 1 shard hash (epoch); derives <1>:work and, from ARGV 2, s:<sid> and its :log
-- ARGV 1 epoch  2 key base, then for each session: id, projected seq, events to keep
-- Reply {"ok"} | {"fenced"|"rollback", stored epoch}
local epoch = tonumber(ARGV[1])
local stored = tonumber(redis.call('HGET', KEYS[1], 'epoch') or '0')
if stored ~= epoch then return { stored > epoch and 'fenced' or 'rollback', tostring(stored) } end
for i = 3, #ARGV, 3 do
  local session, projected, keep = ARGV[2] .. 's:' .. ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local s = redis.call('HMGET', session, 'seq', 'inbox', 'control', 'projected', 'subs')
  local log, seq = session .. ':log', tonumber(s[1] or '0')
  local length = redis.call('XLEN', log)
  -- Only what Postgres holds may go, and the newest `keep` stay.
  local drop = math.min(length - keep, length - (seq - projected))
  if drop > 0 then
    local last = redis.call('XRANGE', log, '-', '+', 'COUNT', drop)[drop][1]
    redis.call('HSET', session, 'floor', last)
    redis.call('XTRIM', log, 'MAXLEN', length - drop)
    if length == drop then redis.call('DEL', log) end
  end
  if s[1] and projected > tonumber(s[4] or '0') then redis.call('HSET', session, 'projected', projected) end
  if seq <= projected and tonumber(s[2] or '0') + tonumber(s[3] or '0') == 0 then
    redis.call('SREM', KEYS[1] .. ':work', ARGV[i])
    redis.call('HDEL', session, 'work')
    -- A session that is not worked on keeps no field that says nothing: each costs some 60 bytes.
    if keep == 0 then redis.call('HDEL', session, 'waiting', 'inbox', 'control') end
    if keep == 0 and s[5] == '' then redis.call('HDEL', session, 'subs') end
  end
end
return { 'ok' }
