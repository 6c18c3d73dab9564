-- accept.lua: takes the commands that wait in the streams of some shards: into the inboxes of their sessions, and each
--   shard's cursor behind them.
-- KEYS 1 hash of the first shard; derives from ARGV 1, per shard, sh:<n> (epoch, cursor, queued, bytes, behind = accepted and
--   not trimmed, cold and coldbytes = commands of sessions that are not here), its :in :work :cold, per session s:<sid>, its
--   :inbox :control :seen :seen-before :cold, and out:<outbox> of each submitting edge
-- ARGV 1 key base  2 most commands  3 most inbox and most control entries  4 most inbox bytes  5 ids per generation  6 most out entries
--   7 most cold commands  8 most cold bytes, then for each shard: number, epoch, cursor that its owner knows (- for none)
-- Reply for each shard "ok <more 1|0> <commands> <cursor> <the cursor had moved without its owner 1|0>", then for each of
--   these commands its head "session status detail type outbox tenant fresh", id and body, in the order of the stream; status
--   new|dup|busy|final|cold, detail "-" for none
--   | "fenced"|"rollback" and the stored epoch; "rollback" also for a cursor that lies behind the one its owner knows
--   | "error" and the server's words
local base, left = ARGV[1], tonumber(ARGV[2]) -- what may still be taken
local mostBytes, mostSeen = tonumber(ARGV[4]), tonumber(ARGV[5])
local mostInbox, mostControl = string.match(ARGV[3], '^(%d+) (%d+)$')
local MOST = { inbox = tonumber(mostInbox), control = tonumber(mostControl) }
local mostCold, mostColdBytes, FIRST = tonumber(ARGV[7]), tonumber(ARGV[8]), 9
local FINAL = { completed = true, terminated = true, failed = true }
local LIST = { stop = 'control', cancel = 'control', pause = 'control', resume = 'control', approval = 'control' }
local DAY, TRIM_AFTER = 86400, 32
local call, outs = redis.call, {}
local now = tonumber(call('TIME')[1])

local function recall(session, id, older)
  local result = call('HGET', session .. ':seen', id)
  if not result and older then result = call('HGET', session .. ':seen-before', id) end
  return result
end

