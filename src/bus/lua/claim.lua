-- claim.lua: installs the epoch that Postgres granted to a worker; this copy only ratchets up.
-- KEYS 1 shard hash (epoch, owner, cursor, paused, store = run id and replication id of the server in which an owner last had
--   everything); derives <1>:work <1>:pins <1>:cold and, from ARGV 4, s:<sid> of each session in the first
-- ARGV 1 owner  2 granted epoch  3 key layout  4 key base  5 1 when the owner has everything in this server, - to claim only in
--   the server that store tells
-- Reply {"ok", {session with commands…}, {session with unprojected events…}, {pinned session, "node epoch"…}, {session that is
--   not here and has commands, seconds since the first of them…}, cursor, 1 when this is another server than store tells | 0}
--   | {"fenced", stored epoch} | {"changed"}
local s = redis.call('HMGET', KEYS[1], 'epoch', 'cursor', 'store')
local stored = tonumber(s[1] or '0')
if stored > tonumber(ARGV[2]) then return { 'fenced', tostring(stored) } end
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local store = run .. ' ' .. string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
if ARGV[5] == '-' and s[3] and s[3] ~= store then return { 'changed' } end
redis.call('HSET', KEYS[1], 'epoch', ARGV[2], 'owner', ARGV[1], 'layout', ARGV[3])
redis.call('HDEL', KEYS[1], 'paused')
if not s[3] or ARGV[5] == '1' then redis.call('HSET', KEYS[1], 'store', store) end
local active, unprojected = {}, {}
for _, sid in ipairs(redis.call('SMEMBERS', KEYS[1] .. ':work')) do
  local session = redis.call('HMGET', ARGV[4] .. 's:' .. sid, 'inbox', 'control', 'seq', 'projected')
  if tonumber(session[1] or '0') + tonumber(session[2] or '0') > 0 then active[#active + 1] = sid end
  if tonumber(session[3] or '0') > tonumber(session[4] or '0') then unprojected[#unprojected + 1] = sid end
end
local now, cold = tonumber(redis.call('TIME')[1]), redis.call('ZRANGE', KEYS[1] .. ':cold', 0, -1, 'WITHSCORES')
for i = 2, #cold, 2 do cold[i] = math.max(0, now - tonumber(cold[i])) end
return {
  'ok', active, unprojected, redis.call('HGETALL', KEYS[1] .. ':pins'), cold,
  s[2] or '0-0', s[3] and s[3] ~= store and '1' or '0',
}
