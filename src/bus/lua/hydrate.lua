-- hydrate.lua: creates a session from what Postgres knows of it, unless it is here, and decides about the commands that have
--   waited for that, in their order.
-- KEYS 1 shard hash (epoch, cold, coldbytes); derives <1>:work <1>:cold and, from ARGV 2, s:<sid>, its :cold :inbox :control
--   :seen :seen-before, and out:<outbox> of each submitting edge
-- ARGV 1 epoch  2 key base  3 session  4 hibernated|ended|unborn|lost|unknown|unavailable  5 most inbox entries  6 most inbox
--   bytes  7 ids per generation  8 most out entries  9 status  10 tenant  11 epoch of the head  12 its seq  13 state
--   14 last commit  15 commands accepted  16 remembered ids  17 older ones, then id and result of each, the younger first
-- Reply {"ok", then for each command its head "session status detail type outbox tenant fresh", id and body…}
--   | {"fenced"|"rollback", stored epoch}
local epoch, base, sid, found = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local mostInbox, mostBytes, mostSeen = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local shard, session, call, DAY = KEYS[1], base .. 's:' .. sid, redis.call, 86400
local seenKey, beforeKey, coldKey = session .. ':seen', session .. ':seen-before', session .. ':cold'
local FINAL = { completed = true, terminated = true, failed = true }
local LIST = { stop = 'control', cancel = 'control', pause = 'control', resume = 'control', approval = 'control' }
local FIRST = 18

local stored = tonumber(call('HGET', shard, 'epoch') or '0')
if stored ~= epoch then return { stored > epoch and 'fenced' or 'rollback', tostring(stored) } end

local keptUntil = tonumber(call('TIME')[1]) + 2 * DAY
local behindYounger = FIRST + 2 * tonumber(ARGV[16])

local function remember(key, first, behind)
  if first >= behind then return end
  call('HSET', key, unpack(ARGV, first, behind - 1))
  call('EXPIRE', key, 2 * DAY)
end

if found == 'hibernated' and call('EXISTS', session) == 0 then
  call('HSET', session, 'status', ARGV[9], 'tenant', ARGV[10], 'epoch', ARGV[11], 'seq', ARGV[12], 'state', ARGV[13], 'commit',
    ARGV[14], 'accepted', ARGV[15], 'floor', ARGV[11] .. '-' .. ARGV[12], 'projected', ARGV[12], 'kept', keptUntil)
  remember(seenKey, FIRST, behindYounger)
  remember(beforeKey, behindYounger, #ARGV + 1)
  if behindYounger <= #ARGV then call('HSET', session, 'older', '1') end
end

local s = call('HMGET', session, 'status', 'waiting', 'inbox', 'control', 'accepted', 'work')
local status, waiting, accepted = s[1], tonumber(s[2] or '0'), tonumber(s[5] or '0')
local counts, outs, replies, created = { inbox = tonumber(s[3] or '0'), control = tonumber(s[4] or '0') }, {}, { 'ok' }, nil
local known = {}
if not status then for i = FIRST, #ARGV, 2 do known[ARGV[i]] = ARGV[i + 1] end end

-- nil when the command is new.
local function refusal(kind, id, bytes)
  local result = known[id]
  if status then result = call('HGET', seenKey, id) or call('HGET', beforeKey, id) end
  if result then return 'dup', result end
  local isHere = status or found == 'ended' or found == 'lost'
  if kind == 'spawn' and isHere then return 'dup', '' end
  if kind == 'spawn' and found == 'unborn' then return nil end
  if FINAL[status or ARGV[9]] then return 'final', status or ARGV[9] end
  if not status then return found == 'unavailable' and found or 'unknown', '' end
  if counts[LIST[kind] or 'inbox'] >= mostInbox or waiting + bytes > mostBytes then return 'busy', '' end
end

local function take(kind, outbox, tenant, id, body)
  local list = LIST[kind] or 'inbox'
  if not status then
    status, created = 'initializing', true
    call('HSET', session, 'epoch', '0', 'seq', '0', 'status', status, 'tenant', tenant, 'subs', outbox, 'kept', keptUntil)
  end
  waiting, accepted, counts[list] = waiting + #body, accepted + 1, counts[list] + 1
  call('RPUSH', session .. ':' .. list, body)
  call('HSET', seenKey, id, '')
  call('EXPIRE', seenKey, 2 * DAY)
  if accepted % mostSeen == 0 then
    call('RENAME', seenKey, beforeKey)
    call('HSET', session, 'older', '1', 'kept', '0')
  end
  call('HSET', session, 'accepted', accepted, 'waiting', waiting, list, counts[list], 'work', '1')
  call('SADD', shard .. ':work', sid)
end

local function show(outbox, line)
  local out = outs[outbox] or {}
  outs[outbox] = out
  out[#out + 1] = line
end

local cold, waited, freed = call('HGETALL', coldKey), {}, 0
for i = 1, #cold, 2 do
  local number, rest, body = string.match(cold[i + 1], '^(%d+) ([^\n]+)\n(.*)$')
  waited[tonumber(number) + 1] = { field = cold[i], rest = rest, body = body }
  freed = freed + #body
end
for _, it in ipairs(waited) do
  local kind, outbox, tenant = string.match(it.rest, '^(%S+) (%S+) (%S+)')
  if kind == 'hydrate' then
    show(outbox, 'w ' .. sid)
  else
    local id = string.sub(it.field, 2)
    local decision, detail = refusal(kind, id, #it.body)
    if not decision then
      decision, detail = 'new', ''
      take(kind, outbox, tenant, id, it.body)
    end
    if detail == '' then detail = '-' end
    show(outbox, table.concat({ 'a', sid, decision, detail, id }, ' '))
    replies[#replies + 1] = table.concat({ sid, decision, detail, it.rest }, ' ')
    replies[#replies + 1], replies[#replies + 2] = id, it.body
  end
end
if #waited > 0 then
  call('DEL', coldKey)
  call('ZREM', shard .. ':cold', sid)
  call('HINCRBY', shard, 'cold', -#waited)
  call('HINCRBY', shard, 'coldbytes', -freed)
end
-- Read from this server alone and begun anew behind another one: neither its file nor a replica needs it.
redis.set_repl(redis.REPL_NONE)
for outbox, fields in pairs(outs) do
  if #fields % 2 == 1 then fields[#fields + 1] = '' end
  call('XADD', base .. 'out:' .. outbox, 'NOMKSTREAM', 'MAXLEN', '~', ARGV[8], '*', unpack(fields))
end
return replies
