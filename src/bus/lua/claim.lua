-- claim.lua: installs the epoch that Postgres granted to a worker; this copy only ratchets up.
-- KEYS 1 shard hash (epoch, owner); derives <1>:work <1>:pins <1>:cold and, from ARGV 4, s:<sid> of each session in the first
-- ARGV 1 owner  2 granted epoch  3 key layout  4 key base
-- Reply {"ok", {session with commands…}, {session with unprojected events…}, {pinned session, "node epoch"…}, {session that is
--   not here and has commands, seconds since the first of them…}} | {"fenced", stored epoch}
local stored = tonumber(redis.call('HGET', KEYS[1], 'epoch') or '0')
if stored > tonumber(ARGV[2]) then return { 'fenced', tostring(stored) } end
redis.call('HSET', KEYS[1], 'epoch', ARGV[2], 'owner', ARGV[1], 'layout', ARGV[3])
local active, unprojected = {}, {}
for _, sid in ipairs(redis.call('SMEMBERS', KEYS[1] .. ':work')) do
  local s = redis.call('HMGET', ARGV[4] .. 's:' .. sid, 'inbox', 'control', 'seq', 'projected')
  if tonumber(s[1] or '0') + tonumber(s[2] or '0') > 0 then active[#active + 1] = sid end
  if tonumber(s[3] or '0') > tonumber(s[4] or '0') then unprojected[#unprojected + 1] = sid end
end
local now, cold = tonumber(redis.call('TIME')[1]), redis.call('ZRANGE', KEYS[1] .. ':cold', 0, -1, 'WITHSCORES')
for i = 2, #cold, 2 do cold[i] = math.max(0, now - tonumber(cold[i])) end
return { 'ok', active, unprojected, redis.call('HGETALL', KEYS[1] .. ':pins'), cold }
