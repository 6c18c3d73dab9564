-- beat.lua: a node says that it lives. One that was declared dead learns it here and never comes back; one whose key is
-- gone (60 s of silence, or Redis lost it) is not let in again before Postgres was asked whether it is dead.
-- KEYS 1 node hash (at, role, version, weight, busy, capacity, queued, lag, status)
-- ARGV 1 "enter" (may create the hash) | "stay"   2 expiry ms   3… field, value, …
-- Reply {"ok", time ms} | {"dead"} | {"absent"}
local status = redis.call('HGET', KEYS[1], 'status')
if status == 'dead' then return { 'dead' } end
if not status and ARGV[1] ~= 'enter' then return { 'absent' } end
local time = redis.call('TIME')
local at = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
redis.call('HSET', KEYS[1], 'at', at, unpack(ARGV, 3))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return { 'ok', at }
