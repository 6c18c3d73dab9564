-- commit.lua: carries out changes, each of one session: appends events, saves state and ends commands in one step, if the
--   change's epoch owns the shard, or the session while it is pinned. A change that is refused has changed nothing, and the
--   others go on.
-- KEYS 1 hash of the first shard; derives from ARGV 1, per change, sh:<n> (epoch), its :work, s:<sid>, its :log :inbox
--   :control :seen :seen-before :part, and out:<outbox> of each subscribed edge
-- ARGV 1 key base  2 most out entries, then for each change: its head "ended commands, events, shard, epoch, session,
--   expected seq, commit id, id of the commit before it (- not known, . none), epoch of the events, inbox pops, control pops,
--   status, clear part (1|0)" separated by spaces, its state ('' keeps it), id and event id of each ended command, the
--   events' JSON
-- Reply for each change "ok" (also for a commit id that is already in) | "fenced"|"rollback" and the stored epoch
--   | "head" and its seq | "corrupt" | "error" and the server's words
local base, call, outs, epochs = ARGV[1], redis.call, {}, {}

local function storedEpoch(shard)
  local stored = epochs[shard]
  if not stored then
    stored = tonumber(call('HGET', shard, 'epoch') or '0')
    epochs[shard] = stored
  end
  return stored
end

-- A later owner that writes to a pinned session has seen its pin end, which the store has forgotten.
local function pinned(stored, epoch, pin)
  return stored <= epoch and tonumber(pin) < epoch and 'rollback ' or 'fenced '
end

local function popped(list, count)
  local freed = 0
  for _, body in ipairs(call('LPOP', list, count) or {}) do freed = freed + #body end
  return freed
end

-- What edges must see goes out at the end: one entry for each edge.
local function fanOut(subs, session, sid, firstId, first, last)
  for outbox in string.gmatch(subs, '%S+') do
    local out = outs[outbox] or { fields = {}, sessions = {} }
    outs[outbox] = out
    local fields = out.fields
    fields[#fields + 1] = 'e ' .. sid .. ' ' .. firstId .. ' ' .. (last - first + 1)
    for i = first, last do fields[#fields + 1] = ARGV[i] end
    out.sessions[#out.sessions + 1] = session
  end
end

local HEAD = '^%S+ %S+ (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+)$'

local function commit(at, first, last)
  local number, epochText, sid, expected, id, after, eventEpoch, pops, controlPops, status, clear = string.match(ARGV[at], HEAD)
  local shard, session, epoch = base .. 'sh:' .. number, base .. 's:' .. sid, tonumber(epochText)
  local stored, state = storedEpoch(shard), ARGV[at + 1]
  local s = call('HMGET', session, 'commit', 'seq', 'older', 'waiting', 'epoch', 'part', 'inbox', 'control', 'work', 'subs',
    'pin', 'status')
  if s[1] == id then return 'ok' end
  if s[11] and s[11] ~= epochText then return pinned(stored, epoch, s[11]) .. stored end
  if not s[11] and stored ~= epoch then return (stored > epoch and 'fenced ' or 'rollback ') .. stored end
  local seq = tonumber(s[2] or '-1') -- a session that is not here has no head to match
  if seq ~= tonumber(expected) or tonumber(s[5] or '0') > epoch then return 'head ' .. seq end
  if after ~= '-' and after ~= ((s[1] or '') == '' and '.' or s[1]) then return 'head ' .. seq end
  local takeInbox, takeControl = tonumber(pops), tonumber(controlPops)
  local inboxLeft, controlLeft = tonumber(s[7] or '0') - takeInbox, tonumber(s[8] or '0') - takeControl
  if inboxLeft < 0 or controlLeft < 0 then return 'corrupt' end

  local firstId = eventEpoch .. '-' .. (seq + 1)
  for i = first, last do -- first of all writes: the likeliest to be refused by the server
    seq = seq + 1
    call('XADD', session .. ':log', eventEpoch .. '-' .. seq, 'd', ARGV[i])
  end
  local freed, hasEvents = 0, last >= first
  if takeInbox > 0 then freed = popped(session .. ':inbox', takeInbox) end
  if takeControl > 0 then freed = freed + popped(session .. ':control', takeControl) end
  for i = at + 2, first - 1, 2 do
    local seen = session .. ':seen'
    if s[3] and call('HEXISTS', seen, ARGV[i]) == 0 then seen = session .. ':seen-before' end
    call('HSET', seen, ARGV[i], ARGV[i + 1])
  end
  local patch = { 'seq', seq, 'commit', id, 'waiting', tonumber(s[4] or '0') - freed }
  local n = #patch
  if takeInbox > 0 then patch[n + 1], patch[n + 2], n = 'inbox', inboxLeft, n + 2 end
  if takeControl > 0 then patch[n + 1], patch[n + 2], n = 'control', controlLeft, n + 2 end
  if hasEvents and s[5] ~= eventEpoch then patch[n + 1], patch[n + 2], n = 'epoch', eventEpoch, n + 2 end
  if s[12] ~= status then patch[n + 1], patch[n + 2], n = 'status', status, n + 2 end
  if state ~= '' then patch[n + 1], patch[n + 2], n = 'state', state, n + 2 end
  if hasEvents and not s[9] then
    call('SADD', shard .. ':work', sid)
    patch[n + 1], patch[n + 2], n = 'work', '1', n + 2
  end
  call('HSET', session, unpack(patch, 1, n))
  if clear == '1' and s[6] then
    call('DEL', session .. ':part')
    call('HDEL', session, 'part')
  end
  if hasEvents then fanOut(s[10] or '', session, sid, firstId, first, last) end
  return 'ok'
end

-- What the server refuses fails alone: its error stands where the reply would.
local function tried(done, reply)
  if done then return reply end
  return 'error ' .. (type(reply) == 'table' and reply.err or reply)
end

local replies, at = {}, 3
while at <= #ARGV do
  local ended, events = string.match(ARGV[at], '^(%S+) (%S+)')
  local first = at + 2 + 2 * tonumber(ended)
  local last = first + tonumber(events) - 1
  replies[#replies + 1] = tried(pcall(commit, at, first, last))
  at = last + 1
end
-- Read from this server alone and begun anew behind another one: neither its file nor a replica needs it.
-- An edge whose stream is gone is unsubscribed instead of revived.
for outbox, out in pairs(outs) do
  if #out.fields % 2 == 1 then out.fields[#out.fields + 1] = '' end
  redis.set_repl(redis.REPL_NONE)
  local shown = call('XADD', base .. 'out:' .. outbox, 'NOMKSTREAM', 'MAXLEN', '~', ARGV[2], '*', unpack(out.fields))
  redis.set_repl(redis.REPL_ALL)
  if not shown then
    for _, session in ipairs(out.sessions) do
      local rest = {}
      for it in string.gmatch(call('HGET', session, 'subs') or '', '%S+') do
        if it ~= outbox then rest[#rest + 1] = it end
      end
      call('HSET', session, 'subs', table.concat(rest, ' '))
    end
  end
end
return replies
