-- hibernate.lua: reads what must be kept of sessions at rest, or drops those that are still as they were read. Edges that are
--   gone are unsubscribed on the way.
-- KEYS 1 hash of the first shard; derives from ARGV 1, per session, sh:<n> (epoch), its :work, s:<sid>, its :log :inbox
--   :control :part :seen :seen-before, and out:<outbox> of each subscribed edge
-- ARGV 1 key base, then for each session: "shard epoch session" and the version to drop ("seq accepted commit"), '' to read,
--   '-' to do neither
-- Reply for each session "idle <epoch> <seq> <accepted> <status> <tenant> <ids> <older ids>", then its last commit, its state,
--   and id and result of each remembered command, the younger first | "ok" dropped | "absent" | "busy" | "watched"
--   | "unprojected" | "changed" | "fenced"|"rollback" and the stored epoch | "error" and the server's words
local base, call = ARGV[1], redis.call
local FINAL = { completed = true, terminated = true, failed = true }

-- Whether a living edge is subscribed.
local function isWatched(session, subs)
  local alive = {}
  for outbox in string.gmatch(subs, '%S+') do
    if call('EXISTS', base .. 'out:' .. outbox) == 1 then alive[#alive + 1] = outbox end
  end
  local left = table.concat(alive, ' ')
  if left ~= subs then call('HSET', session, 'subs', left) end
  return #alive > 0
end

local FIELDS = { 'seq', 'projected', 'accepted', 'commit', 'inbox', 'control', 'part', 'subs', 'status', 'tenant', 'epoch',
  'state', 'older', 'pin' }

local function rest(head, version, replies)
  local number, epochText, sid = string.match(head, '^(%S+) (%S+) (%S+)$')
  local shard, session, epoch = base .. 'sh:' .. number, base .. 's:' .. sid, tonumber(epochText)
  local stored = tonumber(call('HGET', shard, 'epoch') or '0')
  if stored ~= epoch then return (stored > epoch and 'fenced ' or 'rollback ') .. stored end
  local s, values = {}, call('HMGET', session, unpack(FIELDS))
  for i, field in ipairs(FIELDS) do s[field] = values[i] or nil end
  if not s.status then return 'absent' end
  local waits = tonumber(s.inbox or '0') + tonumber(s.control or '0')
  local watched = isWatched(session, s.subs or '')
  -- What came in while the session ended waits for nobody any more.
  if s.pin or ((waits > 0 or s.part) and not FINAL[s.status]) then return 'busy' end
  if tonumber(s.projected or '0') < tonumber(s.seq) then return 'unprojected' end
  if watched then return 'watched' end
  local present = table.concat({ s.seq, s.accepted or '0', s.commit or '' }, ' ')
  if version == '' then
    local seen = call('HGETALL', session .. ':seen')
    local older = s.older and call('HGETALL', session .. ':seen-before') or {}
    local counts = { s.epoch, s.seq, s.accepted or '0', s.status, s.tenant, #seen / 2, #older / 2 }
    replies[#replies + 1] = 'idle ' .. table.concat(counts, ' ')
    replies[#replies + 1], replies[#replies + 2] = s.commit or '', s.state or ''
    for _, it in ipairs(seen) do replies[#replies + 1] = it end
    for _, it in ipairs(older) do replies[#replies + 1] = it end
    return nil
  end
  if version ~= present then return 'changed' end
  call('DEL', session, session .. ':log', session .. ':inbox', session .. ':control', session .. ':part', session .. ':seen',
    session .. ':seen-before')
  call('SREM', shard .. ':work', sid)
  return 'ok'
end

-- What the server refuses fails alone: its error stands where the reply would.
local replies = {}
for i = 2, #ARGV, 2 do
  local done, reply = pcall(rest, ARGV[i], ARGV[i + 1], replies)
  if not done then reply = 'error ' .. (type(reply) == 'table' and reply.err or reply) end
  if reply then replies[#replies + 1] = reply end
end
return replies
