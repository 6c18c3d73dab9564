-- submit.lua: appends a client's command to its shard's stream, or refuses it when too much waits there.
-- KEYS 1 shard hash (queued = bytes not yet accepted); derives <1>:in, the shard's command stream
-- ARGV 1 most entries  2 most bytes  3 session  4 command id  5 type  6 tenant  7 outbox  8 fresh (1|0)  9 body
-- Reply {"ok"} | {"busy"}
local stream = KEYS[1] .. ':in'
local queued = tonumber(redis.call('HGET', KEYS[1], 'queued') or '0')
if queued + #ARGV[9] > tonumber(ARGV[2]) or redis.call('XLEN', stream) >= tonumber(ARGV[1]) then return { 'busy' } end
redis.call('HINCRBY', KEYS[1], 'queued', #ARGV[9])
redis.call('XADD', stream, '*', 's', ARGV[3], 'c', ARGV[4], 't', ARGV[5], 'n', ARGV[6], 'e', ARGV[7], 'f', ARGV[8],
  'b', ARGV[9])
return { 'ok' }
