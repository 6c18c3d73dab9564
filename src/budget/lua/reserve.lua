-- reserve.lua: holds tokens of every window of a call, or says which of them has none left.
-- KEYS 1 open reservations: place to {a = attempt, n = tokens, w = {window…}}; derives <1>:due, a sorted set of places by
--   the time in ms at which they expire, and <1>:w:<name> of each window: a hash of used, held, store = run id and
--   replication id of the server in which the ledger was last asked, told = percent that was told, of = limit it was told of
-- ARGV 1 place  2 attempt  3 tokens wanted  4 least  5 for how long, in ms  6 how many expired ones to clear  7 how long a
--   count stays after its window, in ms  8 how long one without an end stays  9 how long
--   reservations stay: longer than any count  10… for each window: name, start, end in ms (0 = never), limit, what the ledger says ('' = not asked, '?' = it could not be)
-- Reply {"ok", now, tokens, {used, held}…} | {"moved", now}: a window is not open at this time
--   | {"missing", now, position of each window to ask the ledger about…}
--   | {"spent" | "held", now, position, used, held, 1 when nobody was told of it before | 0}
local place, attempt, want, least, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local stamp = string.format('%d', now)
local server = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') .. ' ' ..
  string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
local windows, missing = {}, {}
for i = 10, #ARGV, 5 do
  local key, first, last = KEYS[1] .. ':w:' .. ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  if now < first or (last > 0 and now >= last) then return { 'moved', stamp } end
  local stored = redis.call('HMGET', key, 'used', 'held', 'store', 'told', 'of')
  if stored[3] ~= server and ARGV[i + 4] == '' then missing[#missing + 1] = #windows + 1 end
  windows[#windows + 1] = {
    key = key, last = last, limit = tonumber(ARGV[i + 3]), known = stored[3] == server, ledger = ARGV[i + 4],
    used = math.max(tonumber(stored[1] or '0'), stored[3] ~= server and tonumber(ARGV[i + 4]) or 0),
    held = tonumber(stored[2] or '0'), told = stored[5] == ARGV[i + 3] and tonumber(stored[4] or '0') or 0,
  }
end
if #missing > 0 then return { 'missing', stamp, unpack(missing) } end

-- Knowledge is kept whatever becomes of this call: what the ledger said, and that reservations have expired.
for _, window in ipairs(windows) do
  redis.call('HSET', window.key, 'used', string.format('%d', window.used))
  if not window.known and window.ledger ~= '?' then redis.call('HSET', window.key, 'store', server) end
  redis.call('PEXPIRE', window.key, string.format('%d', window.last == 0 and ARGV[8] or window.last - now + ARGV[7]))
end
local function free(name)
  local open = redis.call('HGET', KEYS[1], name)
  redis.call('HDEL', KEYS[1], name)
  redis.call('ZREM', KEYS[1] .. ':due', name)
  if not open then return end
  local held = cjson.decode(open)
  for _, key in ipairs(held.w) do
    local rest = redis.call('EXISTS', key) == 1 and redis.call('HINCRBY', key, 'held', -held.n) or 0
    -- A count that began anew does not hold what was held before it.
    if rest < 0 then redis.call('HSET', key, 'held', 0) end
    for _, window in ipairs(windows) do if window.key == key then window.held = math.max(0, rest) end end
  end
end
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1] .. ':due', '-inf', now, 'LIMIT', 0, ARGV[6])) do free(name) end
local before = redis.call('HGET', KEYS[1], place)
local granted, fresh = want, not (before and cjson.decode(before).a == attempt)
if not fresh then
  granted = cjson.decode(before).n
else
  if before then free(place) end
  for i, window in ipairs(windows) do
    local left = window.limit - window.used
    if left < least or left - window.held < least then
      local word, first = left < least and 'spent' or 'held', '0'
      if word == 'spent' and window.told < 100 then
        redis.call('HSET', window.key, 'told', 100, 'of', string.format('%d', window.limit))
        first = '1'
      end
      return { word, stamp, i, string.format('%d', window.used), string.format('%d', window.held), first }
    end
    granted = math.min(granted, left - window.held)
  end
  granted = math.max(granted, 0)
end
local reply, held = { 'ok', stamp, string.format('%d', granted) }, {}
for i, window in ipairs(windows) do
  if fresh and granted > 0 then window.held = redis.call('HINCRBY', window.key, 'held', granted) end
  held[i] = window.key
  reply[#reply + 1] = { string.format('%d', window.used), string.format('%d', window.held) }
end
if granted > 0 then
  redis.call('HSET', KEYS[1], place, cjson.encode({ a = attempt, n = granted, w = held }))
  redis.call('ZADD', KEYS[1] .. ':due', now + ttl, place)
  redis.call('PEXPIRE', KEYS[1], ARGV[9])
  redis.call('PEXPIRE', KEYS[1] .. ':due', ARGV[9])
end
return reply
