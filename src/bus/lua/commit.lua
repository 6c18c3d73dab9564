-- commit.lua: carries out changes, each of one session: appends events, saves state and ends commands in one step, if the
--   change's epoch owns the shard. A change that is refused has changed nothing, and the others go on.
-- KEYS 1 hash of the first shard; derives from ARGV 1, per change, sh:<n> (epoch), its :work, s:<sid>, its :log :inbox
--   :control :seen :seen-before :part, and out:<outbox> of each subscribed edge
-- ARGV 1 key base  2 most out entries, then for each change: 1 shard  2 epoch  3 session  4 expected seq  5 commit id
--   6 inbox pops  7 control pops  8 status  9 state ('' keeps it)  10 clear part (1|0)  11 number of ended commands
--   12 number of events, then id and event id of each ended command, then the events' JSON
-- Reply for each change {"ok"} (also for a commit id that is already in) | {"fenced"|"rollback", stored epoch}
--   | {"head", seq} | {"corrupt"} | the server's error
local base, call, outs, epochs = ARGV[1], redis.call, {}, {}

local function storedEpoch(shard)
  local stored = epochs[shard]
  if not stored then
    stored = tonumber(call('HGET', shard, 'epoch') or '0')
    epochs[shard] = stored
  end
  return stored
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
    local n = #fields
    fields[n + 1], fields[n + 2], fields[n + 3], fields[n + 4] = 's', sid, 'e', firstId
    n = n + 4
    for i = first, last do
      fields[n + 1], fields[n + 2] = 'd', ARGV[i]
      n = n + 2
    end
    out.sessions[#out.sessions + 1] = session
  end
end

local function commit(at, first, last)
  local shard, epochText, sid = base .. 'sh:' .. ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local epoch, session, stored = tonumber(epochText), base .. 's:' .. sid, storedEpoch(shard)
  local s = call('HMGET', session, 'commit', 'seq', 'older', 'waiting', 'epoch', 'part', 'inbox', 'control', 'work', 'subs')
  if s[1] == ARGV[at + 4] then return { 'ok' } end
  if stored ~= epoch then return { stored > epoch and 'fenced' or 'rollback', tostring(stored) } end
  local seq = tonumber(s[2] or '-1') -- a session that is not here has no head to match
  if seq ~= tonumber(ARGV[at + 3]) or tonumber(s[5] or '0') > epoch then return { 'head', tostring(seq) } end
  local takeInbox, takeControl = tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6])
  local inboxLeft, controlLeft = tonumber(s[7] or '0') - takeInbox, tonumber(s[8] or '0') - takeControl
  if inboxLeft < 0 or controlLeft < 0 then return { 'corrupt' } end

  local firstId = epochText .. '-' .. (seq + 1)
  for i = first, last do -- first of all writes: the likeliest to be refused by the server
    seq = seq + 1
    call('XADD', session .. ':log', epochText .. '-' .. seq, 'd', ARGV[i])
  end
  local freed, hasEvents = 0, last >= first
  if takeInbox > 0 then freed = popped(session .. ':inbox', takeInbox) end
  if takeControl > 0 then freed = freed + popped(session .. ':control', takeControl) end
  for i = at + 12, first - 1, 2 do
    local seen = session .. ':seen'
    if s[3] and call('HEXISTS', seen, ARGV[i]) == 0 then seen = session .. ':seen-before' end
    call('HSET', seen, ARGV[i], ARGV[i + 1])
  end
  local patch = { 'seq', seq, 'commit', ARGV[at + 4], 'status', ARGV[at + 7], 'waiting', tonumber(s[4] or '0') - freed }
  local function set(field, value) patch[#patch + 1], patch[#patch + 2] = field, value end
  if takeInbox > 0 then set('inbox', inboxLeft) end
  if takeControl > 0 then set('control', controlLeft) end
  if hasEvents then set('epoch', epochText) end
  if ARGV[at + 8] ~= '' then set('state', ARGV[at + 8]) end
  if hasEvents and not s[9] then
    call('SADD', shard .. ':work', sid)
    set('work', '1')
  end
  call('HSET', session, unpack(patch))
  if ARGV[at + 9] == '1' and s[6] then
    call('DEL', session .. ':part')
    call('HDEL', session, 'part')
  end
  if hasEvents then fanOut(s[10] or '', session, sid, firstId, first, last) end
  return { 'ok' }
end

-- What the server refuses fails alone: its error stands where the reply would.
local function tried(done, reply)
  if done or type(reply) == 'table' then return reply end
  return redis.error_reply(reply)
end

local replies, at = {}, 3
while at <= #ARGV do
  local first = at + 12 + 2 * tonumber(ARGV[at + 10])
  local last = first + tonumber(ARGV[at + 11]) - 1
  replies[#replies + 1] = tried(pcall(commit, at, first, last))
  at = last + 1
end
-- An edge whose stream is gone is unsubscribed instead of revived.
for outbox, out in pairs(outs) do
  if not call('XADD', base .. 'out:' .. outbox, 'NOMKSTREAM', 'MAXLEN', '~', ARGV[2], '*', unpack(out.fields)) then
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
