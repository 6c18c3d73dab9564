-- flush.lua: appends text to the message being streamed and shows it to the subscribed edges; no log entry.
-- KEYS 1 shard hash (epoch); derives, from ARGV 3, s:<sid>, its :part :subs, and out:<outbox> of each subscribed edge
-- ARGV 1 epoch  2 session  3 key base  4 message id  5 offset in bytes  6 text  7 seq of the head  8 chunk JSON
--   9 most out entries
-- Reply {"ok"} (also when the text is already there) | {"fenced"|"rollback", stored epoch} | {"gap", stored bytes}
local epoch, base, offset = tonumber(ARGV[1]), ARGV[3], tonumber(ARGV[5])
local stored = tonumber(redis.call('HGET', KEYS[1], 'epoch') or '0')
if stored ~= epoch then return { stored > epoch and 'fenced' or 'rollback', tostring(stored) } end
local session = base .. 's:' .. ARGV[2]
local part = session .. ':part'
local s = redis.call('HMGET', session, 'part', 'seq')
if not s[2] then return { 'gap', '0' } end
local same = s[1] == ARGV[4]
local bytes = same and redis.call('STRLEN', part) or 0
if bytes >= offset + #ARGV[6] and bytes > 0 then return { 'ok' } end
if bytes ~= offset then return { 'gap', tostring(bytes) } end

if not same then
  redis.call('HSET', session, 'part', ARGV[4])
  redis.call('DEL', part)
end
redis.call('APPEND', part, ARGV[6])
for _, outbox in ipairs(redis.call('SMEMBERS', session .. ':subs')) do
  if not redis.call('XADD', base .. 'out:' .. outbox, 'NOMKSTREAM', 'MAXLEN', '~', ARGV[9], '*', 's', ARGV[2], 't', ARGV[4],
    'o', ARGV[5], 'n', #ARGV[6], 'h', ARGV[7], 'j', ARGV[8]) then
    redis.call('SREM', session .. ':subs', outbox)
  end
end
return { 'ok' }
