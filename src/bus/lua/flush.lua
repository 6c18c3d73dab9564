-- flush.lua: appends pieces of text, each to the message that its session streams, and shows them to the subscribed edges;
--   no log entry. A piece that is refused has changed nothing, and the others go on.
-- KEYS 1 hash of the first shard; derives from ARGV 1, per piece, sh:<n> (epoch), s:<sid>, its :part, and out:<outbox> of
--   each subscribed edge
-- ARGV 1 key base  2 most out entries, then for each piece: shard, epoch, session, message id, offset in bytes, text,
--   seq of the head, chunk JSON
-- Reply for each piece {"ok"} (also when the text is already there) | {"fenced"|"rollback", stored epoch}
--   | {"gap", stored bytes} | the server's error
local base, call, outs = ARGV[1], redis.call, {}

-- What edges must see goes out at the end: one entry for each edge.
local function fanOut(subs, session, fields)
  for outbox in string.gmatch(subs, '%S+') do
    local out = outs[outbox] or { fields = {}, sessions = {} }
    outs[outbox] = out
    for _, field in ipairs(fields) do out.fields[#out.fields + 1] = field end
    out.sessions[#out.sessions + 1] = session
  end
end

local function flush(shard, epoch, sid, message, offset, text, head, json)
  local stored = tonumber(call('HGET', base .. 'sh:' .. shard, 'epoch') or '0')
  if stored ~= epoch then return { stored > epoch and 'fenced' or 'rollback', tostring(stored) } end
  local session = base .. 's:' .. sid
  local part = session .. ':part'
  local s = call('HMGET', session, 'part', 'seq', 'subs')
  if not s[2] then return { 'gap', '0' } end
  local same = s[1] == message
  local bytes = same and call('STRLEN', part) or 0
  if bytes >= offset + #text and bytes > 0 then return { 'ok' } end
  if bytes ~= offset then return { 'gap', tostring(bytes) } end
  if not same then
    call('HSET', session, 'part', message)
    call('DEL', part)
  end
  call('APPEND', part, text)
  fanOut(s[3] or '', session, { 's', sid, 't', message, 'o', offset, 'n', #text, 'h', head, 'j', json })
  return { 'ok' }
end

-- What the server refuses fails alone: its error stands where the reply would.
local function tried(done, reply)
  if done or type(reply) == 'table' then return reply end
  return redis.error_reply(reply)
end

local replies = {}
for i = 3, #ARGV, 8 do
  replies[#replies + 1] = tried(pcall(flush, ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2], ARGV[i + 3],
    tonumber(ARGV[i + 4]), ARGV[i + 5], ARGV[i + 6], ARGV[i + 7]))
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
