-- submit.lua: appends clients' commands to their shards' streams, or refuses those of a shard where too much waits, and
--   rings once at each owner.
-- KEYS 1 hash of the first shard; derives from ARGV 1, per shard, sh:<n> (queued and bytes = commands not yet accepted,
--   owner, paused = server time in ms until which nothing is taken) and its command stream :in, and bell:<owner>
-- ARGV 1 key base  2 most commands  3 most bytes  4 most rings in a bell, then for each command: shard, its head "session type
--   outbox tenant fresh", command id, body
-- Reply for each command "ok" | "busy" | "error" and the server's words
local base, mostCommands, mostBytes = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local call, shards, replies = redis.call, {}, {}

local function shardOf(number)
  local shard = shards[number]
  if not shard then
    local key = base .. 'sh:' .. number
    local s = call('HMGET', key, 'queued', 'bytes', 'owner', 'paused')
    shard = { key = key, stream = key .. ':in', queued = tonumber(s[1] or '0'), bytes = tonumber(s[2] or '0'), owner = s[3] }
    if s[4] then
      local time = call('TIME')
      shard.paused = time[1] * 1000 + time[2] / 1000 < tonumber(s[4])
    end
    shards[number] = shard
  end
  return shard
end

local function submit(number, head, id, body)
  local shard = shardOf(number)
  if shard.paused or shard.bytes + #body > mostBytes or shard.queued >= mostCommands then return 'busy' end
  call('XADD', shard.stream, '*', 'h', head, 'c', id, 'b', body)
  shard.bytes, shard.queued, shard.added = shard.bytes + #body, shard.queued + 1, true
  return 'ok'
end

-- What the server refuses fails alone: its error stands where the reply would.
local function tried(done, reply)
  if done then return reply end
  return 'error ' .. (type(reply) == 'table' and reply.err or reply)
end

for i = 5, #ARGV, 4 do replies[#replies + 1] = tried(pcall(submit, ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])) end

local bells = {}
for number, shard in pairs(shards) do
  if shard.added then
    call('HSET', shard.key, 'queued', shard.queued, 'bytes', shard.bytes)
    if shard.owner then bells[shard.owner] = (bells[shard.owner] and bells[shard.owner] .. ' ' or '') .. number end
  end
end
-- A bell rings on this server alone: what waits is looked for every second anyway.
redis.set_repl(redis.REPL_NONE)
for owner, numbers in pairs(bells) do
  call('XADD', base .. 'bell:' .. owner, 'NOMKSTREAM', 'MAXLEN', '~', ARGV[4], '*', 'n', numbers)
end
return replies
