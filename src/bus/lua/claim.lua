-- claim.lua: installs the epoch that Postgres granted to a worker; this copy only ratchets up.
-- KEYS 1 shard hash (epoch, owner); derives <1>:active and <1>:dirty
-- ARGV 1 owner  2 granted epoch  3 key layout
-- Reply {"ok", {active session…}, {session with unprojected events…}} | {"fenced", stored epoch}
local stored = tonumber(redis.call('HGET', KEYS[1], 'epoch') or '0')
if stored > tonumber(ARGV[2]) then return { 'fenced', tostring(stored) } end
redis.call('HSET', KEYS[1], 'epoch', ARGV[2], 'owner', ARGV[1], 'layout', ARGV[3])
return {
  'ok',
  redis.call('ZRANGE', KEYS[1] .. ':active', 0, -1),
  redis.call('SMEMBERS', KEYS[1] .. ':dirty'),
}
