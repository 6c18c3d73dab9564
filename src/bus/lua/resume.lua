-- resume.lua: subscribes an edge to a session and reads what its client missed, in one step.
-- KEYS 1 session hash (epoch, seq, floor, part, subs); derives <1>:log <1>:part
-- ARGV 1 outbox  2 last event id, or now  3 most events
-- Reply {"ok", head, part message id, part text, {id, {d, JSON}}…} subscribed | {"more", {…}…} ask again from the last
--   | {"below", floor, head} the position is not in the log | {"unknown"}
local s = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'floor', 'part', 'subs')
if not s[2] then return { 'unknown' } end
local head, floor, after, most = s[1] .. '-' .. s[2], s[3] or '0-0', ARGV[2], tonumber(ARGV[3])
local log, entries, subs = KEYS[1] .. ':log', {}, s[5] or ''
if after ~= 'now' and after ~= head then
  if after ~= floor and #redis.call('XRANGE', log, after, after) == 0 then return { 'below', floor, head } end
  entries = redis.call('XRANGE', log, '(' .. after, '+', 'COUNT', most)
end
if #entries == most then return { 'more', unpack(entries) } end
if not string.find(' ' .. subs .. ' ', ' ' .. ARGV[1] .. ' ', 1, true) then
  redis.call('HSET', KEYS[1], 'subs', subs == '' and ARGV[1] or subs .. ' ' .. ARGV[1])
end
return { 'ok', head, s[4] or '', s[4] and redis.call('GET', KEYS[1] .. ':part') or '', unpack(entries) }
