-- exchange-full.lua: notes principals that have as many connections as they may, and tells all that are noted.
-- KEYS 1 sorted set of principals by the time until which the note holds, in ms
-- ARGV 1 how long a note holds, in ms   2 n   3… n principals that are no longer full   then those that are
-- Reply {"ok", principal…}: at most 10,000, those noted last
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local freed = tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
for i = 3, 2 + freed do redis.call('ZREM', KEYS[1], ARGV[i]) end
for i = 3 + freed, #ARGV do redis.call('ZADD', KEYS[1], now + tonumber(ARGV[1]), ARGV[i]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
local reply = redis.call('ZREVRANGE', KEYS[1], 0, 9999)
table.insert(reply, 1, 'ok')
return reply
