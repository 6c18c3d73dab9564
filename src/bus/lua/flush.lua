-- flush.lua: appends pieces of text, each to the message that its session streams, and shows them to the subscribed edges;
--   no log entry. Who may commit to a session may write its text. A piece that is refused has changed nothing, and the others go on.
-- KEYS 1 hash of the first shard; derives from ARGV 1, per piece, sh:<n> (epoch), s:<sid>, its :part, and out:<outbox> of
--   each subscribed edge
-- ARGV 1 key base  2 most out entries, then for each piece: its head "shard epoch session, message id, offset in bytes, seq
--   of the session's head" separated by spaces, text, chunk JSON
-- Reply for each piece "ok" (also when the text is already there) | "fenced"|"rollback" and the stored epoch | "gap" and the
--   stored bytes: the message is not that long, or the head is below that seq | "error" and the server's words
local base, call, outs = ARGV[1], redis.call, {}

-- What edges must see goes out at the end: one entry for each edge.
local function fanOut(subs, session, head, json)
  for outbox in string.gmatch(subs, '%S+') do
    local out = outs[outbox] or { fields = {}, sessions = {} }
    outs[outbox] = out
    out.fields[#out.fields + 1] = head
    out.fields[#out.fields + 1] = json
    out.sessions[#out.sessions + 1] = session
  end
end

-- A later owner that writes to a pinned session has seen its pin end, which the store has forgotten.
local function pinned(stored, epoch, pin)
  return stored <= epoch and tonumber(pin) < epoch and 'rollback ' or 'fenced '
end

local function flush(head, text, json)
  local number, epochText, sid, message, offsetText, seq = string.match(head, '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+)$')
  local epoch, offset = tonumber(epochText), tonumber(offsetText)
  local stored = tonumber(call('HGET', base .. 'sh:' .. number, 'epoch') or '0')
  local session = base .. 's:' .. sid
  local part = session .. ':part'
  local s = call('HMGET', session, 'part', 'seq', 'subs', 'pin')
  if s[4] and s[4] ~= epochText then return pinned(stored, epoch, s[4]) .. stored end
  if not s[4] and stored ~= epoch then return (stored > epoch and 'fenced ' or 'rollback ') .. stored end
  if not s[2] then return 'gap 0' end
  local same = s[1] == message
  local bytes = same and call('STRLEN', part) or 0
  if bytes >= offset + #text and bytes > 0 then return 'ok' end
  if bytes ~= offset or tonumber(s[2]) < tonumber(seq) then return 'gap ' .. bytes end
  if not same then
    call('HSET', session, 'part', message)
    call('DEL', part)
  end
  call('APPEND', part, text)
  fanOut(s[3] or '', session, table.concat({ 't', sid, message, offset, #text, seq }, ' '), json)
  return 'ok'
end

-- What the server refuses fails alone: its error stands where the reply would.
local function tried(done, reply)
  if done then return reply end
  return 'error ' .. (type(reply) == 'table' and reply.err or reply)
end

local replies = {}
for i = 3, #ARGV, 3 do replies[#replies + 1] = tried(pcall(flush, ARGV[i], ARGV[i + 1], ARGV[i + 2])) end
-- Read from this server alone and begun anew behind another one: neither its file nor a replica needs it.
-- An edge whose stream is gone is unsubscribed instead of revived.
for outbox, out in pairs(outs) do
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
