-- accept.lua: moves one batch of one shard's commands into the inboxes of their sessions, and the cursor behind it.
-- KEYS 1 shard hash (epoch, cursor, queued); derives <1>:in, <1>:active and, from ARGV 3, per session s:<sid>,
--   its :inbox :control :seen :seen-before :subs, and out:<outbox> of each submitting edge
-- ARGV 1 epoch  2 new cursor  3 key base  4 most inbox entries  5 most inbox bytes  6 ids per generation
--   7 most out entries, then for each command: session, id, class (spawn|inbox|control), fresh (1|0), outbox, tenant, body
-- Reply {"ok", status, detail, …} in order; status new|dup|busy|final|unknown|check | {"fenced"|"rollback", stored epoch}
local epoch, base = tonumber(ARGV[1]), ARGV[3]
local shard = redis.call('HMGET', KEYS[1], 'epoch', 'queued')
local stored = tonumber(shard[1] or '0')
if stored ~= epoch then return { stored > epoch and 'fenced' or 'rollback', tostring(stored) } end

local FINAL = { completed = true, terminated = true, failed = true }
local now = redis.call('TIME')[1]
local reply, outs, bytes = { 'ok' }, {}, 0

local function seenBefore(session, id, older)
  local result = redis.call('HGET', session .. ':seen', id)
  if not result and older then result = redis.call('HGET', session .. ':seen-before', id) end
  return result
end

local function remember(session, id)
  local seen = session .. ':seen'
  redis.call('HSET', seen, id, '')
  redis.call('EXPIRE', seen, 86400)
  if redis.call('HLEN', seen) >= tonumber(ARGV[6]) then
    redis.call('RENAME', seen, session .. ':seen-before')
    redis.call('HSET', session, 'older', '1')
  end
end

local function decide(session, id, class, fresh, body)
  local s = redis.call('HMGET', session, 'status', 'waiting', 'older')
  if not s[1] then
    if class ~= 'spawn' then return 'unknown', '' end
    return fresh == '1' and 'new' or 'check', ''
  end
  local result = seenBefore(session, id, s[3])
  if result or class == 'spawn' then return 'dup', result or '' end
  if FINAL[s[1]] then return 'final', s[1] end
  local list = session .. (class == 'control' and ':control' or ':inbox')
  if redis.call('LLEN', list) >= tonumber(ARGV[4]) or tonumber(s[2] or '0') + #body > tonumber(ARGV[5]) then
    return 'busy', ''
  end
  return 'new', ''
end

for i = 8, #ARGV, 7 do
  local sid, id, class, outbox, body = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 4], ARGV[i + 6]
  local session = base .. 's:' .. sid
  local status, detail = decide(session, id, class, ARGV[i + 3], body)
  if status == 'new' then
    if class == 'spawn' then
      redis.call('HSET', session, 'epoch', '0', 'seq', '0', 'status', 'initializing', 'tenant', ARGV[i + 5])
      redis.call('SADD', session .. ':subs', outbox)
    end
    redis.call('RPUSH', session .. (class == 'control' and ':control' or ':inbox'), body)
    redis.call('HINCRBY', session, 'waiting', #body)
    remember(session, id)
    redis.call('ZADD', KEYS[1] .. ':active', now, sid)
  end
  bytes = bytes + #body
  reply[#reply + 1], reply[#reply + 2] = status, detail
  if status ~= 'check' then
    local out = outs[outbox] or { 'a', '' }
    outs[outbox] = out
    out[#out + 1], out[#out + 2], out[#out + 3], out[#out + 4] = sid, id, status, detail
  end
end

for outbox, fields in pairs(outs) do
  redis.call('XADD', base .. 'out:' .. outbox, 'NOMKSTREAM', 'MAXLEN', '~', ARGV[7], '*', unpack(fields))
end
redis.call('HSET', KEYS[1], 'cursor', ARGV[2], 'queued', math.max(0, tonumber(shard[2] or '0') - bytes))
redis.call('XTRIM', KEYS[1] .. ':in', 'MINID', '~', ARGV[2])
return reply