-- Every id is kept for a day at least: the hash for two, renewed when less than one is left.
local function keepSeen(session, accepted, keptUntil, patch)
  local seen = session .. ':seen'
  if accepted % mostSeen == 0 then
    call('EXPIRE', seen, 2 * DAY)
    call('RENAME', seen, session .. ':seen-before')
    patch[#patch + 1], patch[#patch + 2], patch[#patch + 3], patch[#patch + 4] = 'older', '1', 'kept', '0'
  elseif keptUntil - now < DAY then
    call('EXPIRE', seen, 2 * DAY)
    patch[#patch + 1], patch[#patch + 2] = 'kept', now + 2 * DAY
  end
end

-- A session that is not here: its commands wait in their order until the owner has asked Postgres. One that comes again
-- waits once.
local function putAside(shard, session, sid, rest, kind, outbox, id, body)
  local s = call('HMGET', shard, 'cold', 'coldbytes')
  local count, bytes = tonumber(s[1] or '0') + 1, tonumber(s[2] or '0') + #body
  if count > mostCold or bytes > mostColdBytes then return 'busy' end
  local cold = session .. ':cold'
  local field = kind == 'hydrate' and 'h' .. outbox or 'c' .. id
  if call('HSETNX', cold, field, call('HLEN', cold) .. ' ' .. rest .. '\n' .. body) == 1 then
    call('HSET', shard, 'cold', count, 'coldbytes', bytes)
    call('ZADD', shard .. ':cold', 'NX', now, sid)
  end
  return 'cold'
end

-- nil when the command is new; its id is then noted.
local function refusal(session, s, id, kind, waits, most, bytes)
  if not s[1] then
    call('HSET', session .. ':seen', id, '')
    return nil
  end
  local full = waits >= most or bytes > mostBytes
  if kind == 'spawn' or full or FINAL[s[1]] then
    local result = recall(session, id, s[5])
    if result or kind == 'spawn' then return 'dup', result or '' end
    if FINAL[s[1]] then return 'final', s[1] end
    return 'busy', ''
  end
  if s[5] then
    local result = call('HGET', session .. ':seen-before', id)
    if result then return 'dup', result end
  end
  if call('HSETNX', session .. ':seen', id, '') == 0 then return 'dup', call('HGET', session .. ':seen', id) end
  return nil
end

local function show(outbox, line)
  local out = outs[outbox] or {}
  outs[outbox] = out
  out[#out + 1] = line
end

local function take(shard, sid, rest, id, body)
  local kind, outbox, tenant, fresh = string.match(rest, '^(%S+) (%S+) (%S+) (%S+)$')
  local session, list = base .. 's:' .. sid, LIST[kind] or 'inbox'
  local s = call('HMGET', session, 'status', 'waiting', list, 'accepted', 'older', 'kept', 'work')
  local waits, bytes = tonumber(s[3] or '0'), tonumber(s[2] or '0') + #body
  local status, detail
  if not s[1] and (kind ~= 'spawn' or fresh ~= '1') then
    status, detail = putAside(shard, session, sid, rest, kind, outbox, id, body), ''
  elseif kind == 'hydrate' then
    status, detail = 'dup', ''
    show(outbox, 'w ' .. sid)
  else
    status, detail = refusal(session, s, id, kind, waits, MOST[list], bytes)
  end
  if not status then
    status, detail = 'new', ''
    local accepted = tonumber(s[4] or '0') + 1
    local patch = { 'waiting', bytes, list, waits + 1, 'accepted', accepted }
    keepSeen(session, accepted, tonumber(s[6] or '0'), patch)
    if not s[1] then
      for _, it in ipairs({ 'epoch', '0', 'seq', '0', 'status', 'initializing', 'tenant', tenant, 'subs', outbox }) do
        patch[#patch + 1] = it
      end
    end
    if not s[7] then
      call('SADD', shard .. ':work', sid)
      patch[#patch + 1], patch[#patch + 2] = 'work', '1'
    end
    call('HSET', session, unpack(patch))
    call('RPUSH', session .. ':' .. list, body)
  end
  if detail == '' then detail = '-' end
  local about = sid .. ' ' .. status .. ' ' .. detail .. ' '
  if kind ~= 'hydrate' then show(outbox, 'a ' .. about .. id) end
  return about .. rest
end

local function isBehind(at, known)
  if at == known or known == '-' then return false end
  local ms, n = string.match(at, '^(%d+)-(%d+)$')
  local knownMs, knownN = string.match(known, '^(%d+)-(%d+)$')
  if ms ~= knownMs then return tonumber(ms) < tonumber(knownMs) end
  return tonumber(n) < tonumber(knownN)
end

-- What is known of a shard before anything is taken from it; `line` is its whole reply when nothing is.
local function look(number, epoch, known)
  local shard = base .. 'sh:' .. number
  local s = call('HMGET', shard, 'epoch', 'cursor', 'queued', 'bytes', 'behind')
  local stored, from = tonumber(s[1] or '0'), s[2] or '0-0'
  local place = { shard = shard, from = from, moved = (known == '-' or known == from) and ' 0' or ' 1',
    queued = tonumber(s[3] or '0'), bytes = tonumber(s[4] or '0'), behind = tonumber(s[5] or '0') }
  local refused = stored > epoch and 'fenced ' or (stored < epoch or isBehind(from, known)) and 'rollback '
  if refused then place.line = refused .. stored end
  return place
end

-- Takes at most so many; returns the replies of the shard, its line first.
local function acceptShard(place, most)
  local shard, from, moved = place.shard, place.from, place.moved
  if most == 0 then return { 'ok 1 0 ' .. from .. moved } end
  local entries = call('XRANGE', shard .. ':in', '(' .. from, '+', 'COUNT', most)
  local count, freed, replies = #entries, 0, {}
  if count == 0 then return { 'ok 0 0 ' .. from .. moved } end
  for i, entry in ipairs(entries) do
    local f, at = entry[2], 3 * i + 1
    local sid, rest = string.match(f[2], '^(%S+) (.+)$')
    replies[at - 2], replies[at - 1], replies[at] = take(shard, sid, rest, f[4], f[6]), f[4], f[6]
    freed = freed + #f[6]
  end
  local cursor, behind = entries[count][1], place.behind + count
  if behind >= TRIM_AFTER then
    call('XTRIM', shard .. ':in', 'MINID', '~', cursor)
    behind = 0
  end
  call('HSET', shard, 'cursor', cursor, 'queued', math.max(0, place.queued - count), 'bytes', math.max(0, place.bytes - freed),
    'behind', behind)
  left = left - count
  replies[1] = 'ok ' .. (count == most and '1 ' or '0 ') .. count .. ' ' .. cursor .. moved
  return replies
end

-- What the server refuses fails alone: its error stands where the replies would.
local function failed(failure) return 'error ' .. (type(failure) == 'table' and failure.err or failure) end

local places, open, waiting = {}, {}, 0
for i = FIRST, #ARGV, 3 do
  local done, place = pcall(look, ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2])
  if not done then place = { line = failed(place) } end
  places[#places + 1] = place
  if not place.line then
    open[#open + 1] = place
    waiting = waiting + place.queued
  end
end
-- When all cannot be taken, each shard gives the same part of what waits in it, so that commands wait alike wherever they
-- are; and one at least: those where least waits go first.
if waiting > left then table.sort(open, function(a, b) return a.queued < b.queued end) end
for _, place in ipairs(open) do
  local share = waiting > left and math.min(left, math.ceil(left * place.queued / waiting)) or left
  local done, result = pcall(acceptShard, place, math.max(share, math.min(left, 1)))
  if done then place.replies = result else place.line = failed(result) end
  waiting = waiting - place.queued
end
local replies = {}
for _, place in ipairs(places) do
  if place.line then replies[#replies + 1] = place.line end
  for _, reply in ipairs(place.replies or {}) do replies[#replies + 1] = reply end
end
-- Read from this server alone and begun anew behind another one: neither its file nor a replica needs it.
redis.set_repl(redis.REPL_NONE)
for outbox, fields in pairs(outs) do
  if #fields % 2 == 1 then fields[#fields + 1] = '' end
  call('XADD', base .. 'out:' .. outbox, 'NOMKSTREAM', 'MAXLEN', '~', ARGV[6], '*', unpack(fields))
end
return replies
