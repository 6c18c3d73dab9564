-- accept.lua: takes the commands that wait in the streams of some shards: into the inboxes of their sessions, and each
--   shard's cursor behind them.
-- KEYS 1 hash of the first shard; derives from ARGV 1, per shard, sh:<n> (epoch, cursor, queued), its :in :active, per
--   session s:<sid>, its :inbox :control :seen :seen-before :subs, and out:<outbox> of each submitting edge
-- ARGV 1 key base  2 most commands  3 most inbox entries  4 most inbox bytes  5 ids per generation  6 most out entries,
--   then for each shard: number, epoch
-- Reply for each shard {"ok", more (1|0), then for each command: session, id, meta, body, status, detail}, in the order of
--   the stream; status new|dup|busy|final|unknown|check | {"fenced"|"rollback", stored epoch}
local base, left = ARGV[1], tonumber(ARGV[2])
local mostInbox, mostBytes, mostSeen = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local FINAL = { completed = true, terminated = true, failed = true }
local CONTROL = { stop = true, cancel = true, pause = true, resume = true }
local call, outs, now = redis.call, {}, redis.call('TIME')[1]

local function seenBefore(session, id, older)
  local result = call('HGET', session .. ':seen', id)
  if not result and older then result = call('HGET', session .. ':seen-before', id) end
  return result
end

local function remember(session, id)
  local seen = session .. ':seen'
  call('HSET', seen, id, '')
  call('EXPIRE', seen, 86400)
  if call('HLEN', seen) >= mostSeen then
    call('RENAME', seen, session .. ':seen-before')
    call('HSET', session, 'older', '1')
  end
end

local function decide(session, list, id, kind, fresh, body)
  local s = call('HMGET', session, 'status', 'waiting', 'older')
  if not s[1] then
    if kind ~= 'spawn' then return 'unknown', '' end
    return fresh == '1' and 'new' or 'check', ''
  end
  local result = seenBefore(session, id, s[3])
  if result or kind == 'spawn' then return 'dup', result or '' end
  if FINAL[s[1]] then return 'final', s[1] end
  if call('LLEN', list) >= mostInbox or tonumber(s[2] or '0') + #body > mostBytes then return 'busy', '' end
  return 'new', ''
end

local function take(shard, sid, id, meta, body)
  local kind, outbox, tenant, fresh = string.match(meta, '^(%S+) (%S+) (%S+) (%S+)$')
  local session = base .. 's:' .. sid
  local list = session .. (CONTROL[kind] and ':control' or ':inbox')
  local status, detail = decide(session, list, id, kind, fresh, body)
  if status == 'new' then
    if kind == 'spawn' then
      call('HSET', session, 'epoch', '0', 'seq', '0', 'status', 'initializing', 'tenant', tenant)
      call('SADD', session .. ':subs', outbox)
    end
    call('RPUSH', list, body)
    call('HINCRBY', session, 'waiting', #body)
    remember(session, id)
    call('ZADD', shard .. ':active', now, sid)
  end
  if status ~= 'check' then
    local out = outs[outbox] or { 'a', '' }
    outs[outbox] = out
    local n = #out
    out[n + 1], out[n + 2], out[n + 3], out[n + 4] = sid, id, status, detail
  end
  return status, detail
end

local function acceptShard(number, epoch)
  local shard = base .. 'sh:' .. number
  local s = call('HMGET', shard, 'epoch', 'cursor', 'queued')
  local stored = tonumber(s[1] or '0')
  if stored ~= epoch then return { stored > epoch and 'fenced' or 'rollback', tostring(stored) } end
  if left == 0 then return { 'ok', '1' } end
  local entries = call('XRANGE', shard .. ':in', '(' .. (s[2] or '0-0'), '+', 'COUNT', left)
  if #entries == 0 then return { 'ok', '0' } end
  local reply, bytes = { 'ok', #entries == left and '1' or '0' }, 0
  for _, entry in ipairs(entries) do
    local f = entry[2]
    local status, detail = take(shard, f[2], f[4], f[6], f[8])
    local n = #reply
    reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4], reply[n + 5], reply[n + 6] = f[2], f[4], f[6], f[8], status, detail
    bytes = bytes + #f[8]
  end
  local cursor = entries[#entries][1]
  call('HSET', shard, 'cursor', cursor, 'queued', math.max(0, tonumber(s[3] or '0') - bytes))
  call('XTRIM', shard .. ':in', 'MINID', '~', cursor)
  left = left - #entries
  return reply
end

local replies = {}
for i = 7, #ARGV, 2 do replies[#replies + 1] = acceptShard(ARGV[i], tonumber(ARGV[i + 1])) end
for outbox, fields in pairs(outs) do
  call('XADD', base .. 'out:' .. outbox, 'NOMKSTREAM', 'MAXLEN', '~', ARGV[6], '*', unpack(fields))
end
return replies
