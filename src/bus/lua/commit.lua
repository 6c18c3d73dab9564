-- commit.lua: appends events, saves state and ends commands of one session in one step, if the epoch owns the shard.
-- KEYS 1 shard hash (epoch); derives <1>:active, <1>:dirty and, from ARGV 3, s:<sid>, its :log :inbox :control :seen
--   :seen-before :part :subs, and out:<outbox> of each subscribed edge
-- ARGV 1 epoch  2 session  3 key base  4 expected seq  5 commit id  6 inbox pops  7 control pops  8 status
--   9 state ('' keeps it)  10 clear part (1|0)  11 most out entries  12 number of ended commands,
--   then id and event id of each, then the events' JSON
-- Reply {"ok"} (also for a commit id that is already in) | {"fenced"|"rollback", stored epoch} | {"head", seq} | {"corrupt"}
local epoch, base = tonumber(ARGV[1]), ARGV[3]
local session = base .. 's:' .. ARGV[2]
local stored = tonumber(redis.call('HGET', KEYS[1], 'epoch') or '0')
local s = redis.call('HMGET', session, 'commit', 'seq', 'older', 'waiting', 'epoch', 'part')
if s[1] == ARGV[5] then return { 'ok' } end
if stored ~= epoch then return { stored > epoch and 'fenced' or 'rollback', tostring(stored) } end
local seq = tonumber(s[2] or '-1') -- a session that is not here has no head to match
if seq ~= tonumber(ARGV[4]) or tonumber(s[5] or '0') > epoch then return { 'head', tostring(seq) } end
local inbox, control = session .. ':inbox', session .. ':control'
local takeInbox, takeControl = tonumber(ARGV[6]), tonumber(ARGV[7])
if redis.call('LLEN', inbox) < takeInbox or redis.call('LLEN', control) < takeControl then return { 'corrupt' } end

local freed = 0
local function pop(list, count)
  for _, body in ipairs(redis.call('LPOP', list, count) or {}) do freed = freed + #body end
end
if takeInbox > 0 then pop(inbox, takeInbox) end
if takeControl > 0 then pop(control, takeControl) end

local ended = tonumber(ARGV[12])
for i = 13, 11 + 2 * ended, 2 do
  local seen = session .. ':seen'
  if s[3] and redis.call('HEXISTS', seen, ARGV[i]) == 0 then seen = session .. ':seen-before' end
  redis.call('HSET', seen, ARGV[i], ARGV[i + 1])
end

local first = 13 + 2 * ended
local fields = { 's', ARGV[2], 'e', ARGV[1] .. '-' .. (seq + 1) }
for i = first, #ARGV do
  seq = seq + 1
  redis.call('XADD', session .. ':log', ARGV[1] .. '-' .. seq, 'd', ARGV[i])
  fields[#fields + 1], fields[#fields + 2] = 'd', ARGV[i]
end

local patch = { 'seq', seq, 'commit', ARGV[5], 'status', ARGV[8], 'waiting', tonumber(s[4] or '0') - freed }
if #ARGV >= first then patch[#patch + 1], patch[#patch + 2] = 'epoch', ARGV[1] end
if ARGV[9] ~= '' then patch[#patch + 1], patch[#patch + 2] = 'state', ARGV[9] end
redis.call('HSET', session, unpack(patch))
if ARGV[10] == '1' and s[6] then
  redis.call('DEL', session .. ':part')
  redis.call('HDEL', session, 'part')
end
if takeInbox + takeControl > 0 and redis.call('EXISTS', inbox, control) == 0 then
  redis.call('ZREM', KEYS[1] .. ':active', ARGV[2])
end
if #ARGV < first then return { 'ok' } end

redis.call('SADD', KEYS[1] .. ':dirty', ARGV[2])
for _, outbox in ipairs(redis.call('SMEMBERS', session .. ':subs')) do
  if not redis.call('XADD', base .. 'out:' .. outbox, 'NOMKSTREAM', 'MAXLEN', '~', ARGV[11], '*', unpack(fields)) then
    redis.call('SREM', session .. ':subs', outbox)
  end
end
return { 'ok' }
